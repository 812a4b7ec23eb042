"""The range of the outcome belongs to the row: a group is judged by what its own row allows."""

from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.advantage import Closed, awpo_advantages
from awpo_ext.config import AwpoConfig
from tests.awpo_ext.batches import batches, configs, many

RANGES = [(-3.0, 4.0), (0.0, 1.0), (-1.0, 3.0)]


def advantages(batch, config, ranges, members):
    columns = ([batch.outcome[i] for i in members], [batch.reasoning[i][0] for i in members])
    return awpo_advantages(
        *columns,
        [batch.group[i] for i in members],
        config,
        [batch.valid[i][0] for i in members],
        [batch.outcome_valid[i] for i in members],
        [batch.kl_penalty[i] for i in members],
        outcome_range=ranges,
    )


@many
@given(batches(min_groups=1), configs(whiten=False, gate="ratio"), st.data())
def test_each_group_is_what_it_is_alone_with_its_range_in_the_configuration(batch, config, data):
    of_group = {uid: data.draw(st.sampled_from(RANGES)) for uid in dict.fromkeys(batch.group)}
    together = advantages(batch, config, [of_group[uid] for uid in batch.group], range(len(batch)))
    for number, (uid, (low, high)) in enumerate(of_group.items()):
        members = [i for i, other in enumerate(batch.group) if other == uid]
        alone = AwpoConfig(**(asdict(config) | {"reward_min": low, "reward_max": high}))
        expected = advantages(batch, alone, None, members)
        assert int(together.closed[number]) == int(expected.closed[0])
        assert float(together.success_rate[number]) == float(expected.success_rate[0])
        assert torch.allclose(together.advantages[members], expected.advantages, equal_nan=True)


def test_a_solved_row_that_allows_less_is_solved():
    columns = ([1.0] * 4, [0.1, 0.2, 0.3, 0.4], ["g"] * 4, AwpoConfig())
    by_row = awpo_advantages(*columns, outcome_range=[(0.0, 1.0)] * 4)
    assert by_row.closed.tolist() == [Closed.SATURATED] and by_row.success_rate.tolist() == [1.0]
    assert not by_row.advantages.any()
    by_config = awpo_advantages(*columns)
    assert by_config.closed.tolist() == [Closed.OPEN] and by_config.advantages.any()


def test_a_row_in_which_nothing_can_be_earned_is_solved():
    result = awpo_advantages([0.0] * 2, [0.1, 0.9], ["g"] * 2, AwpoConfig(), outcome_range=[(0.0, 0.0)] * 2)
    assert result.success_rate.tolist() == [1.0] and result.closed.tolist() == [Closed.SATURATED]


@pytest.mark.parametrize("ranges", [[(1.0, 0.0)] * 2, [(0.0, float("nan"))] * 2])
def test_a_range_that_is_none_is_refused(ranges):
    with pytest.raises(ValueError, match="outcome_range"):
        awpo_advantages([0.0] * 2, [0.1, 0.9], ["g"] * 2, AwpoConfig(), outcome_range=ranges)


def test_no_rollouts():
    empty = awpo_advantages([], [], [], AwpoConfig(), outcome_range=[])
    assert len(empty.advantages) == 0
