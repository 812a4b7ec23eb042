"""The estimator: equal to a slow reference under every switch, and the properties that docs/method.md promises."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from awpo_ext.advantage import Closed, awpo_advantages, gate
from awpo_ext.config import AwpoConfig
from awpo_ext.gating import OutcomeRange
from awpo_ext.groups import GroupStats
from awpo_ext.signals import JudgeSide
from tests.awpo_ext.batches import KNOWN, NAN, batches, cases, configs, extreme, many, run
from tests.awpo_ext.slow_reference import slow_awpo

DEFAULT = AwpoConfig()
# Exact in float64 whatever is added to them or taken off: a shift then moves no rounding
dyadic = st.integers(-24, 32).map(lambda eighths: eighths / 8)
eighths = st.integers(0, 8).map(lambda eighths: eighths / 8)


def rewritten(config, **changes):
    return AwpoConfig(**(asdict(config) | changes))


@many
@given(cases())
def test_equals_the_slow_reference(case):
    batch, config = case
    result, slow = run(batch, config, KNOWN), slow_awpo(batch, config, KNOWN.mean, KNOWN.variance)
    learned = [slow.mean, slow.variance]
    assert [result.reliability.mean, result.reliability.variance] == pytest.approx(learned, rel=1e-6, abs=1e-6)
    del slow.mean, slow.variance
    for name, expected in vars(slow).items():
        assert getattr(result, name).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6), name


@many
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_rollouts_does_not_matter(case, random):
    batch, config = case
    order = list(range(len(batch)))
    random.shuffle(order)
    expected = run(batch, config).advantages[torch.tensor(order, dtype=torch.int64)]
    assert torch.allclose(run(batch.permuted(order), config).advantages, expected, rtol=1e-6, atol=1e-6)


@many
@given(cases(fixed={"whiten": False}, min_groups=2), st.data())
def test_groups_do_not_touch_each_other(case, data):
    batch, config = case
    assume(config.gate != "reliability")  # there, the groups that outcomes check bound the others
    label = data.draw(st.sampled_from(sorted(set(batch.group))))
    alone = [i for i, g in enumerate(batch.group) if g == label]
    assert torch.allclose(run(batch.permuted(alone), config).advantages, run(batch, config).advantages[alone])


@many
@given(cases(outcomes=dyadic, scores=eighths), dyadic)
def test_shift_of_the_outcome_with_its_range_changes_nothing(case, shift):
    batch, config = case
    batch = batch.with_(kl_penalty=[0.0] * len(batch))
    moved = rewritten(config, reward_min=config.reward_min + shift, reward_max=config.reward_max + shift)
    shifted = run(batch.with_(outcome=[r + shift for r in batch.outcome]), moved)
    assert torch.allclose(shifted.advantages, run(batch, config).advantages, rtol=1e-6, atol=1e-6)


@many
@given(cases(fixed={"integration": "mix", "whiten": False}), st.integers(-6, 6))
def test_scale_of_the_rewards_with_their_range_changes_nothing(case, power):
    batch, config = case
    c = 2.0**power  # rounds nothing but numbers near the smallest there are
    keys = ("reward_min", "reward_max", "reasoning_scale", "epsilon", "noise_floor")
    scaled_config = rewritten(config, **{key: getattr(config, key) * c for key in keys})
    scaled_batch = batch.with_(
        outcome=[r * c for r in batch.outcome], kl_penalty=[penalty * c for penalty in batch.kl_penalty]
    )
    expected = run(batch, config).advantages * (1.0 if config.norm_by_std else c)
    assert torch.allclose(run(scaled_batch, scaled_config).advantages, expected, rtol=1e-12, atol=1e-12)


@many
@given(cases(outcomes=extreme))
def test_finite_for_any_finite_input(case):
    batch, config = case
    result = run(batch, config)
    for column in (result.advantages, result.outcome_advantages, result.mixed_advantages, result.gate):
        assert torch.isfinite(column).all()
    assert ((result.difficulty >= 0) & torch.isfinite(result.difficulty)).all()


@many
@given(batches(outcomes=st.floats(-1e30, 1e30)), configs())
def test_float32_in_float32_out_and_finite(batch, config):
    outcome = torch.tensor(batch.outcome, dtype=torch.float32)
    reasoning = torch.tensor(batch.reasoning, dtype=torch.float32).reshape(-1, 1)
    valid = torch.tensor(batch.valid).reshape(-1, 1)
    result = awpo_advantages(outcome, reasoning, batch.group, config, valid, reliability=KNOWN)
    assert result.advantages.dtype == torch.float32
    assert torch.isfinite(result.advantages).all() and (result.gate <= 1).all()


@many
@given(cases(outcomes=extreme))
def test_gate_is_in_range_and_closed_groups_are_zero(case):
    batch, config = case
    w = run(batch, config).gate
    assert ((w >= 0) & ((w < 1) if config.gate in ("ratio", "signal") else (w <= 1))).all()
    assert (w[run(batch, config).closed != Closed.OPEN] == 0).all()


spreads = st.one_of(st.floats(0, 10), st.floats(0, 1e30))


@many
@given(spreads, spreads, spreads, st.sampled_from(["ratio", "signal", "threshold"]))
def test_gate_rises_with_the_judges_and_falls_with_the_outcomes_spread(a, b, c, kind):
    low, high = sorted((b, c))

    def w(outcome_spread, judge_spread):
        out, judge = (
            GroupStats(count=torch.tensor([4]), mean=torch.zeros(1), std=torch.tensor([s], dtype=torch.float64))
            for s in (outcome_spread, judge_spread)
        )
        side = JudgeSide(torch.zeros(4), None, None, judge, judge, judge.count, judge.std, judge.std == 0)
        bounds = OutcomeRange(torch.tensor([-3.0]), torch.tensor([4.0]))
        return float(gate(out, bounds, side, torch.tensor([Closed.OPEN]), AwpoConfig(gate=kind)))

    assert w(a, low) <= w(a, high)
    assert w(low, a) >= w(high, a)


@many
@given(cases(min_groups=1))
def test_zero_weight_is_outcome_only(case):
    """Exactly d times outcome-only, whichever judges failed."""
    batch, config = case
    mute = rewritten(config, reasoning_weight=[0.0])
    if config.difficulty_target == "total":
        assert torch.equal(run(batch, mute).advantages, run(batch, rewritten(config, gate="none")).advantages)
    assert (run(batch, mute).closed == Closed.TOO_FEW_VALID).all()


@many
@given(cases(min_groups=1, all_valid=True, outcomes=dyadic), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_judge_that_says_the_same_of_all_leaves_outcome_only(case, score):
    batch, config = case
    config = rewritten(config, noise_floor=0.0)
    constant = batch.with_(reasoning=[[score] * config.signals] * len(batch), kl_penalty=[0.0] * len(batch))
    expected = run(constant, rewritten(config, gate="none"))
    assert torch.allclose(run(constant, config).advantages, expected.advantages, atol=1e-9)


@many
@given(cases())
def test_all_judges_failed_is_outcome_only(case):
    batch, config = case
    nothing = batch.with_(
        valid=[[False] * config.signals] * len(batch), reasoning=[[NAN] * config.signals] * len(batch)
    )
    result = run(nothing, config)
    assert torch.equal(result.advantages, run(batch, rewritten(config, gate="none")).advantages)
    assert (result.closed == Closed.TOO_FEW_VALID).all()


@many
@given(cases(min_groups=1), st.data())
def test_a_judges_verdict_never_moves_an_outcome_advantage(case, data):
    """Changed or removed, of any rollout: no outcome advantage moves, and nothing outside its group."""
    batch, config = case
    i = data.draw(st.integers(0, len(batch) - 1))
    valid = data.draw(st.lists(st.booleans(), min_size=config.signals, max_size=config.signals))
    said = [data.draw(st.floats(0, 1)) if ok else NAN for ok in valid]
    before, after = run(batch, config), run(batch.with_verdict(i, said, valid), config)
    assert torch.equal(after.outcome_advantages, before.outcome_advantages)
    assert torch.equal(after.difficulty, before.difficulty)
    others = torch.tensor([g != batch.group[i] for g in batch.group], dtype=torch.bool)
    assert torch.equal(after.mixed_advantages[others], before.mixed_advantages[others])
    if not any(valid):
        assert after.mixed_advantages[i] == after.outcome_advantages[i]


@many
@given(cases(), st.sampled_from([NAN, math.inf, -1e30, 0.5]))
def test_what_stands_behind_an_invalid_flag_is_never_read(case, garbage):
    batch, config = case
    filled = [
        [s if ok else garbage for s, ok in zip(*row, strict=True)]
        for row in zip(batch.reasoning, batch.valid, strict=True)
    ]
    assert torch.equal(run(batch.with_(reasoning=filled), config).advantages, run(batch, config).advantages)


@many
@given(cases(fixed={"whiten": False}, all_valid=True))
def test_zero_mean_in_groups_that_are_fully_scored(case):
    batch, config = case
    result = run(batch, config)
    sums = torch.zeros(len(result.gate), dtype=torch.float64).index_add(0, result.group_index, result.advantages)
    assert torch.allclose(sums, torch.zeros_like(sums), atol=1e-6)


@many
@given(cases(max_size=2))
def test_singletons_are_zero(case):
    batch, config = case
    result = run(batch, config)
    single = (result.outcome_stats.count == 1)[result.group_index]
    assert (result.advantages[single] == 0).all()


@many
@given(cases(), st.sampled_from([NAN, math.inf, -1e30, 0.5]))
def test_a_rollout_that_was_not_verified_is_as_if_it_were_not_there(case, garbage):
    batch, config = case
    judged = [i for i, valid in enumerate(batch.outcome_valid) if valid]
    filled = [r if valid else garbage for r, valid in zip(batch.outcome, batch.outcome_valid, strict=True)]
    result = run(batch.with_(outcome=filled), config)
    assert torch.allclose(result.advantages[judged], run(batch.permuted(judged), config).advantages, atol=1e-6)
    assert (result.advantages[[i for i in range(len(batch)) if i not in judged]] == 0).all()


@many
@given(cases(min_groups=1), st.sampled_from([NAN, math.inf, -math.inf]), st.data())
def test_nothing_but_numbers_is_taken_for_a_reward(case, bad, data):
    batch, config = case
    i = data.draw(st.integers(0, len(batch) - 1))
    outcome = [*batch.outcome[:i], bad, *batch.outcome[i + 1 :]]
    verified = [True] * len(batch)
    with pytest.raises(ValueError, match=rf"outcome \(where valid\)\[{i}\] is .*(nan|inf)"):
        run(batch.with_(outcome=outcome, outcome_valid=verified), config)
    kl_penalty = [*batch.kl_penalty[:i], bad, *batch.kl_penalty[i + 1 :]]
    with pytest.raises(ValueError, match=rf"kl_penalty\[{i}\] is .*(nan|inf)"):
        run(batch.with_(kl_penalty=kl_penalty), config)
    said = [[bad] * config.signals, [True] * config.signals]
    with pytest.raises(ValueError, match=r"reasoning \(where valid\)\[\d+, 0\] is .*(nan|inf)"):
        run(batch.with_verdict(i, *said), config)


@many
@given(batches())
def test_a_kl_penalty_moves_the_advantages_but_not_what_counts_as_solved(batch):
    solved = batch.with_(outcome=[4.0] * len(batch), kl_penalty=[0.1 * i for i in range(len(batch))])
    result = run(solved, DEFAULT)
    assert (result.success_rate[result.outcome_stats.count > 0] == 1).all()
    assert set(result.closed.tolist()) <= {Closed.SATURATED, Closed.TOO_FEW_VALID, Closed.NO_VARIANCE}
    assert ((result.outcome_stats.std > 0) == (result.outcome_stats.count > 1)).all()


def test_an_empty_batch_gives_empty_tensors():
    result = awpo_advantages(torch.zeros(0), torch.zeros(0), [], DEFAULT)
    assert result.advantages.dtype == torch.float32 and len(result.advantages) == len(result.gate) == 0
    assert len(awpo_advantages([], [], [], AwpoConfig(whiten=True)).advantages) == 0


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


def test_a_signal_that_failed_for_the_whole_group_leaves_the_others_at_work():
    config = AwpoConfig(reasoning_key=["a", "b"])
    scores = [[0.0, NAN], [1.0, NAN], [0.5, 0.3]]
    valid = [[True, False], [True, False], [True, True]]  # one score of b compares nothing
    both = awpo_advantages([0.0, 0.0, 0.0], scores, ["g"] * 3, config, valid)
    alone = awpo_advantages([0.0, 0.0, 0.0], [0.0, 1.0, 0.5], ["g"] * 3, DEFAULT)
    assert torch.equal(both.advantages, alone.advantages)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0.0, 1.0], [0.0], [0, 0]), r"reasoning has shape \(1, 1\); expected \(2,\)"),
        (([0.0, 1.0], [[0.0, 1.0], [1.0, 1.0]], [0, 0]), r"reasoning has shape \(2, 2\); expected \(2,\)"),
        (([0.0, 1.0], [0.0, 0.0], [0]), "group has 1 labels"),
        (([[0.0], [1.0]], [0.0, 0.0], [0, 0]), r"outcome has shape \(2, 1\)"),
    ],
)
def test_bad_columns_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        awpo_advantages(*columns, DEFAULT)
