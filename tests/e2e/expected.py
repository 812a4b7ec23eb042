"""What a step has to log, computed from verl's own rollout dump, apart from the run."""

import pytest

from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from tests.e2e.hashed_reward import columns
from tests.e2e.stock_verl import dumped_rollouts


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
