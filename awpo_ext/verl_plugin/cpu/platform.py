"""verl on a machine without an accelerator: a platform named `cpu`, for trying recipes and for tests.

Inert unless VERL_PLATFORM=cpu. Not for speed: it exists so that the whole chain (vLLM, FSDP2 over gloo, weight sync)
runs where there is no GPU. Every verl name touched here is listed in TOUCHED and checked by a canary test.
"""

import os
import resource
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import psutil
import torch
import wrapt
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

PLATFORM = "cpu"

TOUCHED = {
    "verl.utils.distributed": ("initialize_global_process_group", "initialize_global_process_group_ray"),
    "verl.utils.fsdp_utils": ("fsdp2_sharded_save_to_cpu",),
    "verl.workers.engine.fsdp.transformer_impl": ("CPUOffloadPolicy",),
    "vllm._custom_ops": ("_supports_onednn",),
}


def _peak_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _rss_bytes() -> int:
    return psutil.Process().memory_info().rss


def _mem_get_info(device: Any = None) -> tuple[int, int]:
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


# What verl calls on `torch.<device>`; torch.cpu has only part of it. Memory is the process's resident set.
DEVICE_MODULE = SimpleNamespace(
    is_available=lambda: True,
    device_count=lambda: 1,
    current_device=lambda: torch.device("cpu"),
    set_device=_nothing,
    synchronize=_nothing,
    empty_cache=_nothing,
    ipc_collect=_nothing,
    set_per_process_memory_fraction=_nothing,
    reset_peak_memory_stats=_nothing,
    memory_allocated=lambda *_: _rss_bytes(),
    memory_reserved=lambda *_: _rss_bytes(),
    max_memory_allocated=lambda *_: _peak_rss_bytes(),
    max_memory_reserved=lambda *_: _peak_rss_bytes(),
    mem_get_info=_mem_get_info,
    get_device_name=lambda *_: "CPU",
    get_rng_state=lambda *_: torch.get_rng_state(),
    set_rng_state=lambda state, *_: torch.set_rng_state(state),
    manual_seed=torch.manual_seed,
    manual_seed_all=torch.manual_seed,
    current_stream=torch.cpu.current_stream,
    stream=lambda *_: nullcontext(),
    Stream=torch.cpu.Stream,
    Event=torch.cpu.Event,
)


class PlatformCPU(PlatformBase):
    """CPU as a verl platform: gloo for collectives, logical Ray GPUs for placement, no IPC, no profiler."""

    device_name = PLATFORM
    vendor_name = PLATFORM
    device_module = DEVICE_MODULE

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """False, so that auto-detection never picks it: VERL_PLATFORM=cpu has to be said."""
        return False

    def current_device(self) -> torch.device:
        """A torch.device rather than an index: verl moves tensors with `.to(get_device_id())`, and 0 would be CUDA."""
        return torch.device("cpu")

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        return None

    def synchronize(self, device_index: int | None = None) -> None:
        return None

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        return None

    def empty_cache(self) -> None:
        return None

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return (None, None)

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str):
        yield

    def profiler_start(self) -> None:
        return None

    def profiler_stop(self) -> None:
        return None

    def ray_resource_name(self) -> str:
        """`GPU`: verl places workers on Ray GPUs only, so the recipe declares logical ones (ray_init.num_gpus)."""
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self) -> None:
        return None


def install() -> None:
    """Register the platform, and mend verl's three places that no platform class can reach.

    Called by the entry point where `vllm_cpu.requested()`; the mends wait until verl itself imports the modules.
    """
    # verl reads this one to choose among the FSDP engines, which are registered for cuda and npu only.
    os.environ.setdefault("VERL_ENGINE_DEVICE", "cuda")
    PlatformRegistry.register(platform=PLATFORM)(PlatformCPU)
    wrapt.register_post_import_hook(_use_gloo_once, "verl.utils.distributed")
    wrapt.register_post_import_hook(_save_copies, "verl.utils.fsdp_utils")
    wrapt.register_post_import_hook(_no_pinned_memory, "verl.workers.engine.fsdp.transformer_impl")


def _use_gloo_once(distributed: Any) -> None:
    """verl asks torch for `cpu:gloo,<device>:<backend>`, here `cpu:gloo,cpu:gloo`, which torch refuses as a duplicate."""
    with_ray = distributed.initialize_global_process_group_ray

    def initialize_global_process_group_ray(timeout_second: float | None = None, backend: str | None = None) -> None:
        with_ray(timeout_second=timeout_second, backend=backend or "cpu:gloo")

    def initialize_global_process_group(timeout_second: float = 36000) -> tuple[int, int, int]:
        with_ray(timeout_second=timeout_second, backend="cpu:gloo")
        return tuple(int(os.environ[name]) for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"))

    distributed.initialize_global_process_group_ray = initialize_global_process_group_ray
    distributed.initialize_global_process_group = initialize_global_process_group


def _save_copies(fsdp_utils: Any) -> None:
    """verl saves the old policy of separate_async with `.cpu()`, which on the CPU is the live weights and not a copy.

    Every mini-batch's old log-probabilities would then come from the newest weights, and no ratio would ever be clipped.
    """
    save = fsdp_utils.fsdp2_sharded_save_to_cpu

    def fsdp2_sharded_save_to_cpu(model: torch.nn.Module) -> tuple[dict[str, tuple[torch.Tensor, Any]], Any]:
        shards, spec = save(model)
        return {name: (shard.clone(), shard_spec) for name, (shard, shard_spec) in shards.items()}, spec

    fsdp_utils.fsdp2_sharded_save_to_cpu = fsdp2_sharded_save_to_cpu


def _no_pinned_memory(transformer_impl: Any) -> None:
    """verl's reference model pins memory, which needs an accelerator."""
    policy = transformer_impl.CPUOffloadPolicy
    transformer_impl.CPUOffloadPolicy = lambda pin_memory=True: policy(pin_memory=False)
