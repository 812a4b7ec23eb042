"""Measures on rows whose answer is known, against slow references, and where the rows determine nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reward_models.judge_eval import measures
from reward_models.judge_eval.measures import RowResult, agreement, by_kind, coverage, length_bias, pooled_spearman
from reward_models.labelled import HONEST


def row(number, kind=HONEST, score=0.5, label=None, pair=None, length=10, source=None):
    label = float(kind == HONEST) if label is None else label
    reason = "timeout" if score is None else None
    return RowResult(f"{number} {kind}", source or f"s{number}", kind, label, pair, length, score, reason)


def set_of(score_of, sources=30):
    """Honest rows and two kinds; `score_of(number, kind)`."""
    made = []
    for number in range(sources):
        made.append(row(number, score=score_of(number, HONEST), length=100 + number))
        for kind in ("swapped", "empty"):
            made.append(row(number, kind, score_of(number, kind), pair=f"{number} {HONEST}", length=number))
    return made


def test_a_perfect_judge_is_measured_as_one_with_an_honest_interval():
    found = agreement(set_of(lambda number, kind: float(kind == HONEST)))
    assert found.auc.value == found.pair_accuracy.value == found.spearman.value == 1
    assert found.auc.high == 1 and 0.85 < found.auc.low < 0.9  # Wilson's for 30 of 30
    assert found.ece.value == 0 and found.pairs == 60
    few = agreement(set_of(lambda number, kind: float(kind == HONEST), sources=3))
    assert few.auc.low == pytest.approx(0.4385, abs=1e-3)  # three sources show little


def test_what_a_judge_sees_is_told_by_kind():
    rng = np.random.default_rng(0)
    rows = set_of(lambda number, kind: rng.random() / 2 + (0.0 if kind == "empty" else 0.5), sources=60)
    kinds = by_kind(rows)
    assert kinds["empty"].auc.value == 1 and kinds["empty"].pair_accuracy.value == 1
    assert kinds["swapped"].auc.low < 0.5 < kinds["swapped"].auc.high
    assert (kinds["swapped"].rows, kinds["swapped"].scored, kinds["swapped"].pairs) == (60, 60, 60)
    assert kinds["empty"].mean_score < 0.5 < kinds["swapped"].mean_score


def test_a_kind_is_set_against_the_honest_rows_of_its_sources():
    rows = [row(0, score=0.1), row(0, "bad", 0.2), row(1, score=0.9)]
    assert by_kind(rows)["bad"].auc.value == 0  # the honest row of source 1 does not count


def test_a_kind_with_labels_of_its_own_is_measured_by_them():
    rows = [row(n, "distilled", score=n / 10, label=n / 10) for n in range(11)]
    assert by_kind(rows)["distilled"].auc.value == 1


def test_rows_without_a_score_count_in_coverage_alone():
    rows = [row(0, score=0.9), row(0, "bad", 0.1, pair=f"0 {HONEST}"), row(1, score=None), row(2, "bad", None)]
    found = coverage(rows)
    assert found.share.value == 0.5 and found.unscored == {"timeout": 2}
    assert agreement(rows).pairs == 1 and agreement(rows).auc.value == 1
    assert by_kind(rows)["bad"].scored == 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0, score=None), row(1, "bad", None)],
        [row(0, score=0.4), row(1, score=0.9)],
        [row(0, "bad", 0.4), row(1, "bad", 0.9)],
    ],
)
def test_one_class_and_no_scores_determine_no_auc(rows):
    found = agreement(rows)
    assert math.isnan(found.auc.value) and math.isnan(found.auc.low) and math.isnan(found.pair_accuracy.value)
    assert math.isnan(length_bias(rows).within_kind.value) or len({item.length for item in rows}) > 1
    assert all(math.isnan(item.auc.value) for item in by_kind(rows).values())


def test_length_within_kinds_is_not_fooled_by_kinds_of_different_length():
    rng = np.random.default_rng(1)
    fair = set_of(lambda number, kind: rng.random() / 2 + 0.5 * (kind == HONEST), sources=60)
    found = length_bias(fair)
    assert found.overall.value > 0.4  # honest thoughts are longer here
    assert found.within_kind.low < 0 < found.within_kind.high
    loves_length = set_of(lambda number, kind: number / 100 + 0.1 * (kind == HONEST), sources=50)
    assert length_bias(loves_length).within_kind.value == pytest.approx(1)
    assert length_bias(loves_length).good.value == pytest.approx(1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_one_stratum_is_spearman(pairs):
    first, second = np.array(pairs, dtype=float).T
    value = pooled_spearman(first, second, np.zeros(len(pairs)))
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(stats.spearmanr(first, second).statistic)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), min_size=2, max_size=20))
def test_pooled_ranks_agree_with_ranking_each_stratum(triples):
    first, second, strata = np.array(triples, dtype=float).T
    columns = []
    for column in (first, second):
        ranks = np.zeros(len(column))
        for stratum in set(strata):
            inside = np.flatnonzero(strata == stratum)
            own = stats.rankdata(column[inside])
            ranks[inside] = (own - own.mean()) / len(inside)
        columns.append(ranks)
    if all(column.any() for column in columns):
        assert pooled_spearman(first, second, strata) == pytest.approx(np.corrcoef(*columns)[0, 1])
    else:
        assert math.isnan(pooled_spearman(first, second, strata))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), min_size=2, max_size=20))
def test_shifting_a_stratum_changes_nothing(triples):
    first, second, strata = np.array(triples, dtype=float).T
    value = pooled_spearman(first, second, strata)
    moved = pooled_spearman(first + 100 * strata, second - 50 * strata, strata)
    assert value == pytest.approx(moved, nan_ok=True)
    assert math.isnan(value) or -1 - 1e-9 <= value <= 1 + 1e-9


@settings(max_examples=8)
@given(st.lists(st.tuples(st.floats(0, 1) | st.none(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
def test_measures_never_raise_and_stay_in_their_ranges(items):
    rows = [
        row(n, HONEST if good else "bad", score, source=f"s{source}", length=n % 3)
        for n, (score, good, source) in enumerate(items)
    ]
    found = agreement(rows)
    for interval in (found.auc, found.pair_accuracy, found.ece, coverage(rows).share):
        assert all(math.isnan(end) or 0 <= end <= 1 for end in (interval.value, interval.low, interval.high))
    measures.by_kind(rows), measures.length_bias(rows)
