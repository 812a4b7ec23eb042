"""The benchmark of the LLM judge's verdicts: its pairs are what they say, and its figures are right."""

import asyncio
import importlib
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judges import make_judge
from reward_models.judges.llm.judge import Judgement, Vote
from reward_models.judges.llm.verdict import Grade, Scale
from reward_models.labelled import HONEST
from reward_models.parsing import parse_response
from tests.paths import BENCHMARKS
from tests.reward_models.judges.fakes import FakeClient, verdict_text

SUBJECTS = ["rain", "tax", "chess", "opera", "cheese", "glacier", "violin", "harbour", "comet", "tulip"]
TOOLS = """**Available Tools**
You can use these:
1. Name: find_{0}
Description: Finds {0}.
Parameters: {{"topic": {{"description": "It.", "type": "string"}}, "count": {{"description": "How many.", "type": "int"}}}}
2. Name: sell_{0}
Description: Sells {0}.
Parameters: {{"topic": {{"description": "The topic.", "type": "string"}}}}
"""


@pytest.fixture(scope="module")
def modules():
    pytest.importorskip("sklearn")
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("mismatched"), importlib.import_module("rubric_quality")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def rows(modules, tmp_path_factory):
    def record(i, subject):
        thought = f"The user asks about {subject}, so find_{subject} is called with topic {subject} and count {i}. " * 4
        call = json.dumps({"name": f"find_{subject}", "parameters": {"topic": subject, "count": i}})
        return {
            "instruction": TOOLS.format(subject),
            "input": f"**Dialogue Records History**\n<user> Tell me {i} things about {subject} </user>",
            "output": f"<think> {thought}</think>\n<tool_call>\n{call}\n</tool_call>",
        }

    records = [record(i, subject) for i, subject in enumerate(SUBJECTS)]
    answered = dict(records[0], output=records[0]["output"].partition("<tool_call>")[0] + "<response>No.</response>")
    second_turn = dict(records[1], input=records[1]["input"] + "\n<user> And cheaper ones? </user>")
    short = dict(records[2], output="<think>Short.</think>" + records[2]["output"].partition("</think>")[2])
    path = tmp_path_factory.mktemp("toolrl") / "rlla_sft.json"
    path.write_text(json.dumps([answered, second_turn, short, *records]))
    return modules[0].read_rows(path)


def test_rows_are_first_turns_with_calls_and_a_thought(rows):
    questions = {row["extra_info"]["question"] for row in rows}
    assert questions == {f"Tell me {i} things about {subject}" for i, subject in enumerate(SUBJECTS)}


def test_the_halves_share_nothing_and_do_not_depend_on_the_order(modules, rows):
    halves = [[row["extra_info"]["id"] for row in modules[0].half(rows, name)] for name in modules[0].HALVES]
    assert not set(halves[0]) & set(halves[1]) and sum(map(len, halves)) == len(rows)
    assert halves == [[row["extra_info"]["id"] for row in modules[0].half(rows[::-1], n)] for n in modules[0].HALVES]


def test_short_rows_come_first_and_none_is_lost(modules, rows):
    def chars(row):
        about = row["extra_info"]
        return len(about["question"]) + len(about["tools"]) + len(row["reward_model"]["ground_truth"])

    middle = sorted(map(chars, rows))[len(rows) // 2]
    ordered, count = modules[1].short_first(rows, middle)
    assert 0 < count < len(rows) and [chars(row) <= middle for row in ordered] == sorted(
        (chars(row) <= middle for row in rows), reverse=True
    )
    assert ordered[:count] == [row for row in rows if chars(row) <= middle]
    assert ordered[count:] == [row for row in rows if chars(row) > middle]
    assert modules[1].short_first(rows, None) == (rows, len(rows))


def test_each_kind_is_what_it_says(modules, rows):
    made = modules[0].mismatched(rows, 5)
    assert made == modules[0].mismatched(rows, 5) and len({item.id for item in made}) == len(made) == 25
    by_row = {source: {i.kind: i for i in made if i.source == source} for source in {i.source for i in made}}
    for kinds in by_row.values():
        own = parse_response(kinds[HONEST].rollout.response)
        assert set(kinds) == {HONEST, *modules[0].KINDS} and kinds[HONEST].label == 1.0
        assert len({(i.rollout.question, i.rollout.tools, i.rollout.ground_truth) for i in kinds.values()}) == 1
        for kind, item in kinds.items():
            if kind == HONEST:
                continue
            found = parse_response(item.rollout.response)
            assert item.label == 0.0 and item.pair == kinds[HONEST].id
            if kind.endswith("_thought"):
                assert found.calls == own.calls and found.thought != own.thought
            else:
                assert found.thought == own.thought and found.calls != own.calls
        swapped = parse_response(kinds["tool_swapped"].rollout.response).calls[0]
        assert swapped.name.startswith("sell_") and swapped.arguments == own.calls[0].arguments
        changed = parse_response(kinds["values_swapped"].rollout.response).calls[0]
        assert changed.name == own.calls[0].name and changed.arguments.keys() == own.calls[0].arguments.keys()
        for key, value in changed.arguments.items():
            assert value != own.calls[0].arguments[key] and type(value) is type(own.calls[0].arguments[key])


scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=8)


@given(own=scores, other=scores)
def test_the_auc_is_the_share_of_pairs(modules, own, other):
    pairs = [(a > b) + (a == b) / 2 for a in own for b in other]
    assert modules[1].auc(np.array(own), np.array(other)) == pytest.approx(sum(pairs) / len(pairs))


def test_a_judge_that_knows_and_one_that_does_not(modules, rows):
    items = modules[0].mismatched(rows, 6)
    knows = [item.label for item in items]
    found = modules[1].contrast(items, knows, "tool_swapped")
    assert (found.rows, found.auc.value, found.auc.low, found.wins.value) == (6, 1.0, 1.0, 1.0)
    alike = [0.5] * len(items)
    assert str(modules[1].contrast(items, alike, "other_thought").auc) == "0.50 [0.50, 0.50]"
    assert modules[1].contrast(items, [None, *knows[1:]], "tool_swapped").rows == 5
    assert modules[1].contrast(items, [None] * len(items), "tool_swapped") is None


def test_a_line_of_the_table(modules, rows):
    items = [item for item in modules[0].mismatched(rows, 3) if item.kind in (HONEST, "other_thought")]
    judge = make_judge("llm", base_url="http://127.0.0.1/v1", model="grader", **modules[1].ARMS["bare"])
    judge._client = FakeClient(verdict_text(10))

    async def judgements():
        return await asyncio.gather(*(judge.judge(item.rollout) for item in items))

    (line,) = modules[1].table(items, asyncio.run(judgements()), judge, "bare")
    assert line == "| bare | other_thought | 3 | 0.50 [0.50, 0.50] | 0.50 [0.50, 0.50] | 0% | 100 + 20 | 0 s |"


def test_the_score_as_given_and_by_probability(modules):
    votes = (Vote(Grade(1, 0.6, "r")), Vote(Grade(5, 0.8, "r")), Vote(Unscored(UnscoredReason.TIMEOUT)))
    judgement = Judgement(Scored(0.7), "r", "p", votes)
    assert (modules[1].as_given(judgement, Scale(1, 5)), modules[1].by_probability(judgement)) == (0.5, 0.7)
    lost = Judgement(Unscored(UnscoredReason.TIMEOUT), "r", "p", votes)
    assert modules[1].as_given(lost, Scale(1, 5)) is modules[1].by_probability(lost) is None


def test_without_the_data_it_says_so(modules, monkeypatch, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["x", "--url", "http://127.0.0.1/v1", "--model", "m", "--data", str(tmp_path / "no.json")]
    )
    with pytest.raises(SystemExit, match=r"skipped: .*no\.json is not there"):
        modules[1].main()
