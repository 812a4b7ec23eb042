"""Stock verl trains a tiny model with AWPO through real vLLM: what is logged is what the method says, and it resumes."""

import math

import pytest
import torch
from expected import expected_of_step
from stock_verl import main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = main_ppo(folder, tiny_model, "trainer.total_training_steps=2", "trainer.save_freq=2")
    assert run.returncode == 0, run.console[-6000:]
    return folder, run


@pytest.mark.parametrize("step", [1, 2])
def test_logs_say_what_the_method_implies(trained, step):
    folder, run = trained
    logged = run.steps[step]
    outcome, result, radius = expected_of_step(folder, step)

    assert len(outcome) == 32 and len(result.gate) == 8
    assert logged["awpo/outcome/mean"] == pytest.approx(sum(outcome) / len(outcome))
    assert 0 < logged["awpo/reasoning/valid_fraction"] < 1  # the estimator saw judge scores and their absence
    assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
    assert 0 < logged["awpo/gate/mean"] < 1
    assert logged["awpo/clip_radius"] == pytest.approx(float(radius))
    assert logged["awpo/applied_clip_radius"] == pytest.approx(
        float(radius), rel=1e-5
    )  # as the workers' loss applied it
    assert logged["awpo/blended/signal_power"] == pytest.approx(float(result.advantages.square().mean()))
    assert logged["critic/advantages/max"] == pytest.approx(float(result.advantages.max()), rel=1e-4)


def test_weights_reach_vllm_and_change(trained, tiny_model):
    folder, run = trained
    assert run.steps[2]["training/rollout_actor_probs_pearson_corr"] > 0.95
    assert all(math.isfinite(run.steps[step]["actor/grad_norm"]) for step in (1, 2))

    from transformers import AutoModelForCausalLM

    before = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).state_dict()
    (shard,) = (folder / "checkpoints" / "global_step_2" / "actor").glob("model_world_size_1_rank_0.pt")
    after = torch.load(shard, weights_only=False)
    moved = [name for name, value in after.items() if not torch.equal(_local(value).float(), before[name])]
    assert len(moved) > len(before) // 2


def _local(value):
    return value.to_local() if hasattr(value, "to_local") else value


def test_a_missing_column_stops_the_first_step(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path, tiny_model, "trainer.total_training_steps=1", "reward.custom_reward_function.name=without_reasoning"
    )
    assert run.returncode != 0
    assert "column 'reasoning' is missing" in run.console
    assert "reward.custom_reward_function.path=pkg://reward_models.reward" in run.console
    assert not run.steps
