"""What a step has to log, computed from verl's own rollout dump, apart from the run; and that its record replays."""

import pytest

from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.record import Record, open_record
from awpo_ext.record.recompute import check
from awpo_ext.reliability import ReliabilityState
from tests.e2e.hashed_reward import columns
from tests.e2e.stock_verl import dumped_rollouts

RECORD = "+algorithm.awpo.record.enable=true"


def expected_of_step(folder, step, config=AwpoConfig(), reliability=None):
    """(outcomes, AWPO's result, clip radius) of all rollouts of a step, and that verl was given those outcomes.

    `reliability` is the state before the step, a fresh one where none is given.
    """
    rows = dumped_rollouts(folder, step)
    rewards = [columns(row["output"]) for row in rows]
    outcome = [reward["score"] for reward in rewards]
    assert outcome == pytest.approx([row["score"] for row in rows])
    result = awpo_advantages(
        outcome,
        [[reward[key] for key in config.reasoning_key] for reward in rewards],
        [row["uid"].rsplit("_", 2)[0] for row in rows],
        config,
        [[reward[key] for key in config.valid_key] for reward in rewards],
        reliability=reliability or ReliabilityState(),
    )
    return outcome, result, clip_radius(result.gate, config, result.verified)


def check_replay(folder, steps: dict[int, int], mini_batches: int = 1) -> Record:
    """The record of a run in `folder` holds each of its steps once, with so many rollouts, and replays to the same
    numbers. Each of a step's mini-batches is one part of the training.
    """
    record = open_record(folder)
    assert {step: record.rollouts([step], "train").num_rows for step in record.steps("train")} == steps
    assert set(record.metrics()) >= set(steps)
    checked = check(record)
    assert checked.parts == len(steps) * mini_batches and checked.difference < 1e-6
    return record
