"""Votes: seeds that repeat and differ as they should, and one verdict out of several."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judges.llm.verdict import Grade
from reward_models.judges.llm.votes import AGGREGATES, combine, vote_seed

any_text = st.text(st.characters(), max_size=20)
reasons = st.sampled_from(list(UnscoredReason))
votes = st.lists(
    st.one_of(
        st.integers(0, 7).map(lambda score: Grade(score, score / 7, "because")),
        reasons.map(lambda reason: Unscored(reason, reason.value)),
    ),
    min_size=1,
    max_size=9,
)


def grades(*scores):
    return [Grade(score, score / 10, "because") for score in scores]


@given(row=any_text, response=any_text, other=any_text, k=st.integers(1, 64))
def test_seeds_repeat_and_are_distinct(row, response, other, k):
    seeds = [vote_seed(row, response, vote) for vote in range(k)]
    assert seeds == [vote_seed(row, response, vote) for vote in range(k)]
    assert len(set(seeds)) == k and all(0 <= seed < 2**31 for seed in seeds)
    if other != response:
        assert vote_seed(row, other, 0) != seeds[0]


def test_the_border_between_row_and_response_counts():
    assert vote_seed("ab", "c", 0) != vote_seed("a", "bc", 0)


@given(votes=votes, how=st.sampled_from(sorted(AGGREGATES)))
def test_one_verdict_out_of_any_votes(votes, how):
    values = [vote.value for vote in votes if isinstance(vote, Grade)]
    failures = [vote.reason for vote in votes if isinstance(vote, Unscored)]
    verdict = combine(votes, how)
    if 2 * len(values) >= len(votes):
        assert min(values) - 1e-12 <= verdict.value <= max(values) + 1e-12 and 0.0 <= verdict.value <= 1.0
        assert verdict.spread == (statistics.stdev(values) if len(values) > 1 else None)
    else:
        assert failures.count(verdict.reason) == max(failures.count(reason) for reason in failures)


@pytest.mark.parametrize(
    ("how", "scores", "value"),
    [
        ("mean", (2, 4, 9), 0.5),
        ("median", (2, 4, 9), 0.4),
        ("median", (2, 4, 6, 9), 0.5),
        ("majority", (2, 9, 9), 0.9),
        ("majority", (9, 2, 9, 2, 5), 0.2),
        ("majority", (4,), 0.4),
    ],
)
def test_the_aggregates(how, scores, value):
    assert combine(grades(*scores), how).value == pytest.approx(value)


def test_the_spread_is_the_votes_standard_deviation():
    assert combine(grades(0, 10), "mean").spread == pytest.approx(0.5**0.5)
    assert combine(grades(3, 3, 3), "median") == Scored(0.3, spread=0.0)
    assert combine(grades(3), "mean") == Scored(0.3)


def test_half_of_the_votes_are_a_quorum():
    timeout, bad = Unscored(UnscoredReason.TIMEOUT, "slow"), Unscored(UnscoredReason.BAD_VERDICT, "odd")
    assert combine([*grades(5), timeout], "mean") == Scored(0.5)
    assert combine([*grades(2, 4), timeout, bad], "mean").value == pytest.approx(0.3)
    verdict = combine([*grades(5), bad, timeout, timeout], "mean")
    assert verdict == Unscored(UnscoredReason.TIMEOUT, "3 of 4 votes failed, the first so: slow")
    assert combine([*grades(5), bad, timeout], "mean").reason is UnscoredReason.BAD_VERDICT
    assert combine([timeout], "mean") == timeout
