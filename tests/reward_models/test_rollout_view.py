"""Rollouts of several turns: what is the model's own, what the columns say of it, and tools that keep a session's state."""

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.parsing import Status, parse_response
from reward_models.reward import compute_score
from reward_models.rollout_view import read_rollout, read_text, turns_of
from reward_models.sandbox import Sandbox, SandboxConfig, TaskStatus
from reward_models.types import Rollout
from tests.reward_models.strategies import tag_soup

CALL = '<think>I add.</think>\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ANSWER = "<think>It is done.</think>\nDone."
WHOLE = f"{CALL}\nuser\n<tool_response>\n<tool_call>x</tool_call>\n</tool_response>\nassistant\n{ANSWER}"


def rollout(**info):
    return Rollout("", "[]", WHOLE, "", "bank", info)


def texts(**info):
    return [step.text for step in read_rollout(rollout(**info)).steps]


def test_the_texts_of_all_turns_are_the_models_own():
    assert texts() == [WHOLE] and turns_of(rollout()) is None
    assert texts(turns=[[CALL, ANSWER], ANSWER]) == [CALL, ANSWER, ANSWER]
    assert texts(turns=[[]]) == [""]
    with pytest.raises(ValueError, match="must be a list with, for each turn, a text"):
        turns_of(rollout(turns=[[1]]))


def test_each_step_has_its_thought_its_calls_and_what_the_tools_answered():
    view = read_rollout(rollout(turns=[[CALL, ANSWER], [ANSWER]], tool_answers=[[["1"], []]]))
    assert [step.thought for step in view.steps] == ["I add.", "It is done.", "It is done."]
    assert [len(step.parsed.calls) for step in view.steps] == [1, 0, 0]
    assert [step.tool_answers for step in view.steps] == [("1",), (), ()]
    assert view.thought == "I add.\nIt is done.\nIt is done." and view.answer == "Done."
    assert [call.name for call in view.calls] == ["add"] and view.steps[1].action == "Done."
    assert view.thinks_throughout and view.well_formed and view.has_evidence


@pytest.mark.parametrize("answers", [[[["1"], ["2"], ["3"]]], [[], [], []], [[[1]]]])
def test_answers_that_fit_no_text_are_refused(answers):
    with pytest.raises(ValueError, match="tool_answers"):
        read_rollout(rollout(turns=[[CALL, ANSWER], [ANSWER]], tool_answers=answers))


def test_several_steps_read_as_one_response():
    whole = read_rollout(rollout(turns=[[CALL, ANSWER]])).as_one
    assert (whole.status, whole.answer, len(whole.calls)) == (Status.VALID, "Done.", 1)
    broken = read_rollout(rollout(turns=[[CALL, "<tool_call>"]])).as_one
    assert (broken.status, broken.calls) == (Status.UNPARSEABLE, ()) and broken.problems
    alone = read_rollout(rollout(turns=[[CALL]]))
    assert alone.as_one is alone.steps[0].parsed


@pytest.mark.parametrize(
    ("question", "response", "evident"),
    [("q", "<think>t</think>", True), (" ", "<think>t</think>\n", False), ("", "<think>t</think> <tool_call>{", True)],
)
def test_a_request_or_an_action_is_evidence(question, response, evident):
    assert read_rollout(Rollout(question, "", response, "", "test")).has_evidence is evident


@given(text=st.one_of(tag_soup, st.text()))
def test_any_text_is_read(text):
    view = read_rollout(Rollout("", "", text, "", "test"))
    assert view.as_one == parse_response(text) and len(view.steps[0].action) <= len(text)


@pytest.mark.parametrize(
    ("turns", "parsable", "has_think"),
    [
        (None, 0.0, 1.0),
        ([[CALL, ANSWER]], 1.0, 1.0),
        ([[CALL], ["Done."]], 1.0, 0.0),
        ([[CALL], ["<tool_call>"]], 0.0, 0.0),
    ],
)
def test_the_columns_are_about_the_models_texts_not_about_what_tools_answered(turns, parsable, has_think):
    info = {"question": "Add.", "tools": "[]", **({} if turns is None else {"turns": turns})}
    truth = '[{"add": {"a": [1]}}]'
    columns = asyncio.run(compute_score("bank", WHOLE, truth, info, judge="none", verifier="strict"))
    assert (columns["parsable"], columns["has_think"]) == (parsable, has_think)


@pytest.fixture(scope="module")
def sandbox():
    module = "tests.reward_models.sandbox.state_tools"
    with Sandbox(SandboxConfig(workers=1), preload=["reward_models.sandbox.jobs", module]) as sandbox:
        yield lambda *calls, **config: sandbox.submit(
            "reward_models.sandbox.jobs:run_session",
            {
                "target": f"{module}:Folders",
                "initial_config": config,
                "long_context": False,
                "calls": [{"name": name, "arguments": arguments} for name, arguments in calls],
            },
        ).result()


def test_a_sessions_calls_build_on_one_another_and_the_next_session_starts_anew(sandbox):
    assert sandbox(("mkdir", {"name": "a"}), ("ls", {})).value == '["a"]'
    assert sandbox(("ls", {}), folders=["b"]).value == '["b"]'


def test_what_a_tool_raises_is_an_answer(sandbox):
    assert sandbox(("cd", {"name": "nowhere"})).value == "Error: KeyError: 'nowhere'"
    assert sandbox(("cd", {"place": 1})).value.startswith("Error: TypeError: ")
    assert sandbox(("_secret", {})).value == "Error: UnknownTool: _secret"
    result = sandbox(("cd", {"name": "nowhere"}), ("ls", {}))  # and the session goes on
    assert (result.status, result.value) == (TaskStatus.OK, "[]")


def test_a_text_is_read_once_by_what_the_row_knows():
    text = "<tool_call><function=f><parameter=n>\n7\n</parameter></function></tool_call>"
    tools = json.dumps([{"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "string"}}}}])
    rollout = Rollout("", tools, text, "", "", {})
    read = read_text(rollout, text, "qwen3_coder")
    assert read_text(rollout, text, "qwen3_coder") is read
    assert read.calls[0].arguments == {"n": "7"}
    assert read_text(replace(rollout, tools=""), text, "qwen3_coder").calls[0].arguments == {"n": 7}
    thought = "Still thinking"
    opened = replace(rollout, extra_info={"thinking": "opened"})
    assert read_text(rollout, thought).answer == thought and read_text(opened, thought).answer is None
