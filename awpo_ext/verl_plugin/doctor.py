"""`awpo doctor`: is this environment, and this configuration, one in which AWPO trains? Each finding comes with its fix."""

import asyncio
import os
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from awpo_ext import __version__
from awpo_ext.verl_plugin.compat import SUPPORTED, TESTED
from reward_models.errors import install_extra
from reward_models.sandbox.lockdown import confinement

PACKAGES = (
    *("verl", "torch", "transformers", "ray", "TransferQueue", "tensordict", "vllm", "flash-attn"),
    "sentence-transformers",
)
RAY_TIMEOUT_S = 180


@dataclass
class Section:
    """One part of the report: what was found, and the problems among it."""

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def versions() -> Section:
    """What is installed."""
    section = Section("Versions", [("awpo-ext", __version__)])
    for package in PACKAGES:
        try:
            section.facts.append((package, version(package)))
        except PackageNotFoundError:
            section.facts.append((package, "not installed"))
            if package == "verl":
                section.problems.append(
                    f"verl is not installed: {install_extra('gpu')}; without a GPU: recipes/cpu/setup_env.sh"
                )
            elif package == "TransferQueue":
                section.problems.append(
                    "TransferQueue, which verl's V1 trainer needs, is missing: pip install TransferQueue"
                )
    section.facts.append(("sandbox of tools", confinement()))
    section.problems += shadowed()
    installed = dict(section.facts)["verl"]
    if installed != "not installed" and installed not in SUPPORTED:
        section.problems.append(f"verl {installed} is outside {SUPPORTED}: pip install 'verl=={TESTED}'")
    return section


def shadowed() -> list[str]:
    """A package of the same name that a run would import in place of ours: `python -m` looks in the current folder first."""
    found = []
    for name in ("awpo_ext", "reward_models"):
        ours = find_spec(name).origin
        for folder in (Path.cwd(), *map(Path, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))):
            for path in (folder / name / "__init__.py", folder / f"{name}.py"):
                if path.is_file() and not path.samefile(ours):
                    found.append(
                        f"{path} hides awpo-ext's package {name} ({ours}) in a run that starts here: rename it, or start "
                        "the run in another folder"
                    )
    return found


def registered() -> dict[str, str]:
    """What verl sees in this process. Also run inside a Ray worker, hence plain values."""
    import verl
    import verl.trainer.ppo.v1  # noqa: F401  (and the trainers)
    from verl.plugin.platform import get_platform
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin

    extended = [name for name, cls in sorted(TRAINER_REGISTRY.items()) if issubclass(cls, AwpoTrainerMixin)]
    return {
        "advantage estimator awpo": "registered" if "awpo" in ADV_ESTIMATOR_REGISTRY else "missing",
        "policy loss awpo": "registered" if "awpo" in POLICY_LOSS_REGISTRY else "missing",
        "trainers extended": ", ".join(extended) or "missing",
        "platform": get_platform().device_name,
    }


def registration() -> Section:
    """The plugin in this process."""
    section = Section("Registered here")
    try:
        section.facts = list(registered().items())
    except Exception as error:
        section.problems.append(f"verl and the plugin do not import: {type(error).__name__}: {error}")
        return section
    section.problems = _missing(section.facts, "here")
    return section


def ray_registration() -> Section:
    """The plugin inside a Ray worker, which is where training happens."""
    import ray

    section = Section("Registered in a Ray worker")
    started = not ray.is_initialized()
    try:
        if started:
            ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        section.facts = list(ray.get(ray.remote(registered).remote(), timeout=RAY_TIMEOUT_S).items())
    except Exception as error:
        section.problems.append(
            f"a Ray worker cannot load verl with the plugin: {type(error).__name__}: {error}; install awpo-ext in the "
            "environment of every node (and leave VERL_USE_EXTERNAL_PLUGINS unset or naming awpo)"
        )
        return section
    finally:
        if started:
            ray.shutdown()
    section.problems = _missing(section.facts, "in the Ray worker")
    return section


def _missing(facts: list[tuple[str, str]], where: str) -> list[str]:
    policy = os.environ.get("VERL_USE_EXTERNAL_PLUGINS", "auto")
    return [
        f"{name}: missing {where}; install awpo-ext in the environment there (docs/install.md), and let verl load plugins "
        f"(VERL_USE_EXTERNAL_PLUGINS={policy}, allowed: auto, or a list with awpo)"
        for name, value in facts
        if value == "missing"
    ]


def configuration(overrides: list[str]) -> Section:
    """The configuration that these Hydra overrides make."""
    from awpo_ext.verl_plugin.config_check import compose, problems
    from awpo_ext.verl_plugin.driver.run_checks import awpo_section, uses_awpo
    from awpo_ext.verl_plugin.driver.template_check import template_facts
    from awpo_ext.verl_plugin.run_imports import import_problems

    section = Section("Configuration", problems=problems(overrides))
    if not section.problems:
        config = compose(overrides)
        section.problems += import_problems(config)
        section.facts.append(("algorithm.adv_estimator", str(config.algorithm.adv_estimator)))
        if uses_awpo(config):
            section.facts += [(f"algorithm.awpo.{k}", str(v)) for k, v in vars(awpo_section(config)).items()]
            section.facts += template_facts(config)
        else:
            section.problems.append(
                f"algorithm.adv_estimator={config.algorithm.adv_estimator}: this run does not use AWPO; set it to awpo"
            )
    return section


def reward_columns(overrides: list[str]) -> Section:
    """Call the configured reward function once, on the first training row with its ground truth as the response."""
    from awpo_ext.verl_plugin.config_check import compose
    from awpo_ext.verl_plugin.driver.run_checks import awpo_section

    section = Section("Reward columns")
    try:
        config = compose(overrides)
        awpo = awpo_section(config)
        result = _call_reward(config)
    except Exception as error:
        section.problems.append(f"the reward function cannot be called: {type(error).__name__}: {error}")
        return section
    if not isinstance(result, dict):
        section.problems.append(f"the reward function returned {result!r}; AWPO needs a dict with named columns")
        return section
    section.facts = [(key, str(value)) for key, value in result.items()]
    for key in ("score", *awpo.components, *awpo.reasoning_key, *awpo.valid_key):
        if key not in result:
            section.problems.append(
                f"column '{key}' does not arrive; set reward.custom_reward_function.path=pkg://reward_models.reward "
                "reward.custom_reward_function.name=compute_score, or return it from your function"
            )
    if "reward" in result:
        section.problems.append("column 'reward' collides with verl's own in validation; give it another name")
    return section


def _call_reward(config: Any) -> Any:
    from verl.trainer.ppo.reward import get_custom_reward_fn

    function = get_custom_reward_fn(config)
    if function is None:
        raise ValueError(
            "reward.custom_reward_function.path is not set; set it to pkg://reward_models.reward with name=compute_score"
        )
    row = _first_row(config)
    result = function(
        data_source=row["data_source"],
        solution_str=row["reward_model"]["ground_truth"],
        ground_truth=row["reward_model"]["ground_truth"],
        extra_info=row.get("extra_info") or {},
    )
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def _first_row(config: Any) -> dict[str, Any]:
    import pyarrow.parquet as pq

    files = config.data.train_files
    path = Path(os.path.expanduser(str(files if isinstance(files, str) else files[0])))
    if not path.is_file():
        raise ValueError(f"data.train_files={path} is not a file; make it with `awpo data`")
    return next(pq.ParquetFile(path).iter_batches(batch_size=1)).to_pylist()[0]
