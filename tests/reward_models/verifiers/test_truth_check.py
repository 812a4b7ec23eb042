"""Ground truths beside the tools of their rows: what breaks a schema is found, and what a file format added is taken out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.parsing import ToolCall
from reward_models.verifiers.expected import expect, parse_expected
from reward_models.verifiers.schema import read_tools
from reward_models.verifiers.truth_check import FaultKind, check_truth, drop_foreign_nulls

WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "unit": {"type": ["string", "null"], "enum": ["C", "F", None]},
            "at": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
        },
        "required": ["city"],
    },
}
TOOLS = read_tools(json.dumps([WEATHER, {"name": "anything"}, {"name": "nothing", "parameters": {"type": "object"}}]))


def faults(arguments, name="get_weather"):
    return [(fault.kind, fault.argument) for fault in check_truth(expect([ToolCall(name, arguments)]), TOOLS)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"city": "Paris"}, []),
        ({"city": "Paris", "days": 1, "unit": None, "at": {"lat": 1}}, []),
        ({"city": 5}, [(FaultKind.WRONG_VALUE, "city")]),
        ({"city": "Paris", "days": "1"}, [(FaultKind.WRONG_VALUE, "days")]),
        ({"city": "Paris", "days": 0}, [(FaultKind.WRONG_VALUE, "days")]),
        ({"days": 1}, [(FaultKind.MISSING, "city")]),
        ({"city": "Paris", "zone": None}, [(FaultKind.UNDECLARED, "zone")]),
        ({"City": "Paris"}, [(FaultKind.UNDECLARED, "City"), (FaultKind.MISSING, "city")]),
    ],
)
def test_faults(arguments, expected):
    assert faults(arguments) == expected


def test_tools():
    assert faults({}, "get_time") == [(FaultKind.UNKNOWN_TOOL, "")]
    assert faults({"x": 1}, "anything") == []  # a tool without parameters says nothing about them
    assert faults({"x": 1}, "nothing") == [(FaultKind.UNDECLARED, "x")]
    assert check_truth(expect([ToolCall("f", {"x": 1})]), {}) == ()
    (fault,) = check_truth(expect([ToolCall("get_weather", {"city": 5})]), TOOLS)
    assert str(fault) == "the call of 'get_weather' gives a value that breaks the argument's schema: 'city'"


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ({"additionalProperties": True}, True),
        ({"additionalProperties": {"type": "string"}}, True),
        ({"patternProperties": {"^b": {}}}, True),
        ({"additionalProperties": False}, False),
        ({}, False),
    ],
)
def test_more_arguments_where_the_schema_allows_them(more, allowed):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, **more}
    tools = read_tools(json.dumps([{"name": "f", "parameters": schema}]))
    assert (check_truth(expect([ToolCall("f", {"b": "x"})]), tools) == ()) is allowed


def test_arguments_that_do_not_fit_together():
    together = {"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    tools = read_tools(json.dumps([{"name": "f", "parameters": together}]))
    assert check_truth(expect([ToolCall("f", {"a": 1})]), tools) == ()
    assert check_truth(expect([ToolCall("f", {"a": 1, "b": 1})]), tools)[0].kind is FaultKind.WRONG_TOGETHER


def test_of_alternatives_one_must_fit():
    truth = parse_expected('[{"get_weather": {"city": [5, "Paris"], "days": ["x", ""], "new": ["", 1]}}]')
    assert [(fault.kind, fault.argument) for fault in check_truth(truth, TOOLS)] == [(FaultKind.WRONG_VALUE, "days")]
    nested = parse_expected('[{"get_weather": {"city": ["Paris"], "at": [{"lat": [1, 2]}]}}]')
    assert check_truth(nested, TOOLS) == ()


def test_nulls_of_a_filled_struct_go():
    given_ = {"city": "Paris", "days": None, "unit": None, "zone": None, "at": {"lat": 1, "lon": None, "alt": None}}
    (call,) = drop_foreign_nulls([ToolCall("get_weather", given_)], TOOLS)
    assert call.arguments == {"city": "Paris", "unit": None, "at": {"lat": 1}}
    required = ToolCall("get_weather", {"city": None})
    assert drop_foreign_nulls([required], TOOLS) == (required,)
    unknown = ToolCall("other", {"a": None})
    assert drop_foreign_nulls([unknown], TOOLS) == (unknown,)


@given(st.dictionaries(st.sampled_from(["city", "days", "unit"]), st.sampled_from(["Paris", 1, "C"])), st.data())
def test_filling_with_nulls_and_dropping_them_is_nothing(arguments, data):
    arguments.pop("unit", None)  # allows null, so that a filled one cannot be told from a given one
    filled = {name: arguments.get(name) for name in ("city", "days", "zone", "other")}
    if "city" not in arguments:
        filled.pop("city")
    (call,) = drop_foreign_nulls([ToolCall("get_weather", filled)], TOOLS)
    assert call.arguments == arguments
