"""What `import verl` loads in every process (entry-point group `verl.plugins`): post-import hooks, nothing heavy.

verl logs a plugin's failure at DEBUG and goes on, and the user later reads "Unknown advantage estimator". So a failure
here is printed in full before it is raised.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from types import ModuleType

logger = logging.getLogger(__name__)


def _install() -> None:
    import wrapt

    for name in (
        "awpo_ext",
        "reward_models",
    ):  # a level of their own: importing vLLM's server raises the root's to ERROR
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)

    from awpo_ext.verl_plugin.cpu.vllm import requested

    if requested():
        from awpo_ext.verl_plugin.cpu import platform as cpu

        cpu.install()
    for part, hook, module in (
        ("estimator and loss", _register_algorithms, "verl.trainer.ppo.core_algos"),
        ("trainer", _extend_trainers, "verl.trainer.ppo.v1"),
        ("agent loop", _register_agent_loop, "verl.experimental.agent_loop.tool_agent_loop"),
        ("check of the legacy trainer", _refuse_legacy_trainer, "verl.trainer.ppo.ray_trainer"),
    ):
        wrapt.register_post_import_hook(_guarded(part, hook), module)


def _guarded(part: str, hook: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """A hook that never breaks verl's import: runs without AWPO go on, and those with it are refused with the reason."""

    def run(module: ModuleType) -> None:
        from awpo_ext.verl_plugin import compat

        try:
            hook(module)
        except Exception as error:
            compat.unavailable[part] = f"{type(error).__name__}: {error}"
            logger.error("awpo-ext: AWPO's %s is not available in this process: %s", part, error)

    return run


def _register_algorithms(core_algos: ModuleType) -> None:
    from awpo_ext.verl_plugin.driver import estimator
    from awpo_ext.verl_plugin.worker import loss

    estimator.register(core_algos)
    loss.register(core_algos)


def _extend_trainers(v1: ModuleType) -> None:
    from awpo_ext.verl_plugin.driver import registry

    registry.extend(v1.trainer_base)


def _register_agent_loop(tool_agent_loop: ModuleType) -> None:
    # Importing it registers it; it may be what is importing verl's loop right now.
    import awpo_ext.verl_plugin.rollout.turns  # noqa: F401


def _refuse_legacy_trainer(ray_trainer: ModuleType) -> None:
    """It hands estimators no reward columns: say so before it loads anything, not at its first step.

    verl's fully asynchronous and one-step-off trainers are subclasses of it, and end here too.
    """
    import wrapt

    def refuse(wrapped, instance, args, kwargs):
        from awpo_ext.verl_plugin.driver.run_checks import refuse_legacy

        refuse_legacy(kwargs["config"] if "config" in kwargs else args[0], type(instance).__name__)
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper(ray_trainer, "RayPPOTrainer.__init__", refuse)


try:
    _install()
except Exception:
    print("awpo-ext: the verl plugin failed to load; `awpo doctor` shows what is missing.", file=sys.stderr)
    traceback.print_exc()
    raise
