"""Does it fit, and which key helps? Each candidate is a change of one key, tried on the estimate itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from awpo_ext.plan.memory import Setup, kv_cache_bytes, peak, phases

SAFE = 0.92  # of the GPU: the allocator's fragments and what the estimate misses need the rest
_ACTOR, _MODEL, _ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.model", "actor_rollout_ref.rollout"


@dataclass(frozen=True)
class Change:
    """One override, the run's peak with it, and whether the run then fits."""

    override: str
    peak: int
    fits: bool


def fits(setup: Setup, gpu: int) -> bool:
    """Every phase below SAFE of the GPU, and room in the KV cache for one sequence of the full length."""
    if peak(setup, gpu) > SAFE * gpu:
        return False
    return not setup.colocated or cached_tokens(setup, gpu) >= setup.max_len


def cached_tokens(setup: Setup, gpu: int) -> int:
    """Tokens that the KV cache holds, over all GPUs of one engine."""
    per_token = setup.model.kv_bytes_per_token(setup.rollout_element)
    return max(0, kv_cache_bytes(setup, gpu)) * setup.tensor_parallel // per_token


def changes(setup: Setup, gpu: int) -> list[Change]:
    """Changes that lower the largest phase or make the run fit; those that make it fit first, then what costs least."""
    before = peak(setup, gpu)
    tried = [Change(override, peak(other, gpu), fits(other, gpu)) for override, other in _candidates(setup)]
    return sorted((one for one in tried if one.fits or one.peak < before), key=lambda one: not one.fits)


def worst(setup: Setup, gpu: int) -> str:
    """The largest phase."""
    return max(phases(setup, gpu).items(), key=lambda item: sum(item[1].values()))[0]


def _candidates(setup: Setup) -> list[tuple[str, Setup]]:
    """From what costs least, in speed or in method, to what costs most."""
    engine = f"{_ACTOR}.fsdp_config"
    found = []
    if not setup.checkpointing:
        found.append((f"{_MODEL}.enable_gradient_checkpointing=True", replace(setup, checkpointing=True)))
    if setup.colocated and not setup.sleeps:
        found.append((f"{_ROLLOUT}.free_cache_engine=True", replace(setup, sleeps=True)))
    if not setup.reshard:
        found.append((f"{engine}.reshard_after_forward=True", replace(setup, reshard=True)))
    half = max(setup.max_len, setup.log_prob_tokens // 2)
    if half < setup.log_prob_tokens:
        override = f"{_ROLLOUT}.log_prob_max_token_len_per_gpu={half} (or log_prob_micro_batch_size_per_gpu)"
        found.append((override, replace(setup, log_prob_tokens=half)))
    half = max(setup.max_len, setup.update_tokens // 2)
    if half < setup.update_tokens:
        override = f"{_ACTOR}.ppo_max_token_len_per_gpu={half} (or ppo_micro_batch_size_per_gpu)"
        found.append((override, replace(setup, update_tokens=half)))
    if not setup.fused_kernels:
        found.append((f"{_MODEL}.use_fused_kernels=True", replace(setup, fused_kernels=True)))
    for share in (0.8, 0.6, 0.5, 0.4, 0.3):
        if setup.colocated and share != setup.utilization:
            found.append((f"{_ROLLOUT}.gpu_memory_utilization={share}", replace(setup, utilization=share)))
    if setup.reference and not setup.reference_offload:
        override = "actor_rollout_ref.ref.fsdp_config.param_offload=True"
        found.append((override, replace(setup, reference_offload=True)))
    if not setup.optimizer_offload:
        found.append((f"{engine}.optimizer_offload=True", replace(setup, optimizer_offload=True)))
    if not setup.param_offload:
        found.append((f"{engine}.param_offload=True", replace(setup, param_offload=True)))
    if not setup.offload_all:
        found.append((f"{engine}.offload_policy=True (fsdp2; slow)", replace(setup, offload_all=True)))
    more = 2 * setup.shards
    found.append((f"shard over {more} GPUs (trainer.n_gpus_per_node, trainer.nnodes)", replace(setup, shards=more)))
    if not setup.lora_rank:
        found.append((f"{_MODEL}.lora_rank=32", replace(setup, lora_rank=32, reference=False)))
    return found
