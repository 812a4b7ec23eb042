"""A second opinion: two numbers to compare, or a reason why there is none; never a zero, never an exception."""

import asyncio
import math

import pytest

from awpo_ext.guard.second import (
    Asked,
    Opinion,
    ask_all,
    check_second,
    opinion_metrics,
    opinion_values,
)
from reward_models.judges.base import Judge
from reward_models.types import Scored, Unscored, UnscoredReason

MINE = "tests.awpo_ext.guard.test_second:Mine"
TRUTH = '[{"name": "add", "arguments": {"a": 1}}]'
RIGHT = '<think>add</think><tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


class Mine(Judge):
    """Does what the response says."""

    async def score(self, rollout):
        if "slow" in rollout.response:
            await asyncio.sleep(30)
        if "raise" in rollout.response:
            raise RuntimeError("a defect")
        if "refuse" in rollout.response:
            return Unscored(UnscoredReason.REFUSED)
        return Scored(0.25)


def asked(response=RIGHT, first=0.75, truth=TRUTH):
    return Asked("sums", response, truth, {"question": "?"}, first)


def opinions(rows, second, seconds=5.0):
    return asyncio.run(ask_all(rows, second, seconds))


def test_a_judges_opinion_is_a_number_or_a_reason():
    rows = [asked(), asked("refuse"), asked("raise"), asked("slow"), asked(first=math.nan), asked(truth=None)]
    found = opinions(rows, {"judge": MINE}, seconds=0.5)
    assert found[0] == Opinion(0.75, 0.25) and [one.failure for one in found] == [
        "", "refused", "error", "late", "no_first", "bad_row",
    ]  # fmt: skip
    assert all(math.isnan(one.second) for one in found[1:4])
    assert opinion_values(found) == {"second": (0.5, 1.0)}
    metrics = opinion_metrics(found)
    assert metrics["awpo/alarm/second/asked"] == 6.0 and metrics["awpo/alarm/second/mean"] == 0.25
    assert metrics["awpo/alarm/second/failed/late"] == pytest.approx(1 / 6)


def test_a_verifiers_opinion_is_on_the_scale_of_its_row():
    found = opinions([asked(), asked(RIGHT.replace("1", "2"))], {"verifier": "strict"})
    assert found[0] == Opinion(0.75, 1.0) and 0.0 <= found[1].second < 1.0


def test_nobody_asked_or_all_failed_says_nothing():
    assert opinion_values([]) == {} == opinion_metrics([])
    assert opinion_values([Opinion(0.5, math.nan, "late")]) == {}
    assert "awpo/alarm/second/mean" not in opinion_metrics([Opinion(0.5, math.nan, "late")])


@pytest.mark.parametrize(("second", "said"), [
    ({"judge": "none", "verifier": "strict"}, "one of the two"),
    ({"judge_kwargs": {}}, "one of the two"),
    ({"judge": "llm", "rubric": "x"}, "allowed keys: judge, judge_kwargs, verifier"),
    ({"judge": "llm_group", "judge_kwargs": {"base_url": "http://x/v1", "model": "m"}}, "ranks all rollouts"),
    ({"verifier": "stict"}, "stict"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_before_the_run(second, said):
    with pytest.raises(ValueError, match=said):
        check_second(second)


def test_what_can_be_asked_is_not():
    check_second({})
    check_second({"verifier": "strict", "verifier_kwargs": {"dialect": "hermes"}})
    check_second({"judge": MINE})
