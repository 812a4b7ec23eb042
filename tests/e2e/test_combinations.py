"""AWPO together with verl's other features: each run is real, and logs what its rollouts imply."""

from typing import get_args

import pytest

from awpo_ext.advantage import Closed
from awpo_ext.config import AwpoConfig
from tests.e2e.expected import expected_of_step
from tests.e2e.stock_verl import main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

ONE_STEP = "trainer.total_training_steps=1"


def first_step(folder, run, config=AwpoConfig()):
    """What the one step logged, with the gate and the radius checked."""
    assert run.returncode == 0, run.console[-6000:]
    outcome, result, radius = expected_of_step(folder, 1, config)
    logged = run.steps[1]
    assert logged["awpo/outcome/mean"] == pytest.approx(sum(outcome) / len(outcome))
    assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
    assert logged["awpo/clip_radius"] == pytest.approx(float(radius.mean()))
    return logged, result


@pytest.mark.parametrize("gate", get_args(AwpoConfig.__annotations__["gate"]))
def test_each_gate(tiny_model, tmp_path, gate):
    run = main_ppo(tmp_path, tiny_model, "trainer.total_training_steps=2", f"+algorithm.awpo.gate={gate}")
    assert run.returncode == 0, run.console[-6000:]
    config, state, gates = AwpoConfig(gate=gate), None, []
    for step, logged in run.steps.items():
        _, result, radius = expected_of_step(tmp_path, step, config, state)
        state = result.reliability
        assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
        assert logged["awpo/applied_clip_radius"] == pytest.approx(float(radius), rel=1e-5)
        assert logged["awpo/blended/signal_power"] == pytest.approx(float(result.advantages.square().mean()))
        assert logged["actor/grad_norm"] > 0
        gates.append(logged["awpo/gate/mean"])
    assert len(gates) == 2
    if gate == "threshold":  # it opens where outcomes are nearly equal, which may be nowhere
        return
    assert (gates[1] > 0) == (gate != "none") and (gates[0] > 0) == (gate not in ("none", "reliability"))


def test_gdpo_with_two_signals_on_verls_default_trainer(tiny_model, tmp_path):
    signals = ["reasoning", "grounding"]
    run = main_ppo(
        tmp_path,
        tiny_model,
        ONE_STEP,
        "+algorithm.awpo.preset=gdpo",
        "+algorithm.awpo.reasoning_key=[reasoning,grounding]",
        "+algorithm.awpo.reasoning_weight=[1.0,0.5]",
        "actor_rollout_ref.actor.policy_loss.loss_mode=vanilla",
    )
    config = AwpoConfig.from_mapping({"preset": "gdpo", "reasoning_key": signals, "reasoning_weight": [1.0, 0.5]})
    logged, _ = first_step(tmp_path, run, config)
    assert logged["awpo/reasoning/grounding/valid_fraction"] == 1.0
    assert logged["awpo/reasoning/reasoning/valid_fraction"] < 1.0
    assert abs(logged["critic/advantages/mean"]) < 1e-5  # whitened over response tokens


def test_lora_with_a_kl_penalty_in_the_reward(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path,
        tiny_model,
        ONE_STEP,
        "actor_rollout_ref.model.lora_rank=8",
        "actor_rollout_ref.model.target_modules=all-linear",
        "actor_rollout_ref.rollout.load_format=safetensors",
        "algorithm.use_kl_in_reward=True",
        "algorithm.kl_ctrl.kl_coef=0.05",
    )
    logged, result = first_step(tmp_path, run)
    assert logged["awpo/success_rate/mean"] == pytest.approx(float(result.success_rate.mean()))
    assert "actor/reward_kl_penalty" in logged


def test_bypass_mode_clips_against_the_rollout_policy(tiny_model, tmp_path):
    run = main_ppo(tmp_path, tiny_model, ONE_STEP, "algorithm.rollout_correction.bypass_mode=True")
    logged, _ = first_step(tmp_path, run)
    assert logged["awpo/applied_clip_radius"] == pytest.approx(logged["awpo/clip_radius"], rel=1e-5)


def test_rollout_correction_masks_tokens_not_rewards(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path,
        tiny_model,
        ONE_STEP,
        "algorithm.rollout_correction.rollout_is=token",
        "algorithm.rollout_correction.rollout_rs=token_k1",
        "algorithm.rollout_correction.rollout_rs_threshold=0.999_1.001",
    )
    logged, _ = first_step(tmp_path, run)
    assert any(key.startswith("rollout_corr/") for key in logged)


def test_dynamic_sampling_leaves_no_group_without_variance(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path,
        tiny_model,
        ONE_STEP,
        "algorithm.filter_groups.enable=True",
        "algorithm.filter_groups.metric=score",
    )
    logged, result = first_step(tmp_path, run)
    assert logged["awpo/frac_reward_zero_std"] == 0.0
    assert not (result.closed == Closed.SATURATED).any()
