"""Other ways to train with stock verl: asynchronous rollouts, several ranks, epochs and dynamic micro-batches."""

import pytest

from awpo_ext.config import AwpoConfig
from tests.e2e.expected import RECORD, check_replay, expected_of_step
from tests.e2e.stock_verl import main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

GROUP = AwpoConfig(clip_scope="group", clip_min=0.02)
GROUP_OVERRIDES = ["+algorithm.awpo.clip_scope=group", "+algorithm.awpo.clip_min=0.02", RECORD]


def check_step(folder, run, step):
    """The gate and each group's radius are what the rollouts imply, and the workers applied them."""
    logged = run.steps[step]
    outcome, result, radius = expected_of_step(folder, step, GROUP)
    assert len(outcome) == 32 and len(radius) == 8
    assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
    assert logged["awpo/clip_radius"] == pytest.approx(float(radius.mean()))
    # Rollouts of the weights of a step ago, as colocate_async may use, go with these weights less closely.
    stale = logged.get("training/off_policy/trajectory_staleness_worst/max", 0) > 0
    assert logged["training/rollout_actor_probs_pearson_corr"] > (0.7 if stale else 0.9)
    return logged, radius


def test_colocate_async_with_a_radius_a_group(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path,
        tiny_model,
        "trainer.v1.trainer_mode=colocate_async",
        "trainer.total_training_steps=2",
        "actor_rollout_ref.actor.ppo_epochs=2",
        "actor_rollout_ref.actor.use_dynamic_bsz=True",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=640",
        "actor_rollout_ref.actor.use_kl_loss=True",
        *GROUP_OVERRIDES,
    )
    assert run.returncode == 0, run.console[-6000:]
    for step in (1, 2):
        logged, radius = check_step(tmp_path, run, step)
        # micro-batches differ in size, so their mean is not quite that of the rows
        assert logged["awpo/applied_clip_radius"] == pytest.approx(float(radius.mean()), rel=0.2)
        assert logged["awpo/clip_ratio/low_mean"] + logged["awpo/clip_ratio/high_mean"] > 0
        assert logged["actor/kl_loss"] >= 0
    check_replay(tmp_path, {1: 32, 2: 32})


def test_two_ranks_with_a_radius_a_group(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path,
        tiny_model,
        "trainer.n_gpus_per_node=2",
        "ray_kwargs.ray_init.num_gpus=2",
        "trainer.total_training_steps=2",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
        *GROUP_OVERRIDES,
    )
    assert run.returncode == 0, run.console[-6000:]
    for step in (1, 2):
        logged, radius = check_step(tmp_path, run, step)
        assert logged["awpo/applied_clip_radius"] == pytest.approx(float(radius.mean()), rel=1e-4)
    check_replay(tmp_path, {1: 32, 2: 32})
