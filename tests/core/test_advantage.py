"""The estimator: equal to a slow reference, and the properties that docs/method.md promises."""

import math

import numpy as np
import pytest
import torch
from batches import batches, extreme, rng_batch
from hypothesis import assume, given
from hypothesis import strategies as st
from slow_reference import slow_awpo

from awpo_ext.advantage import Closed, awpo_advantages
from awpo_ext.config import AwpoConfig

DEFAULT = AwpoConfig()


def run(batch, config=DEFAULT):
    return awpo_advantages(batch.outcome, batch.reasoning, batch.group, config, batch.valid)


@given(batches())
def test_equals_the_slow_reference(batch):
    result = run(batch)
    advantages, gate, weight = slow_awpo(batch)
    assert result.advantages.tolist() == pytest.approx(advantages, abs=1e-8)
    assert result.gate.tolist() == pytest.approx(gate, abs=1e-12)
    assert result.difficulty.tolist() == pytest.approx(weight, abs=1e-12)


@given(batches(), st.randoms(use_true_random=False))
def test_order_of_rollouts_does_not_matter(batch, random):
    order = list(range(len(batch.group)))
    random.shuffle(order)
    expected = run(batch).advantages[torch.tensor(order, dtype=torch.int64)]
    assert torch.allclose(run(batch.permuted(order)).advantages, expected, atol=1e-9)


@given(batches(min_groups=2), st.data())
def test_groups_do_not_touch_each_other(batch, data):
    label = data.draw(st.sampled_from(sorted(set(batch.group))))
    alone = [i for i, g in enumerate(batch.group) if g == label]
    assert torch.allclose(run(batch.permuted(alone)).advantages, run(batch).advantages[alone], atol=1e-12)


@given(batches(), st.floats(-10, 10))
def test_shift_of_the_outcome_with_its_range_changes_nothing(batch, shift):
    moved = AwpoConfig(reward_min=DEFAULT.reward_min + shift, reward_max=DEFAULT.reward_max + shift)
    assume(all(abs(r - DEFAULT.reward_max) > 1e-6 or r == DEFAULT.reward_max for r in batch.outcome))
    shifted = run(batch.with_(outcome=[r + shift for r in batch.outcome]), moved)
    plain = run(batch)
    # rounding of the shift can tie or untie rewards; groups that kept their variance must agree
    same = (shifted.closed == plain.closed) & ((shifted.outcome_stats.std == 0) == (plain.outcome_stats.std == 0))
    clear = same & ((plain.outcome_stats.std > 1e-3) | (plain.outcome_stats.std == 0))
    clear &= (plain.mixed_stats.std > 1e-3) | (plain.mixed_stats.std == 0)
    rows = clear[plain.group_index]
    assert torch.allclose(shifted.advantages[rows], plain.advantages[rows], atol=1e-5)


@given(batches())
def test_gate_is_in_range_and_closed_groups_are_zero(batch):
    result = run(batch)
    assert ((result.gate >= 0) & (result.gate < 1)).all()
    assert (result.gate[result.closed != Closed.OPEN] == 0).all()


@given(batches(min_groups=1, all_valid=True))
def test_a_judge_that_says_nothing_new_leaves_grpo(batch):
    """Zero weight, or the same score for all: exactly d times outcome-only."""
    outcome_only = run(batch, AwpoConfig(gate="none")).advantages
    assert torch.equal(run(batch, AwpoConfig(reasoning_weight=0.0)).advantages, outcome_only)
    # dyadic, so that adding it rounds nothing away
    constant = batch.with_(reasoning=[0.5] * len(batch.group), outcome=[round(r * 8) / 8 for r in batch.outcome])
    expected = run(constant, AwpoConfig(gate="none")).advantages
    assert torch.allclose(run(constant).advantages, expected, atol=1e-12)


@given(batches())
def test_all_judges_failed_is_outcome_only(batch):
    failed = batch.with_(valid=[False] * len(batch.group), reasoning=[math.nan] * len(batch.group))
    result = run(failed)
    assert torch.equal(result.advantages, run(batch, AwpoConfig(gate="none")).advantages)
    assert (result.closed == Closed.TOO_FEW_VALID).all()


@given(batches(min_groups=1), st.data())
def test_one_judge_failure_never_moves_an_outcome_advantage(batch, data):
    i = data.draw(st.integers(0, len(batch.group) - 1))
    valid, reasoning = list(batch.valid), list(batch.reasoning)
    valid[i], reasoning[i] = False, math.nan
    removed = run(batch.with_(valid=valid, reasoning=reasoning))
    assert torch.equal(removed.outcome_advantages, run(batch).outcome_advantages)
    assert removed.mixed_advantages[i] == removed.outcome_advantages[i]


@given(batches(all_valid=True))
def test_zero_mean_in_groups_that_are_fully_scored(batch):
    result = run(batch)
    sums = torch.zeros(len(result.gate), dtype=torch.float64).index_add(0, result.group_index, result.advantages)
    assert torch.allclose(sums, torch.zeros_like(sums), atol=1e-6)


@given(batches(outcomes=extreme))
def test_finite_for_any_finite_input(batch):
    result = run(batch)
    for column in (result.advantages, result.gate, result.difficulty, result.mixed_advantages):
        assert torch.isfinite(column).all()


@given(batches())
def test_singletons_are_zero(batch):
    result = run(batch)
    single = (result.outcome_stats.count == 1)[result.group_index]
    assert (result.advantages[single] == 0).all()


@given(st.floats(0.01, 3), st.floats(0.01, 3), st.floats(0.01, 3))
def test_gate_rises_with_mixed_and_falls_with_outcome_spread(a, b, c):
    low, high = sorted((b, c))
    assume(low < high)

    def gate(outcome_spread, reasoning_spread):
        config = AwpoConfig(reasoning_scale=10.0)
        outcome = [0.0, outcome_spread, 0.0, outcome_spread]  # uncorrelated with the judge
        reasoning = [0.0, 0.0, reasoning_spread / 10, reasoning_spread / 10]
        return float(awpo_advantages(outcome, reasoning, [0] * 4, config).gate[0])

    assert gate(a, low) < gate(a, high)
    assert gate(low, a) > gate(high, a)


def test_gate_none_without_difficulty_is_verls_grpo():
    core_algos = pytest.importorskip("verl.trainer.ppo.core_algos", reason="needs verl")
    batch = rng_batch(seed=0, groups=16, size=8)
    mask = torch.ones(len(batch.group), 5)
    rewards = torch.zeros_like(mask).double()
    rewards[:, -1] = torch.tensor(batch.outcome, dtype=torch.float64)
    for by_std in (True, False):
        theirs, _ = core_algos.compute_grpo_outcome_advantage(
            rewards, mask, np.array(batch.group, dtype=object), norm_adv_by_std_in_grpo=by_std
        )
        ours = run(batch, AwpoConfig(gate="none", difficulty="none", norm_by_std=by_std)).advantages
        assert torch.allclose(ours, theirs[:, 0].double(), atol=1e-6)


@pytest.mark.parametrize(
    "labels",
    [
        [10**10, -5, 10**10, -5],
        torch.tensor([3, 3, -1, -1]),
        np.array(["x", "y", "y", "x"]),
        [("a", 1), ("b", 2), ("a", 1), None],
    ],
)
def test_any_kind_of_label(labels):
    result = awpo_advantages([0.0, 1.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.4], labels, DEFAULT)
    assert result.group_index[0] == 0 and result.group_index.max() < len(result.gate)


def test_saturated_groups_stay_closed_unless_asked():
    columns = ([4.0, 4.0, 4.0], [0.0, 0.5, 1.0], ["g"] * 3)
    assert awpo_advantages(*columns, DEFAULT).closed.tolist() == [Closed.SATURATED]
    opened = awpo_advantages(*columns, AwpoConfig(saturated="reasoning"))
    assert opened.gate[0] > 0.99 and opened.advantages[2] > 0


def test_noise_floor_closes_groups_that_only_the_judges_noise_tells_apart():
    columns = ([1.0, 1.0, 1.0], [0.50, 0.51, 0.52], ["g"] * 3)
    assert awpo_advantages(*columns, DEFAULT).gate[0] > 0.99
    floored = awpo_advantages(*columns, AwpoConfig(noise_floor=0.05))
    assert floored.closed.tolist() == [Closed.BELOW_NOISE_FLOOR] and (floored.advantages == 0).all()


def test_float32_in_float32_out_and_empty_batch():
    result = awpo_advantages(torch.zeros(0), torch.zeros(0), [], DEFAULT)
    assert result.advantages.dtype == torch.float32 and len(result.gate) == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([math.nan, 1.0], [0.0, 1.0], [0, 0]), r"outcome\[0\] is nan"),
        (([0.0, math.inf], [0.0, 1.0], [0, 0]), r"outcome\[1\] is inf"),
        (([0.0, 1.0], [0.0, math.nan], [0, 0]), r"reasoning \(where valid\)\[1\] is nan"),
        (([0.0, 1.0], [0.0], [0, 0]), r"reasoning has shape \(1,\); expected \(2,\)"),
        (([0.0, 1.0], [0.0, 0.0], [0]), "group has 1 labels"),
    ],
)
def test_bad_columns_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        awpo_advantages(*columns, DEFAULT)
