"""Rewards as they come: rounded to float32, at the edge of a band, off the promised scale; and groups that count nowhere."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from awpo_ext.advantage import Closed, awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from tests.awpo_ext.batches import batches, cases, configs, run

bounds = st.floats(-100, 100).map(lambda x: round(x, 2))


@given(bounds, bounds, st.booleans())
def test_a_solved_group_is_saturated_as_float32_numbers_are(low, high, narrow):
    assume(low < high)
    config = AwpoConfig(reward_min=low, reward_max=high)
    solved = torch.full((4,), high, dtype=torch.float32 if narrow else torch.float64)
    columns = ([0.51, 0.49, 0.50, 0.50], ["g"] * 4, config)
    result = awpo_advantages(solved, *columns)
    assert result.closed.tolist() == [Closed.SATURATED] and not result.advantages.any()
    nearly = solved.double() - torch.tensor([1e-3, 0, 0, 0]) * (high - low)
    assert awpo_advantages(nearly, *columns).closed.tolist() == [Closed.OPEN]


@given(bounds, bounds, st.integers(1, 30), st.integers(0, 30), st.booleans())
def test_the_band_holds_both_its_edges(low, high, size, solved, narrow):
    assume(low + 0.5 < high and solved <= size)
    share = solved / size
    config = AwpoConfig(
        reward_min=low, reward_max=high, difficulty="band", difficulty_low=share, difficulty_high=share, gate="none"
    )
    rewards = np.array([high] * solved + [low] * (size - solved), dtype=np.float32 if narrow else np.float64)
    assert awpo_advantages(rewards, [0.5] * size, [0] * size, config).difficulty.tolist() == [1.0]


@pytest.mark.parametrize(("solved", "inside"), [(1, False), (2, True), (8, True), (9, False)])
def test_the_band_holds_nothing_beyond_its_edges(solved, inside):
    rewards = [4.0] * solved + [-3.0] * (10 - solved)
    config = AwpoConfig(difficulty="band", gate="none")
    assert awpo_advantages(rewards, [0.5] * 10, [0] * 10, config).difficulty.tolist() == [1.0 if inside else 0.5]


@given(cases(min_groups=1, fixed={"clip_scope": "batch"}), st.integers(1, 4))
def test_a_prompt_that_was_not_verified_moves_no_radius(case, size):
    batch, config = case
    result = run(batch, config)
    columns = {key: [*value, *value[:1] * size] for key, value in vars(batch).items()}
    columns |= {
        "group": [*batch.group, *["unverified"] * size],
        "outcome_valid": [*batch.outcome_valid, *[False] * size],
    }
    more = run(batch.with_(**columns), config)
    assert torch.equal(clip_radius(more.gate, config, more.verified), clip_radius(result.gate, config, result.verified))


@given(batches(min_groups=1, all_valid=True), st.sampled_from([-0.5, 1.01, 9.0]), st.data())
def test_a_score_off_the_scale_is_refused_by_name(batch, score, data):
    i = data.draw(st.integers(0, len(batch) - 1))
    with pytest.raises(
        ValueError, match=rf"reasoning\[{i}, 0\] \(column 'reasoning'\) is {score}, and 1 of {len(batch)}"
    ):
        run(batch.with_verdict(i, [score], [True]))
    run(batch.with_verdict(i, [score], [False]))


@given(batches(min_groups=1, all_valid=True), configs(integration="reasoning"))
def test_the_reasoning_side_is_the_advantage_of_the_scores_alone(batch, config):
    assume(config.reasoning_weight[0] > 0)
    weight = config.reasoning_weight[0] * config.reasoning_scale
    alone = batch.with_(outcome=[weight * s for (s,) in batch.reasoning], kl_penalty=[0.0] * len(batch))
    result, expected = run(batch, config), run(alone, config).outcome_advantages
    compared = (result.reasoning_stats.count >= 2)[result.group_index]
    assert torch.allclose(result.mixed_advantages[compared], expected[compared])


@given(cases(min_groups=1, fixed={"integration": "reasoning", "gate": "always"}))
def test_judges_without_a_difference_of_opinion_take_nothing_from_the_outcome(case):
    batch, config = case
    same = batch.with_(
        reasoning=[
            [0.5 if ok else s for s, ok in zip(*row, strict=True)]
            for row in zip(batch.reasoning, batch.valid, strict=True)
        ]
    )
    assert not run(same, config).judge_part.any()


def test_saturated_groups_stay_closed_unless_asked():
    columns = ([4.0, 4.0, 4.0], [0.0, 0.5, 1.0], ["g"] * 3)
    assert awpo_advantages(*columns, AwpoConfig()).closed.tolist() == [Closed.SATURATED]
    opened = awpo_advantages(*columns, AwpoConfig(saturated="reasoning"))
    assert opened.gate[0] > 0.99 and opened.advantages[2] > 0


def test_noise_floor_closes_groups_that_only_the_judges_noise_tells_apart():
    columns = ([1.0, 1.0, 1.0], [0.50, 0.51, 0.52], ["g"] * 3)
    assert awpo_advantages(*columns, AwpoConfig()).gate[0] > 0.99
    floored = awpo_advantages(*columns, AwpoConfig(noise_floor=0.05))
    assert floored.closed.tolist() == [Closed.BELOW_NOISE_FLOOR] and (floored.advantages == 0).all()
