"""Read a run's `Setup` from verl's resolved configuration (a mapping); verl itself is not needed here."""

from __future__ import annotations

from typing import Any

from awpo_ext.plan.memory import Setup
from awpo_ext.plan.models import Architecture, PlanError

_BYTES = {"fp32": 4, "float32": 4, "bf16": 2, "bfloat16": 2, "fp16": 2, "float16": 2, "half": 2, "auto": 2}


def read_setup(config: Any, model: Architecture) -> tuple[Setup, list[str]]:
    """The setup, and what it leaves out. PlanError for what is not estimated (megatron), or lacks a size that verl needs."""
    actor, rollout, ref = (config.actor_rollout_ref[name] for name in ("actor", "rollout", "ref"))
    settings, engine = config.actor_rollout_ref.model, actor.fsdp_config if "fsdp_config" in actor else None
    if engine is None or not str(actor.strategy).startswith("fsdp"):
        raise PlanError(f"actor_rollout_ref.actor.strategy={actor.strategy}: only fsdp and fsdp2 are estimated")
    gpus = int(config.trainer.nnodes) * int(config.trainer.n_gpus_per_node)
    wanted, parallel = int(engine.fsdp_size), int(engine.ulysses_sequence_parallel_size)
    longest = int(config.data.max_prompt_length) + int(config.data.max_response_length)
    lora = int(settings.lora_rank)
    mode = str(config.trainer.v1.get("trainer_mode", "sync"))
    colocated = mode != "separate_async"
    reference = bool(actor.use_kl_loss or config.algorithm.use_kl_in_reward)
    setup = Setup(
        model=model,
        shards=gpus if wanted < 1 else min(wanted, gpus),
        update_tokens=_tokens(actor, "", longest, "actor_rollout_ref.actor.ppo_", parallel),
        log_prob_tokens=_tokens(rollout, "log_prob_", longest, "actor_rollout_ref.rollout.log_prob_", parallel),
        master=_bytes("actor_rollout_ref.actor.fsdp_config.model_dtype", engine.model_dtype),
        compute=_bytes("actor_rollout_ref.actor.fsdp_config.dtype", engine.dtype),
        lora_rank=lora,
        checkpointing=bool(settings.enable_gradient_checkpointing),
        fused_kernels=bool(settings.use_fused_kernels),
        reshard=bool(engine.reshard_after_forward),
        param_offload=bool(engine.param_offload),
        optimizer_offload=bool(engine.optimizer_offload),
        offload_all=bool(engine.offload_policy),
        reference=reference and lora == 0,
        reference_offload=bool(ref.fsdp_config.param_offload),
        colocated=colocated,
        sleeps=bool(rollout.free_cache_engine and rollout.get("enable_sleep_mode", True)),
        utilization=float(rollout.gpu_memory_utilization),
        tensor_parallel=int(rollout.tensor_model_parallel_size),
        rollout_element=_bytes("actor_rollout_ref.rollout.dtype", rollout.dtype),
        max_len=int(rollout.max_model_len or longest),
        max_num_seqs=int(rollout.max_num_seqs),
        max_num_batched_tokens=int(rollout.max_num_batched_tokens),
        sync_bucket=int(rollout.checkpoint_engine.update_weights_bucket_megabytes) << 20,
    )
    notes = []
    if config.critic.enable:
        notes.append("critic.enable=True: the critic's memory is not counted (AWPO has no critic)")
    if not colocated:
        notes.append(
            "trainer_mode=separate_async: vLLM has GPUs of its own; the phases below are those of the training GPUs"
        )
    if config.reward.reward_model.enable:
        notes.append("reward.reward_model.enable=True: the served reward model's memory is not counted")
    return setup, notes


def _tokens(section: Any, prefix: str, longest: int, name: str, parallel: int) -> int:
    """Of a micro batch on one GPU. A dynamic one still holds a whole longest sequence; a fixed one is counted as padded."""
    if section[f"{prefix}use_dynamic_bsz" if prefix else "use_dynamic_bsz"]:
        most = int(section[f"{prefix}max_token_len_per_gpu" if prefix else "ppo_max_token_len_per_gpu"])
        return max(most, -(-longest // parallel))
    rows = section[f"{prefix}micro_batch_size_per_gpu" if prefix else "ppo_micro_batch_size_per_gpu"]
    if not rows:
        raise PlanError(f"set {name}micro_batch_size_per_gpu, or actor_rollout_ref.actor.use_dynamic_bsz=True")
    return int(rows) * longest // parallel


def _bytes(key: str, dtype: Any) -> int:
    if dtype is None:
        return 4
    try:
        return _BYTES[str(dtype)]
    except KeyError:
        raise PlanError(f"{key}={dtype}: must be one of {', '.join(_BYTES)}") from None
