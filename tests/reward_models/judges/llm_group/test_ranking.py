"""Rankings of a group: what is asked, and what ranks and scores come of the verdicts."""

import asyncio
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judges.llm_group.preferences import Preferences, flips, pairs_to_compare, rank_scores, strengths
from reward_models.judges.llm_group.prompt import LISTWISE, PAIRWISE
from reward_models.judges.llm_group.ranker import ListAsker, PairAsker, Ranker
from tests.reward_models.judges.fakes import FakeClient
from tests.reward_models.judges.llm_group.comparisons import TASK, better, entry, ranking, shown_entry

SHOWN = re.compile(r"^RESPONSE-\w+ (\w+)\nTHOUGHT-\w+:\nworth (\d+)$", re.MULTILINE)


def shown(request):
    """[(label, worth)] as the prompt shows them."""
    return [(label, int(worth)) for label, worth in SHOWN.findall(request.messages[0]["content"])]


def honest(request):
    """Ranks by worth, whatever the order."""
    found = shown(request)
    if "better" in json.dumps(request.response_format):
        (_, one), (_, other) = found
        return better("tie" if one == other else "A" if one > other else "B")
    return ranking(label for label, _ in sorted(found, key=lambda pair: -pair[1]))


def biased(request):
    """Prefers what is shown first."""
    found = shown(request)
    return better("A") if "better" in json.dumps(request.response_format) else ranking(label for label, _ in found)


def rank(mode, answer, entries, max_pairs=28):
    """(verdicts, requests)."""
    client = FakeClient(answer)
    asker = (ListAsker if mode == LISTWISE else PairAsker)(client.ask, False, 256)
    return asyncio.run(Ranker(asker, max_pairs).rank(TASK, entries)), client.requests


def slow_rank_score(values, i):
    """1 for the best, 0 for the worst, by counting; ties count half."""
    others = [other for j, other in enumerate(values) if j != i]
    return sum(1.0 if values[i] > other else 0.5 if values[i] == other else 0.0 for other in others) / len(others)


@pytest.mark.parametrize("mode", [LISTWISE, PAIRWISE])
@settings(max_examples=60)
@given(worths=st.lists(st.integers(0, 6), min_size=2, max_size=8))
def test_a_consistent_model_gives_the_ranks_of_the_worths(mode, worths):
    verdicts, _ = rank(mode, honest, [entry(worth) for worth in worths])
    expected = [slow_rank_score(worths, i) for i in range(len(worths))]
    assert [verdict.value for verdict in verdicts] == pytest.approx(expected)
    assert all(not verdict.spread for verdict in verdicts)


@pytest.mark.parametrize("mode", [LISTWISE, PAIRWISE])
@settings(max_examples=60)
@given(order=st.permutations(list(range(6))))
def test_the_order_of_the_rollouts_changes_no_score(mode, order):
    verdicts, _ = rank(mode, honest, [entry(worth) for worth in order])
    assert {worth: verdict.value for worth, verdict in zip(order, verdicts, strict=True)} == pytest.approx(
        {worth: worth / 5 for worth in range(6)}
    )


@pytest.mark.parametrize("mode", [LISTWISE, PAIRWISE])
def test_a_model_that_looks_at_the_position_gives_a_tie_and_the_full_spread(mode):
    verdicts, _ = rank(mode, biased, [entry(worth) for worth in range(5)])
    assert verdicts == [Scored(0.5, 1.0)] * 5


@pytest.mark.parametrize(("mode", "requests"), [(LISTWISE, 2), (PAIRWISE, 2 * 6)])
def test_everything_is_asked_in_both_orders(mode, requests):
    _, asked = rank(mode, honest, [entry(worth) for worth in range(4)])
    orders = [[worth for _, worth in shown(request)] for request in asked]
    assert len(asked) == requests and sorted(orders) == sorted(order[::-1] for order in orders)
    assert all(request.temperature == 0.0 and request.seed is None for request in asked)


def test_equal_texts_are_shown_once_and_no_thought_is_last_without_a_request():
    entries = [entry(3), entry(1), entry(3), shown_entry("")]
    verdicts, asked = rank(LISTWISE, honest, entries)
    assert [verdict.value for verdict in verdicts] == pytest.approx([2.5 / 3, 1 / 3, 2.5 / 3, 0.0])
    assert [len(shown(request)) for request in asked] == [2, 2]
    for alike, scores in [
        ([entry(1)] * 3, [0.5] * 3),
        ([entry(1), shown_entry("", "")], [1.0, 0.0]),
        ([shown_entry("", "a"), shown_entry("", "b")], [0.0, 0.0]),
    ]:
        verdicts, asked = rank(PAIRWISE, honest, alike)
        assert [verdict.value for verdict in verdicts] == scores and not asked


def test_one_order_alone_decides_nothing():
    def half(request):
        worths = [worth for _, worth in shown(request)]
        return honest(request) if worths == sorted(worths) else "no verdict"

    for mode in (LISTWISE, PAIRWISE):
        verdicts, _ = rank(mode, half, [entry(worth) for worth in range(3)])
        assert [verdict.reason for verdict in verdicts] == [UnscoredReason.BAD_VERDICT] * 3


def test_a_rollout_that_no_comparison_reaches_is_unscored_and_the_others_are_ranked():
    def fails(request):
        return Unscored(UnscoredReason.TIMEOUT, "slow") if 0 in dict(shown(request)).values() else honest(request)

    verdicts, _ = rank(PAIRWISE, fails, [entry(worth) for worth in range(4)])
    assert verdicts[0].reason is UnscoredReason.TIMEOUT and "slow" in verdicts[0].detail
    assert [verdict.value for verdict in verdicts[1:]] == [0.0, 0.5, 1.0]


@given(m=st.integers(2, 20), limit=st.integers(1, 60))
def test_the_pairs_are_bounded_balanced_and_connect_all(m, limit):
    pairs = pairs_to_compare(m, limit)
    assert len(set(pairs)) == len(pairs) == min(m * (m - 1) // 2, max(limit, m))
    assert all(0 <= i < j < m for i, j in pairs)
    games = np.bincount(np.array(pairs).ravel(), minlength=m)
    assert games.max() - games.min() <= 2
    joined = {0}
    for _ in range(m):
        joined |= {place for pair in pairs if joined & set(pair) for place in pair}
    assert joined == set(range(m))


def test_a_part_of_the_pairs_ranks_about_like_all_of_them():
    random, agreement = np.random.default_rng(0), []
    for m in (9, 12, 16) * 5:
        worths = random.permutation(m)
        verdicts, asked = rank(PAIRWISE, honest, [entry(worth) for worth in worths], max_pairs=28)
        assert len(asked) == 2 * 28
        agreement.append(np.corrcoef([verdict.value for verdict in verdicts], worths)[0, 1])
    assert min(agreement) > 0.7 and np.mean(agreement) > 0.9


@given(st.integers(2, 7).flatmap(lambda m: st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=m * m, max_size=m * m)))
def test_of_complete_comparisons_the_order_is_that_of_the_wins(verdicts):
    m = int(len(verdicts) ** 0.5)
    preferences = Preferences.none(m)
    for i, j in pairs_to_compare(m, m * m):
        preferences.put(i, j, verdicts[i * m + j], verdicts[j * m + i])
    wins = np.nansum(preferences.both, axis=1)
    assert rank_scores(strengths(preferences)) == pytest.approx(rank_scores(wins.round(6)))
    changed = [[preferences.given[i, j] != preferences.reverse[i, j] for j in range(m) if j != i] for i in range(m)]
    assert flips(preferences) == pytest.approx([np.mean(row) for row in changed])


def test_nothing_compared_is_no_strength():
    assert np.isnan(strengths(Preferences.none(4))).all() and np.isnan(flips(Preferences.none(4))).all()
    assert rank_scores(np.array([3.0])) == [0.5] and rank_scores(np.array([])).size == 0
