"""Bytes of one GPU in each phase of a step, by component. Pure arithmetic on a setup.

Phases of a synchronous step in verl: `rollout` (vLLM generates), `log probs` (the actor scores the responses, and the
reference where there is one), `update` (forward, backward, optimizer). A phase's need is the sum of its parts; the
run's is the largest phase.

Activations are those of Hugging Face's Llama-like blocks with attention that keeps no matrix of scores (flash or sdpa): what
autograd saves, for one token of one layer, with b bytes an element (norms work in 4):
  two RMSNorms      2 (4 + 2b) hidden      float copy, normalised, output
  q, k, v, output   b (3 q + 2 kv)         rotated q and k, v, output twice (it is made contiguous)
  q and k norm      (4 + 2b) (q + kv)      Qwen3
  gated MLP         4 b intermediate       gate, its silu, up, product
With checkpointing a layer keeps its input only, and one layer at a time is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass

from awpo_ext.plan.models import Architecture

GIB = 1 << 30
ROLLOUT, LOG_PROBS, UPDATE = "rollout", "log probs", "update"


@dataclass(frozen=True)
class Setup:
    """One run on GPUs that are all alike. Sizes in bytes, lengths in tokens.

    shards: GPUs that share one copy of the model. master, compute: bytes of an element of the weights that are kept,
    and of those that are computed with. update_tokens, log_prob_tokens: of one micro batch on one GPU, padding included.
    offload_all: FSDP2's CPU offload, under which weights, gradients and optimizer live on the CPU all the time; the
    other offloads only empty the GPU for phases that do not use them. colocated: vLLM on the same GPUs.
    """

    model: Architecture
    shards: int
    update_tokens: int
    log_prob_tokens: int
    master: int = 4
    compute: int = 2
    lora_rank: int = 0
    checkpointing: bool = True
    fused_kernels: bool = False
    reshard: bool = True
    param_offload: bool = False
    optimizer_offload: bool = False
    offload_all: bool = False
    reference: bool = False
    reference_offload: bool = False
    fused_optimizer_temporaries: bool = True
    colocated: bool = True
    sleeps: bool = True
    utilization: float = 0.5
    tensor_parallel: int = 1
    rollout_element: int = 2
    max_len: int = 1024
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    sync_bucket: int = 2 << 30
    overhead: int = 3 * GIB // 2

    @property
    def trainable(self) -> int:
        return self.model.lora_parameters(self.lora_rank) if self.lora_rank else self.model.parameters

    @property
    def kept(self) -> int:
        """All weights, adapters included."""
        return self.model.parameters + (self.trainable if self.lora_rank else 0)


def activation_bytes(model: Architecture, tokens: int, b: int) -> int:
    """What one layer keeps for its backward pass."""
    q, kv = model.q_width, model.kv_width
    norms = 2 * (4 + 2 * b) * model.hidden + ((4 + 2 * b) * (q + kv) if model.qk_norm else 0)
    return tokens * (norms + b * (3 * q + 2 * kv) + 4 * b * model.intermediate)


def phases(setup: Setup, gpu: int) -> dict[str, dict[str, int]]:
    """phase -> component -> bytes, of a GPU of `gpu` bytes (vLLM takes a share of it)."""
    found = {LOG_PROBS: _log_probs(setup, gpu), UPDATE: _update(setup, gpu)}
    if setup.colocated:
        found = {ROLLOUT: _rollout(setup, gpu), **found}
    return {phase: {name: size for name, size in parts.items() if size > 0} for phase, parts in found.items()}


def peak(setup: Setup, gpu: int) -> int:
    return max(sum(parts.values()) for parts in phases(setup, gpu).values())


def kv_cache_bytes(setup: Setup, gpu: int) -> int:
    """What vLLM's share leaves for the KV cache; negative where not even the weights fit."""
    return int(setup.utilization * gpu) - _engine_weights(setup) - _engine_work(setup)


def _engine_weights(setup: Setup) -> int:
    return setup.model.parameters * setup.rollout_element // setup.tensor_parallel


def _engine_work(setup: Setup) -> int:
    """vLLM's own profile run: a layer's activations of a full batch, and float logits of every sequence."""
    model, b = setup.model, setup.rollout_element
    layer = setup.max_num_batched_tokens * b * (4 * model.hidden + 2 * model.intermediate // setup.tensor_parallel)
    return layer + setup.max_num_seqs * model.vocab * 6 + GIB // 2  # graphs and workspace


def _engine(setup: Setup, gpu: int) -> dict[str, int]:
    weights, cache = _engine_weights(setup), kv_cache_bytes(setup, gpu)
    return {"vLLM weights": weights, "vLLM KV cache": max(0, cache), "vLLM work space": _engine_work(setup)}


def _rollout(setup: Setup, gpu: int) -> dict[str, int]:
    parts = {**_engine(setup, gpu), "other": setup.overhead}
    if not (setup.param_offload or setup.offload_all):
        parts["actor weights"] = setup.kept * setup.master // setup.shards
    if not (setup.optimizer_offload or setup.offload_all):
        parts["optimizer"] = 8 * setup.trainable // setup.shards
    if setup.reference and not setup.reference_offload:
        parts["reference weights"] = setup.model.parameters * setup.master // setup.shards
    # Weights go over by buckets; a gathered tensor of the largest layer stands beside.
    parts["weight sync"] = min(setup.sync_bucket, _engine_weights(setup))
    return parts


def _awake(setup: Setup, gpu: int) -> dict[str, int]:
    return _engine(setup, gpu) if setup.colocated and not setup.sleeps else {}


def _log_probs(setup: Setup, gpu: int) -> dict[str, int]:
    b, model, tokens = setup.compute, setup.model, setup.log_prob_tokens
    parts = {**_awake(setup, gpu), "other": setup.overhead}
    if not setup.offload_all:
        parts["actor weights"] = setup.kept * setup.master // setup.shards
    if not (setup.optimizer_offload or setup.offload_all):
        parts["optimizer"] = 8 * setup.trainable // setup.shards
    if setup.reference:  # a second copy, unless a LoRA run switches its adapters off
        parts["reference weights"] = model.parameters * setup.master // setup.shards
    parts["gathered weights"] = _gathered(setup)
    parts["activations"] = tokens * b * (4 * model.hidden + 2 * model.intermediate)
    parts["logits"] = 0 if setup.fused_kernels else tokens * model.vocab * (b + 4)
    return parts


def _update(setup: Setup, gpu: int) -> dict[str, int]:
    b, model, tokens = setup.compute, setup.model, setup.update_tokens
    parts = {**_awake(setup, gpu), "other": setup.overhead}
    if not setup.offload_all:
        parts["actor weights"] = setup.kept * setup.master // setup.shards
        parts["gradients"] = setup.trainable * setup.master // setup.shards
        parts["optimizer"] = 8 * setup.trainable // setup.shards
    if setup.reference and not setup.reference_offload:
        parts["reference weights"] = model.parameters * setup.master // setup.shards
    layer = activation_bytes(model, tokens, b)
    kept = tokens * model.hidden * b * model.layers + layer if setup.checkpointing else layer * model.layers
    forward = {
        "gathered weights": _gathered(setup),
        "activations": kept,
        # Logits, their float softmax, and their gradient.
        "logits": 0 if setup.fused_kernels else tokens * model.vocab * (2 * b + 4),
    }
    # The optimizer's temporaries come when activations are gone: only the larger of the two counts.
    step = 0 if setup.offload_all or not setup.fused_optimizer_temporaries else 4 * setup.trainable // setup.shards
    if step > sum(forward.values()):
        return {**parts, "optimizer step": step}
    return {**parts, **forward}


def _gathered(setup: Setup) -> int:
    """Weights in the compute type that FSDP gathers: two layers at a time and the embeddings, or all of them."""
    model, b = setup.model, setup.compute
    if setup.shards == 1 and setup.master == b and not setup.offload_all:
        return 0
    if not setup.reshard:
        return model.parameters * b
    return (2 * model.layer_parameters + model.embedding_parameters) * b
