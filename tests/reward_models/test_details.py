"""The text beside a rollout's reward columns: always JSON, always bounded, whatever the rollout and the judge say."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.details import MAX_WORDS, details_of
from reward_models.llm_client.tally import count, counting
from reward_models.llm_client.totals import Entry
from reward_models.rollout_view import read_rollout
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason
from reward_models.verifiers.base import Outcome
from tests.reward_models.strategies import tag_soup

numbers = st.floats()
outcomes = st.builds(
    Outcome,
    format=st.just(0.0),
    correctness=st.just(1.0),
    reason=st.text(max_size=20),
    parts=st.dictionaries(st.text(max_size=8), numbers, max_size=100),
    reasons=st.lists(st.text(max_size=20), max_size=100).map(tuple),
)
verdicts = st.one_of(
    st.builds(Scored, st.just(0.5), words=st.text().map(lambda text: text * 1000), votes=st.just((0.25, 0.75))),
    st.builds(Unscored, st.sampled_from(UnscoredReason), st.text()),
)


@given(outcomes, tag_soup, verdicts)
def test_always_bounded_strict_json(outcome, response, verdict):
    text = details_of(outcome, read_rollout(Rollout("q", "", response, "{}", "s")), verdict, 7)
    assert len(text) < 80_000 and text.isascii()
    found = json.loads(text, parse_constant=lambda name: 1 / 0)
    assert len(found["words"]) <= MAX_WORDS and found["judge_tokens"] == 7
    assert found["votes"] == ([0.25, 0.75] if isinstance(verdict, Scored) else [])


def test_calls_that_are_too_large_are_left_out():
    call = json.dumps({"name": "f", "arguments": {"a": "x" * 20_000}})
    view = read_rollout(Rollout("q", "", f"<think>t</think><tool_call>{call}</tool_call>", "{}", "s"))
    assert view.calls and json.loads(details_of(Outcome(0, 1, "exact"), view, Scored(1.0), None))["calls"] is None


@pytest.mark.parametrize(
    "verdict", [Scored(1.0, words="é" * MAX_WORDS), Unscored(UnscoredReason.ERROR, "é" * MAX_WORDS)]
)
def test_long_words_leave_short_calls_alone(verdict):
    text = '<think>t</think><tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
    view = read_rollout(Rollout("q", "", text, "{}", "s"))
    found = json.loads(details_of(Outcome(0, 1, "exact"), view, verdict, None))
    assert found["calls"] == [[{"name": "f", "arguments": {"a": 1}}]] and len(found["words"]) == MAX_WORDS


def test_words_decide_nothing():
    assert Scored(0.5, words="good", votes=(0.5,)) == Scored(0.5)


def test_each_context_counts_its_own_calls():
    async def judged(tokens):
        with counting() as tally:
            await asyncio.gather(*(asyncio.create_task(called(tokens)) for _ in range(3)))
        return tally

    async def called(tokens):
        await asyncio.sleep(0)
        count(Entry("answer", "server", prompt_tokens=tokens, completion_tokens=1))

    async def both():
        return await asyncio.gather(judged(10), judged(100))

    one, other = asyncio.run(both())
    assert (one.calls, one.tokens) == (3, 33) and (other.calls, other.tokens) == (3, 303)
    count(Entry("answer", "server", prompt_tokens=1))  # outside of any: counted nowhere
