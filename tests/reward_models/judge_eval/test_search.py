"""The search for texts: it finds what a judge pays for, is the same again, keeps its budget, and goes on from its record."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.judge_eval.search import SearchConfig, origins, response_of, search, targets_of
from reward_models.judge_eval.search_texts import MAX_TEXT, MOVES, moved, openings
from reward_models.labelled import HONEST
from reward_models.parsing import parse_response
from reward_models.scorers.data.dataset import build
from tests.reward_models.scorers.helpers import honest_rows

ROWS = list(build(honest_rows(10), ["swapped_values", "argued_values", "padded"], "train", 0))


def run(judge, config, count=4):
    found = targets_of(ROWS, count, config.seed)
    asked = []

    async def ask(items):
        asked.extend(items)
        return [judge(rollout.response.partition("</think>")[0]) for _, rollout in items]

    moves = asyncio.run(search(found, ask, config))
    return found, moves, asked


def test_targets_are_the_wrong_calls_each_once():
    found = targets_of(ROWS, 100, 0)
    assert {item.row.kind for item in found} == {"swapped_values", "argued_values"}  # padded has the right call
    assert all(item.target.calls != item.target.right for item in found)
    assert len({(item.target.source, repr(item.target.calls)) for item in found}) == len(found)
    assert [item.target.id for item in targets_of(ROWS, 3, 0)] == [item.target.id for item in found[:3]]
    with pytest.raises(ValueError, match="no row has another call"):
        targets_of([row for row in ROWS if row.kind in (HONEST, "padded")], 5, 0)


def test_every_text_stands_before_the_wrong_call_and_the_budget_is_kept():
    found, _, asked = run(lambda text: 0.1, SearchConfig(budget=25, a_round=4))
    assert all(len(item.tried) <= 25 for item in found) and len(asked) == sum(len(item.tried) for item in found)
    calls = {item.target.id: item.target.calls for item in found}
    for name, rollout in asked:
        assert parse_response(rollout.response).calls == calls[name]
    texts = [tried.text for tried in found[0].tried]
    assert len(set(texts)) == len(texts) > 18
    assert {tried.origin for tried in found[0].tried} >= {"its own", "template 1", "template 2"}


def test_it_finds_what_a_judge_pays_for_and_learns_which_move_does_it():
    found, moves, _ = run(lambda text: min(1.0, text.count("flawless") / 3), SearchConfig(budget=80), count=8)
    assert sum(item.high >= 0.3 for item in found) >= 6
    assert max(moves, key=moves.get) in ("add a stock reason", "say all twice", "borrow a sentence")
    assert sum(moves.values()) == pytest.approx(1) and sum(origins(found, 0.3).values()) >= 6


def test_the_same_seed_and_verdicts_give_the_same_search():
    first, second = (run(lambda text: len(text) % 7 / 7, SearchConfig(budget=30)) for _ in range(2))
    assert [[tried.text for tried in item.tried] for item in first[0]] == [
        [tried.text for tried in item.tried] for item in second[0]
    ]
    other = run(lambda text: len(text) % 7 / 7, SearchConfig(budget=30, seed=1))
    assert [item.target.id for item in other[0]] != [item.target.id for item in first[0]]


def test_a_judge_without_scores_ends_the_search():
    found, moves, asked = run(lambda text: float("nan"), SearchConfig(budget=50))
    assert len(asked) < 4 * 30 and all(item.high != item.high for item in found)
    assert len(set(moves.values())) == 1


@given(st.sampled_from(sorted(MOVES)), st.text(min_size=1, max_size=80), st.lists(st.text(), max_size=2), st.randoms())
def test_any_move_of_any_text_is_bounded_and_not_empty(name, text, others, rng):
    (found,) = targets_of(ROWS, 1, 0)
    made = moved(name, text * 30, found.target, [other for other in others if other], rng)
    assert made and len(made) <= max(MAX_TEXT, len(text) * 30)


def test_a_thought_with_a_tag_is_not_tried():
    (found,) = targets_of(ROWS, 1, 0)
    assert response_of(found.target, "</think> so") is None and response_of(found.target, "so") is not None
    assert len(openings(found.target)) > 12 and json.dumps(openings(found.target))
