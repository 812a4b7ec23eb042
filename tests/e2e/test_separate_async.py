"""Training and generation apart: vLLM gets its weights over gloo, each mini-batch has its own gate and radius."""

from itertools import combinations

import pytest

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from tests.e2e.expected import RECORD, check_replay, expected_of_step
from tests.e2e.stock_verl import cpu_overrides, main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

STEPS = (1, 2)
# not linear, so that the mean of two mini-batches' radii is not the radius of all gates; never as small as clip_min
INVERSE = AwpoConfig(clip_schedule="inverse", clip_eta=2.0, clip_min=0.02)


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    """Two steps of two mini-batches of four prompts; no warm-up batch, so that no rollout is older than its step."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERL_LOGGING_LEVEL", "WARN")
        run = main_ppo(
            folder,
            tiny_model,
            *cpu_overrides("separate_async_overrides.txt"),
            "+actor_rollout_ref.rollout.checkpoint_engine.engine_kwargs.gloo.timeout_s=120",
            "trainer.v1.separate_async.parameter_sync_step=2",
            "trainer.v1.separate_async.num_warmup_batches=0",
            "trainer.total_training_steps=2",
            "trainer.save_freq=-1",
            "+algorithm.awpo.clip_schedule=inverse",
            "+algorithm.awpo.clip_eta=2.0",
            "+algorithm.awpo.clip_min=0.02",
            RECORD,
        )
    assert run.returncode == 0, run.console[-6000:]
    assert tuple(run.steps) == STEPS
    return folder, run


@pytest.mark.parametrize("step", STEPS)
def test_logs_say_what_the_method_implies(trained, step):
    """verl logs the mean over the step's mini-batches, which are equally large; its dump has all their rollouts."""
    folder, run = trained
    logged = run.steps[step]
    outcome, result, radius_of_all = expected_of_step(folder, step, INVERSE)
    assert len(outcome) == 32 and len(result.gate) == 8

    assert logged["awpo/outcome/mean"] == pytest.approx(sum(outcome) / len(outcome))
    assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
    assert logged["awpo/gate/max"] == pytest.approx(float(result.gate.max()))
    assert logged["awpo/gate/min"] == pytest.approx(float(result.gate.min()))
    assert logged["awpo/blended/signal_power"] == pytest.approx(float(result.advantages.square().mean()))

    # verl does not say which four prompts made the first mini-batch: one way to choose them gives the logged radius
    assert any(logged["awpo/clip_radius"] == pytest.approx(radius, rel=1e-9) for radius in radii_of_halves(result.gate))
    assert logged["awpo/clip_radius"] != pytest.approx(float(radius_of_all), rel=1e-9)
    assert logged["awpo/applied_clip_radius"] == pytest.approx(logged["awpo/clip_radius"], rel=1e-5)


def radii_of_halves(gate):
    """Mean radius of the two mini-batches, for every way to choose the first one's four prompts."""
    everything = range(len(gate))
    for first in combinations(everything, len(gate) // 2):
        second = [i for i in everything if i not in first]
        yield float((clip_radius(gate[list(first)], INVERSE) + clip_radius(gate[second], INVERSE)) / 2)


def test_the_record_replays_each_mini_batch(trained):
    folder, _ = trained
    check_replay(folder, {1: 32, 2: 32}, mini_batches=2)


def test_new_weights_reach_vllm(trained):
    """Step 2's rollouts are of the weights that step 1 made; of the first weights the correlation would be about 0.8."""
    _, run = trained
    assert run.steps[2]["training/off_policy/trajectory_staleness/max"] == 0
    assert all(run.steps[step]["training/rollout_actor_probs_pearson_corr"] > 0.95 for step in STEPS)


def test_the_second_mini_batch_is_measured_from_the_policy_of_the_step(trained):
    """Its old log-probabilities come from the weights before the first update, so the ratio is not 1 and can be clipped."""
    _, run = trained
    clipped = [run.steps[step][f"awpo/clip_ratio/{side}_mean"] for step in STEPS for side in ("low", "high")]
    assert sum(clipped) > 0  # exactly 0 where each mini-batch is measured from its own policy
