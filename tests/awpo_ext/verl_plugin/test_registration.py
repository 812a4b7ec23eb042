"""The plugin in verl: registered names, extended trainers, a load that is cheap and a failure that is seen."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")


def python(program: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True, text=True, timeout=200, env=os.environ | environment,
    )  # fmt: skip


def test_stock_verl_finds_estimator_loss_and_trainers():
    from awpo_ext.verl_plugin.doctor import registered

    found = registered()
    assert found["advantage estimator awpo"] == found["policy loss awpo"] == "registered"
    assert found["trainers extended"] == "colocate_async, separate_async, sync"


def test_extended_trainers_keep_their_names_and_classes():
    from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls, trainer_base

    from awpo_ext.verl_plugin.driver import registry
    from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin

    extended = get_trainer_cls("sync")
    assert issubclass(extended, PPOTrainerSync) and issubclass(extended, AwpoTrainerMixin)
    registry.extend(trainer_base)
    assert get_trainer_cls("sync") is extended  # a second call extends nothing twice


def test_a_recipe_of_ones_own_may_import_the_mixin_first():
    program = """
from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin
from verl.trainer.ppo.v1 import get_trainer_cls
print(issubclass(get_trainer_cls("sync"), AwpoTrainerMixin))
"""
    assert python(program).stdout.strip().endswith("True")


def test_a_trainer_of_ones_own_needs_the_mixin_and_no_more(monkeypatch):
    from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls, register_trainer, trainer_base

    from awpo_ext.verl_plugin.config_check import compose
    from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin

    monkeypatch.setattr(trainer_base, "TRAINER_REGISTRY", dict(trainer_base.TRAINER_REGISTRY))
    monkeypatch.setattr(PPOTrainerSync, "__init__", lambda self, config: None)

    @register_trainer("mine")
    class Mine(AwpoTrainerMixin, PPOTrainerSync):
        pass

    config = compose(
        [
            "trainer.v1.trainer_mode=mine",
            "algorithm.adv_estimator=awpo",
            "actor_rollout_ref.actor.policy_loss.loss_mode=awpo",
            "actor_rollout_ref.rollout.n=4",
            "+algorithm.awpo.gate=threshold",
        ]
    )
    assert get_trainer_cls("mine")(config)._awpo.gate == "threshold"


def test_the_legacy_trainer_refuses_awpo_before_it_loads_anything():
    from verl.trainer.ppo.ray_trainer import RayPPOTrainer

    from awpo_ext.verl_plugin.compat import AwpoSetupError
    from awpo_ext.verl_plugin.config_check import compose

    config = compose(["algorithm.adv_estimator=awpo", "trainer.use_v1=False"])
    with pytest.raises(AwpoSetupError, match=r"set trainer\.use_v1=True"):
        RayPPOTrainer(config, None, None, None)


def test_loading_is_cheap():
    """The plugin imports neither a trainer nor vLLM, and adds under 0.1 s to verl's own seconds (best of three)."""
    program = """
import verl, sys, time
heavy = [m for m in ("vllm", "transformers.modeling_utils", "verl.trainer.ppo.core_algos") if m in sys.modules]
seconds = []
for _ in range(3):
    for name in [m for m in sys.modules if m.startswith(("awpo_ext", "wrapt"))]:
        del sys.modules[name]
    started = time.perf_counter()
    import awpo_ext.verl_plugin.entry_point
    seconds.append(time.perf_counter() - started)
print(heavy, min(seconds))
"""
    result = python(program, VERL_PLATFORM="")
    heavy, seconds = result.stdout.strip().splitlines()[-1].rsplit(" ", 1)
    assert heavy == "[]" and float(seconds) < 0.1, result.stdout


def test_a_failing_load_is_seen():
    program = "import sys; sys.modules['wrapt'] = None; import verl"  # as where wrapt is not installed
    result = python(program)
    assert "awpo-ext: the verl plugin failed to load" in result.stderr
    assert "wrapt" in result.stderr


def test_an_unknown_verl_version_refuses_awpo_before_a_model_loads_and_nothing_else(monkeypatch):
    from verl.trainer.ppo.v1 import PPOTrainerSync, trainer_base

    from awpo_ext.verl_plugin import compat
    from awpo_ext.verl_plugin.config_check import compose
    from awpo_ext.verl_plugin.driver import registry

    made = []
    monkeypatch.setattr(compat, "version", lambda package: "0.11.0")
    monkeypatch.setattr(compat, "unavailable", {})
    monkeypatch.setattr(trainer_base, "TRAINER_REGISTRY", {"sync": PPOTrainerSync})
    monkeypatch.setattr(PPOTrainerSync, "__init__", lambda self, config: made.append(config))
    registry.extend(trainer_base)
    trainer = trainer_base.TRAINER_REGISTRY["sync"]
    trainer(compose([]))
    assert len(made) == 1
    with pytest.raises(compat.AwpoSetupError, match=r"verl 0\.11\.0 is installed"):
        trainer(compose(["algorithm.adv_estimator=awpo"]))
    assert len(made) == 1


@pytest.mark.parametrize("installed", ["0.9.1", "0.9.3", "0.10.0.dev0", "0.10.1"])
def test_the_next_verl_is_known_by_its_shapes(monkeypatch, installed):
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    from awpo_ext.verl_plugin import compat

    monkeypatch.setattr(compat, "version", lambda package: installed)
    compat.check_trainer(PPOTrainer)


def test_a_hook_that_fails_never_breaks_verls_import(monkeypatch, caplog):
    from awpo_ext.verl_plugin import compat, entry_point

    def broken(module):
        raise AttributeError("RayPPOTrainer is gone")

    monkeypatch.setattr(compat, "unavailable", {})
    entry_point._guarded("agent loop", broken)(None)
    assert "RayPPOTrainer is gone" in compat.unavailable["agent loop"] and "agent loop" in caplog.text
    with pytest.raises(compat.AwpoSetupError, match="agent loop is not available"):
        compat.refuse_unavailable("agent loop")
    compat.refuse_unavailable("trainer")


def test_verls_other_trainers_are_refused_too():
    from verl.experimental.separation.ray_trainer import SeparateRayPPOTrainer

    from awpo_ext.verl_plugin.compat import AwpoSetupError
    from awpo_ext.verl_plugin.config_check import compose

    with pytest.raises(AwpoSetupError, match="SeparateRayPPOTrainer hands advantage estimators no reward columns"):
        SeparateRayPPOTrainer(compose(["algorithm.adv_estimator=awpo"]), None, {}, None)


def test_a_changed_trainer_is_named(monkeypatch):
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    from awpo_ext.verl_plugin.compat import AwpoSetupError, check_trainer

    monkeypatch.setattr(PPOTrainer, "_compute_advantage", lambda self, batch: batch)
    with pytest.raises(AwpoSetupError, match=r"PPOTrainer\._compute_advantage takes \('self', 'batch'\)"):
        check_trainer(PPOTrainer)


def test_warnings_are_heard_after_vllm_has_raised_the_roots_level():
    program = """
import logging
import verl
logging.getLogger().setLevel(logging.ERROR)  # as importing verl's vLLM server does
logging.getLogger("awpo_ext.verl_plugin.driver.judge_monitor").warning("the judge is back")
logging.getLogger("reward_models.judges").warning("slow")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "the judge is back" in done.stderr and "slow" in done.stderr
