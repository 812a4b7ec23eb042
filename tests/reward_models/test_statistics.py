"""The statistics against slow, obvious references, and what must hold of them on any data."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from reward_models.statistics import (
    auc,
    bootstrap,
    ece,
    holm,
    kendall,
    pair_accuracy,
    paired_difference,
    ranks,
    reliability,
    spearman,
    wilson,
)

# Few values, so that ties are frequent.
SCORE = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.50001, 0.9, 1.0]) | st.floats(0, 1)
ROWS = st.lists(st.tuples(SCORE, st.sampled_from([0.0, 1.0])), min_size=1, max_size=30)
GRADED = st.lists(st.tuples(SCORE, SCORE), min_size=2, max_size=30)


def slow_auc(scores, labels):
    rows = list(zip(scores, labels, strict=True))
    pairs = [(a, b) for a, good in rows for b, bad in rows if good > 0.5 >= bad]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs) if pairs else math.nan


def same(first, second):
    return math.isclose(first, second, abs_tol=1e-12) or (math.isnan(first) and math.isnan(second))


@given(ROWS)
def test_auc_is_the_share_of_ordered_pairs(rows):
    scores, labels = zip(*rows, strict=True)
    assert same(auc(scores, labels), slow_auc(scores, labels))
    good, bad = ([score for score, label in rows if (label > 0.5) is side] for side in (True, False))
    if good and bad:
        assert same(auc(scores, labels), stats.mannwhitneyu(good, bad).statistic / len(good) / len(bad))


@given(ROWS, st.randoms())
def test_auc_knows_neither_order_nor_scale_and_mirrors(rows, random):
    shuffled = random.sample(rows, len(rows))
    scores, labels = np.array(rows).T
    value = auc(scores, labels)
    assert same(value, auc(*np.array(shuffled).T))
    assert same(value, auc(stats.rankdata(scores) ** 3, labels))
    assert same(value, 1 - auc(-scores, labels))


def test_auc_needs_both_classes_and_finite_scores():
    assert math.isnan(auc([0.1, 0.2], [1, 1])) and math.isnan(auc([], []))
    with pytest.raises(ValueError, match="finite"):
        auc([0.1, math.nan], [0, 1])
    with pytest.raises(ValueError, match="shape"):
        auc([0.1, 0.2], [1])


@given(GRADED)
def test_pair_accuracy_is_the_share_of_right_orders(pairs):
    slow = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    assert same(pair_accuracy(*zip(*pairs, strict=True)), slow)


def test_no_pairs_have_no_accuracy():
    assert math.isnan(pair_accuracy([], []))


@given(ROWS)
def test_ranks_are_scipys(rows):
    scores = np.array([score for score, _ in rows])
    assert np.array_equal(ranks(scores), stats.rankdata(scores))


@given(GRADED)
def test_correlations_agree_with_scipy(pairs):
    first, second = zip(*pairs, strict=True)
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(spearman(first, second)) and math.isnan(kendall(first, second))
        return
    assert math.isclose(spearman(first, second), stats.spearmanr(first, second).statistic, abs_tol=1e-9)
    concordance = sum(np.sign(a - c) * np.sign(b - d) for a, b in pairs for c, d in pairs)
    moved = [sum(x != y for x in column for y in column) for column in (first, second)]
    assert math.isclose(kendall(first, second), concordance / math.sqrt(moved[0] * moved[1]), abs_tol=1e-9)


@given(GRADED, st.integers(1, 12))
def test_bins_hold_every_row_once_and_equal_probabilities_together(pairs, bins):
    probabilities, labels = np.array(pairs).T
    table = reliability(probabilities, labels, bins)
    assert 1 <= len(table) <= bins and sum(item.count for item in table) == len(pairs)
    assert all(one.high < other.low for one, other in itertools.pairwise(table))
    for item in table:
        inside = [(p, label) for p, label in pairs if item.low <= p <= item.high]
        assert item.count == len(inside)
        assert math.isclose(item.probability, sum(p for p, _ in inside) / len(inside), abs_tol=1e-9)
        assert math.isclose(item.label, sum(label for _, label in inside) / len(inside), abs_tol=1e-9)


def test_bins_have_equal_mass_where_probabilities_differ():
    rng = np.random.default_rng(0)
    probabilities = rng.random(1000) ** 4
    assert [item.count for item in reliability(probabilities, probabilities, 10)] == pytest.approx([100] * 10, abs=1)


@given(GRADED)
def test_ece_is_within_bounds_and_zero_for_the_truth(pairs):
    probabilities, labels = np.array(pairs).T
    assert ece(labels, labels) == pytest.approx(0, abs=1e-12)
    # One bin is the least that any binning finds: the difference of the means.
    assert abs(probabilities.mean() - labels.mean()) - 1e-9 <= ece(probabilities, labels) <= 1
    assert ece(probabilities, labels, bins=1) == pytest.approx(abs(probabilities.mean() - labels.mean()))


def test_ece_of_a_known_case_and_of_nothing():
    assert ece([0.2] * 5 + [0.8] * 5, [0] * 5 + [1, 1, 1, 0, 0]) == pytest.approx(0.2)
    assert math.isnan(ece([], []))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        ece([1.5], [1])
    with pytest.raises(ValueError, match="bins=0"):
        ece([0.5], [1], bins=0)


@settings(max_examples=60)
@given(ROWS, st.integers(0, 5))
def test_the_interval_is_reproducible_and_ordered(rows, seed):
    scores, labels = np.array(rows).T
    groups = [str(number % 5) for number in range(len(rows))]
    found = bootstrap(auc, scores, labels, groups=groups, n=40, seed=seed)
    assert same(found.value, auc(scores, labels))
    again = bootstrap(auc, scores, labels, groups=groups, n=40, seed=seed)
    assert same(found.low, again.low) and same(found.high, again.high)
    assert math.isnan(found.low) or 0 <= found.low <= found.high <= 1


def test_whole_groups_are_drawn():
    groups = np.repeat(["a", "b", "c", "d"], [1, 2, 3, 5])
    seen = []
    bootstrap(lambda column: seen.append(tuple(column)) or 0.0, np.arange(11), groups=groups, n=50)
    members = {group: set(np.flatnonzero(groups == group)) for group in "abcd"}
    for drawn in seen[1:]:
        counts = [drawn.count(row) for row in range(11)]
        assert all(len({counts[row] for row in rows}) == 1 for rows in members.values())
        assert sum(counts[min(rows)] for rows in members.values()) == 4


def test_groups_widen_the_interval_of_rows_that_repeat():
    values = np.random.default_rng(1).random(40)
    repeated, groups = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    by_row, by_group = bootstrap(np.mean, repeated), bootstrap(np.mean, repeated, groups=groups)
    plain = bootstrap(np.mean, values)
    assert by_group.high - by_group.low == pytest.approx(plain.high - plain.low, rel=0.1)
    assert by_group.high - by_group.low > 2.5 * (by_row.high - by_row.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(120):
        labels = np.repeat([0.0, 1.0], 60)
        found = bootstrap(auc, rng.normal(labels), labels, n=100, seed=trial)
        covered += found.low <= stats.norm.cdf(1 / math.sqrt(2)) <= found.high
    assert 0.89 <= covered / 120 <= 0.99


def test_what_is_not_determined_has_no_interval():
    one_group = bootstrap(np.mean, [1.0, 2.0], groups=["a", "a"])
    assert one_group.value == 1.5 and math.isnan(one_group.low)
    one_class = bootstrap(auc, [0.1, 0.9], [1, 1])
    assert math.isnan(one_class.value) and math.isnan(one_class.high)
    rare = bootstrap(auc, [0.1] * 5 + [0.9], [0] * 5 + [1], n=100)
    assert rare.low == rare.high == 1  # without the one good row a resample is left out
    assert math.isnan(bootstrap(auc, [], []).value)
    with pytest.raises(ValueError, match="same number"):
        bootstrap(auc, [0.1], [1], groups=["a", "b"])


def test_a_difference_is_found_where_there_is_one():
    rng = np.random.default_rng(3)
    labels = np.tile([0.0, 1.0], 150)
    groups = np.repeat(np.arange(150), 2)
    good, poor = rng.normal(2 * labels), rng.normal(0.2 * labels)
    found = paired_difference(auc, good, poor, labels, groups=groups, n=400)
    assert found.interval.low > 0.1 and found.p == pytest.approx(2 / 401)
    mirrored = paired_difference(auc, poor, good, labels, groups=groups, n=400)
    assert mirrored.interval.value == pytest.approx(-found.interval.value) and mirrored.p == found.p
    nothing = paired_difference(auc, good, good, labels, groups=groups, n=400)
    assert nothing.interval.value == 0 and nothing.p == 1


def test_without_a_difference_p_is_seldom_small():
    rng, labels, small = np.random.default_rng(4), np.tile([0.0, 1.0], 40), 0
    for trial in range(100):
        first, second = rng.normal(labels), rng.normal(labels)
        small += paired_difference(auc, first, second, labels, n=200, seed=trial).p < 0.05
    assert small <= 12


def test_an_undetermined_difference_has_no_p():
    assert math.isnan(paired_difference(auc, [0.1, 0.2], [0.1, 0.2], [1, 1]).p)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_between_bonferroni_and_nothing(p_values):
    adjusted = holm(p_values)
    for p, value in zip(p_values, adjusted, strict=True):
        assert p <= value <= min(1, p * len(p_values)) + 1e-12
        # The definition: the largest of the ordered products up to this one.
        ordered = sorted(p_values)
        products = [min(1, q * (len(ordered) - place)) for place, q in enumerate(ordered) if q <= p]
        assert value <= max(products) + 1e-12
    ranked = [value for _, value in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_holm_of_a_known_case_and_with_gaps():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([math.nan, 0.04])[1] == pytest.approx(0.04) and math.isnan(holm([math.nan, 0.04])[0])


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_is_the_textbook_formula(successes, trials):
    assume(successes <= trials)
    z, share = stats.norm.ppf(0.975), successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    found = wilson(successes, trials)
    assert found.low == pytest.approx(max(0, middle - half), abs=1e-9)
    assert found.high == pytest.approx(min(1, middle + half), abs=1e-9)


def test_wilson_of_no_trials_is_not_determined():
    assert math.isnan(wilson(0, 0).low)
