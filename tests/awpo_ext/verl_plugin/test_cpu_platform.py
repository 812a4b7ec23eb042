"""Canary: every name that the CPU platform touches in verl and vLLM is still there, and it is inert unless asked for."""

import importlib
import inspect

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.verl_plugin.cpu import platform as cpu
from awpo_ext.verl_plugin.cpu import vllm as vllm_cpu


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in cpu.TOUCHED.items() for name in names]
)
def test_touched_names_exist(module, name):
    assert hasattr(importlib.import_module(module), name)


def test_platform_implements_all_that_verl_asks():
    from verl.plugin.platform.platform_base import PlatformBase

    assert not inspect.isabstract(cpu.PlatformCPU)
    assert issubclass(cpu.PlatformCPU, PlatformBase)


def test_device_module_has_what_verl_calls_on_it():
    """Read from verl's source, so that a new call shows here and not in the middle of a run."""
    import re
    from pathlib import Path

    import verl

    called = set()
    for path in Path(verl.__file__).parent.rglob("*.py"):
        called |= set(re.findall(r"get_torch_device\(\)\.(\w+)", path.read_text()))
    assert called and not {name for name in called if not hasattr(cpu.DEVICE_MODULE, name)}


def test_process_group_is_gloo_once():
    from verl.utils import distributed

    assert "with_ray" in inspect.getclosurevars(distributed.initialize_global_process_group_ray).nonlocals


def test_the_saved_policy_is_a_copy():
    """separate_async goes back to it between mini-batches; verl's own function gives the live weights on the CPU."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from verl.utils import fsdp_utils

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = fully_shard(torch.nn.Linear(3, 2), mesh=init_device_mesh("cpu", (1,)))
        before = model.weight.to_local().clone()
        saved, spec = fsdp_utils.fsdp2_sharded_save_to_cpu(model)
        with torch.no_grad():
            model.weight.to_local().add_(1)
        assert torch.equal(saved["weight"][0], before)
        fsdp_utils.fsdp2_sharded_load_from_cpu(model, saved, spec)
        assert torch.equal(model.weight.to_local(), before)
    finally:
        torch.distributed.destroy_process_group()


def test_inert_unless_asked_for(monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "nvidia")
    from vllm import _custom_ops

    monkeypatch.setattr(_custom_ops, "_supports_onednn", True)
    assert not vllm_cpu.requested()
    vllm_cpu.register()
    assert _custom_ops._supports_onednn is True
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    vllm_cpu.register()
    assert _custom_ops._supports_onednn is False


def test_auto_detection_never_picks_it():
    assert not cpu.PlatformCPU().is_platform_available(use_smi_check=True)
