"""Which packages a run with this configuration imports only after minutes, in its workers: imported here, before."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf

ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"
VERLS_DEFAULT = "flash_attention_2"  # verl.workers.config.model.HFModelConfig, where the key above is not set


def import_problems(config: DictConfig, load: Callable[[str], Any] = import_module) -> list[str]:
    """What will not import, each with the key or the command that mends it. `load` imports a module by name."""
    found = []
    attention = OmegaConf.select(config, ATTENTION) or VERLS_DEFAULT
    on_gpus = os.environ.get("VERL_PLATFORM") != "cpu" and config.trainer.device != "cpu"
    fsdp = config.actor_rollout_ref.actor.strategy in ("fsdp", "fsdp2")
    if attention == VERLS_DEFAULT and fsdp and on_gpus and (why := _failure("flash_attn", load)):
        found.append(
            f"the actor's attention is {attention}, which needs flash_attn, and that does not import ({why}): set "
            f"++{ATTENTION}=sdpa (the recipes: ATTENTION=sdpa), or install flash-attn (docs/install.md)"
        )
    engine = config.actor_rollout_ref.rollout.name
    if engine in ("vllm", "sglang") and (why := _failure(engine, load)):
        found.append(
            f"actor_rollout_ref.rollout.name={engine}, and {engine} does not import ({why}): "
            f"pip install 'verl[{engine}]' (docs/install.md), or name an engine that is installed"
        )
    return found


def _failure(module: str, load: Callable[[str], Any]) -> str:
    """Why a module does not import; empty where it does. A wheel for another torch or CUDA fails with many types."""
    try:
        load(module)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""
