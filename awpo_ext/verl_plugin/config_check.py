"""Resolve a verl configuration from Hydra overrides as main_ppo does, and say what is wrong with it. Needs no GPU.

verl validates part of a configuration when it starts, part in its workers minutes later, and drops the rest unread.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from awpo_ext.verl_plugin.driver.run_checks import check_run

# Sections of verl's main configuration that its V1 trainer no longer reads, and what replaced them.
LEGACY = {
    "reward_model": "reward.reward_model, reward.reward_manager, reward.num_workers",
    "custom_reward_function": "reward.custom_reward_function",
    "sandbox_fusion": "reward.sandbox_fusion",
}
# Sections whose keys belong to someone else: passed on whole, so verl's own source does not name them.
OPEN_SECTIONS = (
    "algorithm.awpo.",
    "reward.custom_reward_function.reward_kwargs.",
    "ray_kwargs.ray_init.",
    "transfer_queue.",
    "trainer.v1.sampler.sampler_kwargs.",
)
OPEN_PARTS = (".override_config.", ".engine_kwargs.", ".apply_chat_template_kwargs.")
# Sections that verl turns into strict dataclasses in its workers, where an unknown key ends the run.
DATACLASS_SECTIONS = ("actor_rollout_ref.actor", "actor_rollout_ref.rollout")


def compose(overrides: list[str]) -> DictConfig:
    """verl's `ppo_trainer` configuration with `overrides`; Hydra's error names a key that does not exist."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        return hydra_compose("ppo_trainer", overrides=overrides)


def problems(overrides: list[str]) -> list[str]:
    """Everything that would stop a run with these overrides, or be dropped unread; one line each. Empty: all is well."""
    try:
        config = compose(overrides)
    except Exception as error:
        return [f"Hydra refuses the overrides: {_one_line(error)}"]
    found = ignored_keys(config)
    for check in (_check_dataclasses, _check_verl, check_run):
        try:
            check(config)
        except Exception as error:
            found.append(_one_line(error))
    return found


def ignored_keys(config: DictConfig) -> list[str]:
    """Keys that are set but that verl will not read: legacy sections, and added keys whose name verl's source lacks."""
    found = [
        f"{section}.{key}={value!r} is ignored by verl's V1 trainer; set {replacement}"
        for section, replacement in LEGACY.items()
        for key, value in _leaves(config.get(section))
        if value is not None
    ]
    known = {key for key, _ in _leaves(compose([]))}
    for key, value in _leaves(config):
        is_open = key.startswith(OPEN_SECTIONS) or any(part in f".{key}." for part in OPEN_PARTS)
        if key in known or is_open or key.split(".")[0] in LEGACY:
            continue
        if key.rsplit(".", 1)[-1] not in _words_of_verl():
            found.append(f"{key}={value!r} is ignored: nothing in verl reads a key of that name; check its spelling")
    return found


def _check_dataclasses(config: DictConfig) -> None:
    from verl.utils.config import omega_conf_to_dataclass

    for section in DATACLASS_SECTIONS:
        try:
            omega_conf_to_dataclass(OmegaConf.select(config, section))
        except Exception as error:
            raise ValueError(f"{section}: {_one_line(error)}") from error


def _check_verl(config: DictConfig) -> None:
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    validate_config(config=config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))


def _leaves(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """(dotted key, value) of every leaf; a mandatory value that is missing counts as None."""
    if not isinstance(node, DictConfig):
        return []
    leaves = []
    for key in node:
        value = None if OmegaConf.is_missing(node, key) else node._get_node(key)
        if isinstance(value, DictConfig) and value._content is not None and not value._is_interpolation():
            leaves.extend(_leaves(value, f"{prefix}{key}."))
        else:
            leaves.append((f"{prefix}{key}", value._value() if hasattr(value, "_value") else value))
    return leaves


@cache
def _words_of_verl() -> frozenset[str]:
    """Every identifier in verl's Python source: a configuration key that is none of them cannot be read by it."""
    import verl

    words: set[str] = set()
    for path in Path(verl.__file__).parent.rglob("*.py"):
        words.update(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", path.read_text(encoding="utf-8", errors="ignore")))
    return frozenset(words)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
