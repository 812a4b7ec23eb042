"""What `import verl` loads in every process (entry-point group `verl.plugins`): post-import hooks, nothing heavy.

verl logs a plugin's failure at DEBUG and goes on, and the user later reads "Unknown advantage estimator". So a failure
here is printed in full before it is raised.
"""

import logging
import sys
import traceback


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
    wrapt.register_post_import_hook(_register_algorithms, "verl.trainer.ppo.core_algos")
    wrapt.register_post_import_hook(_extend_trainers, "verl.trainer.ppo.v1")
    wrapt.register_post_import_hook(_register_agent_loop, "verl.experimental.agent_loop.tool_agent_loop")
    wrapt.register_post_import_hook(_refuse_legacy_trainer, "verl.trainer.ppo.ray_trainer")


def _register_algorithms(core_algos) -> None:
    from awpo_ext.verl_plugin.driver import estimator
    from awpo_ext.verl_plugin.worker import loss

    estimator.register(core_algos)
    loss.register(core_algos)


def _extend_trainers(v1) -> None:
    from awpo_ext.verl_plugin.driver import trainer

    trainer.extend_registry(v1.trainer_base)


def _register_agent_loop(tool_agent_loop) -> None:
    import awpo_ext.verl_plugin.rollout.turns  # noqa: F401  (registers itself; it may be what is importing verl's loop right now)


def _refuse_legacy_trainer(ray_trainer) -> None:
    """It hands estimators no reward columns: say so before it loads anything, not at its first step."""
    import wrapt

    def refuse(wrapped, instance, args, kwargs):
        from awpo_ext.verl_plugin.driver.run_checks import check_run

        check_run(kwargs["config"] if "config" in kwargs else args[0])
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper(ray_trainer, "RayPPOTrainer.__init__", refuse)


try:
    _install()
except Exception:
    print("awpo-ext: the verl plugin failed to load; `awpo doctor` shows what is missing.", file=sys.stderr)
    traceback.print_exc()
    raise
