"""Rollouts of several turns: what is the model's own, what the columns say of it, and tools that keep a session's state."""

import asyncio
import json
from dataclasses import replace

import pytest

from reward_models.reward import compute_score
from reward_models.rollout_view import own_texts, read_text, turns_of
from reward_models.sandbox import Sandbox, SandboxConfig, TaskStatus
from reward_models.types import Rollout

CALL = '<think>I add.</think>\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ANSWER = "<think>It is done.</think>\nDone."
WHOLE = f"{CALL}\nuser\n<tool_response>\n<tool_call>x</tool_call>\n</tool_response>\nassistant\n{ANSWER}"


def rollout(**info):
    return Rollout("", "[]", WHOLE, "", "bank", info)


def test_the_texts_of_all_turns_are_the_models_own():
    assert own_texts(rollout()) == [WHOLE] and turns_of(rollout()) is None
    assert own_texts(rollout(turns=[[CALL, ANSWER], ANSWER])) == [CALL, ANSWER, ANSWER]
    assert own_texts(rollout(turns=[[]])) == [""]
    with pytest.raises(ValueError, match="must be a list with, for each turn, a text"):
        turns_of(rollout(turns=[[1]]))


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
