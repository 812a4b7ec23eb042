"""Stock verl trains a tiny model with AWPO through real vLLM: what is logged is what the method says.

The run is ended by kill -9 in mid-training, and the same command goes on from its checkpoint. Its gate is the one that
carries a state from step to step.
"""

import json
import math
import os
import signal
import time

import pytest
import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from tests.e2e.expected import RECORD, check_replay, expected_of_step
from tests.e2e.stock_verl import LONGEST_S, dumped_rollouts, logged_steps, main_ppo, start

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

CONFIG = AwpoConfig.from_mapping({"preset": "reliability", "clip_schedule": "inverse", "difficulty": "band"})
COMMAND = [
    "trainer.total_training_steps=4",
    "trainer.save_freq=2",
    "+algorithm.awpo.preset=reliability",
    "+algorithm.awpo.clip_schedule=inverse",
    "+algorithm.awpo.difficulty=band",
    RECORD,
    "trainer.test_freq=2",
]


@pytest.fixture(scope="module")
def killed(tiny_model, tmp_path_factory):
    """(folder, metrics by step) of a run that was killed after step 3, with a checkpoint of step 2."""
    folder = tmp_path_factory.mktemp("run")
    process = start(folder, tiny_model, *COMMAND)
    deadline = time.monotonic() + LONGEST_S
    while 3 not in logged_steps(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    steps = logged_steps(folder)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(steps) == [1, 2, 3], (folder / "console.log").read_text()[-6000:]
    return folder, steps


def saved_state(folder, step):
    saved = json.loads((folder / "checkpoints" / f"global_step_{step}" / "awpo.json").read_text())
    return ReliabilityState.from_dict(saved["reliability"])


def check_step(folder, logged, step, before):
    """That the step's log is what its rollouts imply, with the state `before` it; returns the state after it."""
    outcome, result, radius = expected_of_step(folder, step, CONFIG, before)
    assert len(outcome) == 32 and len(result.gate) == 8
    assert logged["awpo/outcome/mean"] == pytest.approx(sum(outcome) / len(outcome))
    assert 0 < logged["awpo/reasoning/valid_fraction"] < 1  # the estimator saw judge scores and their absence
    assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
    assert (0 < logged["awpo/gate/mean"] < 1) == (before.trust > 0)
    assert logged["awpo/difficulty/mean"] == pytest.approx(float(result.difficulty.mean()))
    assert logged["awpo/clip_radius"] == pytest.approx(float(radius))
    assert logged["awpo/applied_clip_radius"] == pytest.approx(float(radius), rel=1e-5)  # by the workers' loss
    assert logged["awpo/blended/signal_power"] == pytest.approx(float(result.advantages.square().mean()))
    assert logged["critic/advantages/max"] == pytest.approx(float(result.advantages.max()), rel=1e-4)
    after = result.reliability
    # not bit for bit: the run sums over its groups in the order in which they were finished
    assert (logged["awpo/reliability"], logged["awpo/reliability/trust"]) == pytest.approx((after.mean, after.trust))
    return after


def check_saved(folder, logged, step, state):
    """The checkpoint holds, bit for bit, what the run knew of its judge; returns it."""
    saved = saved_state(folder, step)
    assert (saved.mean, saved.trust) == (logged["awpo/reliability"], logged["awpo/reliability/trust"])
    assert vars(saved) == pytest.approx(vars(state))
    return saved


def names(logged):
    """AWPO's metrics, without the guard's: those of a statistic are there where a batch allows it."""
    return {key for key in logged if key.startswith("awpo/") and not key.startswith("awpo/alarm/")}


def check_record(folder):
    """Each step is in the record once, with the texts that verl dumped, and replays to the same numbers."""
    record = check_replay(folder, dict.fromkeys((1, 2, 3, 4), 32))
    assert record.steps("validation") == [2, 4]
    assert [start["step"] for start in record.run["starts"]] == [0, 2]
    by_key = {row["uid"]: row for row in dumped_rollouts(folder, 4)}
    for row in record.rows([4], "train"):
        assert (row["response"], row["outcome"]) == (by_key[row["key"]]["output"], by_key[row["key"]]["score"])
        assert row["question"].startswith("What is") and json.loads(row["prompt"])[1]["content"] == row["question"]
    assert set(record.metrics()) == {1, 2, 3, 4}


def test_logs_say_what_the_method_implies(killed):
    folder, steps = killed
    state = ReliabilityState()
    for step in (1, 2):
        state = check_step(folder, steps[step], step, state)
    assert check_saved(folder, steps[2], 2, state).trust > 0


def test_weights_reach_vllm_and_change(killed, tiny_model):
    folder, steps = killed
    assert steps[2]["training/rollout_actor_probs_pearson_corr"] > 0.95
    assert all(math.isfinite(steps[step]["actor/grad_norm"]) for step in (1, 2))

    from transformers import AutoModelForCausalLM

    before = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).state_dict()
    (shard,) = (folder / "checkpoints" / "global_step_2" / "actor").glob("model_world_size_1_rank_0.pt")
    after = torch.load(shard, weights_only=False)
    moved = [name for name, value in after.items() if not torch.equal(_local(value).float(), before[name])]
    assert len(moved) > len(before) // 2


def _local(value):
    return value.to_local() if hasattr(value, "to_local") else value


def test_killed_in_mid_training_the_same_command_resumes(killed, tiny_model):
    folder, before = killed
    resumed = main_ppo(folder, tiny_model, *COMMAND)
    assert resumed.returncode == 0, resumed.console[-6000:]
    assert list(resumed.steps) == [3, 4]  # step 3 was lost with the kill: the checkpoint is of step 2
    columns = names(before[2])
    state = saved_state(folder, 2)
    for step, logged in resumed.steps.items():
        state = check_step(folder, logged, step, state)
        assert names(logged) == columns
    check_saved(folder, resumed.steps[4], 4, state)
    check_record(folder)


@pytest.mark.slow
def test_a_missing_column_stops_the_first_step(tiny_model, tmp_path):
    run = main_ppo(
        tmp_path, tiny_model, "trainer.total_training_steps=1", "reward.custom_reward_function.name=without_reasoning"
    )
    assert run.returncode != 0
    assert "column 'reasoning' is missing" in run.console
    assert "reward.custom_reward_function.path=pkg://reward_models.reward" in run.console
    assert not run.steps
