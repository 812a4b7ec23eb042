"""Calls in the forms of data sets: each is read in full or refused by name, and none becomes a call without arguments."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.parsing import ToolCall, render_response
from reward_models.verifiers import make_verifier
from reward_models.verifiers.call_forms import ARGUMENT_KEYS, read_calls
from reward_models.verifiers.expected import parse_expected

PARIS = {"city": "Paris"}
F = ToolCall("f", PARIS)


@pytest.mark.parametrize(
    "item",
    [
        {"name": "f", "arguments": PARIS},
        {"name": "f", "arguments": '{"city": "Paris"}'},
        {"name": "f", "parameters": PARIS},
        {"name": "f", "args": PARIS, "id": "1", "type": "tool_call"},
        {"type": "tool_use", "id": "1", "name": "f", "input": PARIS},
        {"name": "f", "kwargs": PARIS},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"city": "Paris"}', "status": "completed"},
        {"type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}},
        {"function": {"name": "f", "arguments": PARIS}},
        {"function_call": {"name": "f", "arguments": PARIS}},
        {"functionCall": {"name": "f", "args": PARIS}},
        {"toolUse": {"toolUseId": "1", "name": "f", "input": PARIS}},
        {"name": "f", "arguments": PARIS, "parameters": None, "args": None},
        {"function": {"name": "f", "arguments": PARIS}, "name": None, "input": None},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": PARIS}}]},
        {
            "role": "assistant",
            "content": "Sure.",
            "tool_calls": None,
            "function_call": {"name": "f", "arguments": PARIS},
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "name": "f", "input": PARIS}],
        },
    ],
)
def test_the_forms(item):
    assert read_calls(item) == read_calls(json.dumps(item)) == (F,)
    assert parse_expected(json.dumps(item))[0].arguments == {"city": ("Paris",)}
    if "role" not in item:
        assert read_calls([item, item]) == (F, F)


@pytest.mark.parametrize("arguments", ["", " \n", None, {}, "{}", "null"])
def test_a_call_without_arguments(arguments):
    (call,) = read_calls({"type": "function", "function": {"name": "f", "arguments": arguments}})
    assert call == ToolCall("f", {})


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"name": "f", "argument": PARIS}, "'argument'"),
        ({"name": "f", "Arguments": PARIS}, "'Arguments'"),
        ({"name": "f", "arguments": PARIS, "options": {"unit": "C"}}, "'options'"),
        ({"name": "f", "arguments": {}, "parameters": PARIS}, "arguments and parameters"),
        ({"name": "f"}, "no arguments"),
        ({"name": "f", "city": "Paris"}, "'city'"),
        ({"name": "f", "arguments": [1]}, "must be an object"),
        ({"name": "f", "arguments": "Paris"}, "not JSON"),
        ({"name": "f", "arguments": '{"a": NaN}'}, "NaN"),
        ({"name": "", "arguments": {}}, "'name'"),
        ({"name": 5, "arguments": {}}, "'name'|one tool"),
        ({"arguments": PARIS}, "'name'"),
        ({"input": PARIS}, "'name'"),
        ({"type": "function", "function": "f", "arguments": PARIS}, "'function'|one tool"),
        ({"function": {"name": "f", "arguments": {}}, "arguments": PARIS}, "'function'"),
        ({"function": {"name": "f", "args_": PARIS}}, "'args_'"),
        ({"type": "retrieval", "name": "f", "arguments": PARIS}, "retrieval"),
        ({"role": "user", "content": "x", "tool_calls": [{"name": "f", "arguments": {}}]}, "user"),
        ({"role": "assistant", "content": "x", "toolCalls": [{"name": "f"}]}, "toolCalls"),
        ({"role": "assistant", "tool_calls": 1}, "tool_calls"),
    ],
)
def test_what_is_refused_by_name(item, named):
    with pytest.raises(ValueError, match=named):
        read_calls(item)
    with pytest.raises(ValueError, match=named):
        parse_expected(json.dumps(item))


@pytest.mark.parametrize("message", [{"role": "assistant", "content": "No."}, {"tool_calls": []}, []])
def test_no_call(message):
    assert read_calls(message) == ()


@given(st.sampled_from([*ARGUMENT_KEYS, "argument", "params", "Input", "arg"]), st.booleans())
def test_an_empty_call_never_earns_what_the_right_one_earns(key, wrapped):
    call = {"name": "f", key: PARIS}
    truth = json.dumps([{"function": call} if wrapped else call])
    verifier = make_verifier("strict", dialect="hermes")

    def outcome(arguments):
        response = render_response([ToolCall("f", arguments)], "hermes")
        return verifier.verify(Rollout("", "", response, truth, "", {})).outcome

    if key in ARGUMENT_KEYS:
        assert outcome(PARIS) == 4.0 > outcome({})
    else:
        with pytest.raises(ValueError, match=key):
            outcome({})
