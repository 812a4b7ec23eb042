"""`minimax_m3`: what tags inside of an argument are, with a schema and without, the mark kept or skipped."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.parsing import MAX_DEPTH, ParseCode, Status, ToolCall, parse_response, render_response
from reward_models.parsing.limits import MAX_VALUES
from reward_models.parsing.nested_calls import MARK
from reward_models.parsing.tool_types import _MAX_PLACES, tool_types

SCHEMA = {
    "type": "object",
    "properties": {
        "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "options": {"$ref": "#/$defs/options"},
        "page": {"type": "string"},
        "box": {"type": "object", "properties": {"item": {"type": "string"}}},
    },
    "$defs": {"options": {"type": "object", "properties": {"id": {"type": "string"}, "limit": {"type": "integer"}}}},
}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]


def text_of(inner, mark):
    """A call of `f` with the tags of `inner`, in which | stands for the mark."""
    return f'|<tool_call>\n|<invoke name="f">{inner}|</invoke>\n|</tool_call>'.replace("|", mark)


@pytest.mark.parametrize("mark", [MARK, ""])
@pytest.mark.parametrize(
    ("inner", "typed", "untyped"),
    [
        ("|<tags>|<item>1234|</item>|<item>b|</item>|</tags>", {"tags": ["1234", "b"]}, {"tags": [1234, "b"]}),
        ("|<tags>|</tags>", {"tags": []}, {"tags": ""}),
        ('|<tags>["1"]|</tags>', {"tags": ["1"]}, {"tags": ["1"]}),
        (
            "|<options>\n|<id>7|</id>\n|<limit>7|</limit>\n|</options>",
            {"options": {"id": "7", "limit": 7}},
            {"options": {"id": 7, "limit": 7}},
        ),
        ("|<options>|</options>", {"options": {}}, {"options": ""}),
        ("|<box>|<item>1|</item>|</box>", {"box": {"item": "1"}}, {"box": [1]}),
        ("|<other>|<a>|<item>1|</item>|</a>|</other>", {"other": {"a": [1]}}, {"other": {"a": [1]}}),
    ],
)
def test_the_schema_says_what_tags_are(inner, typed, untyped, mark):
    assert parse_response(text_of(inner, mark), tools=TOOLS).calls == (ToolCall("f", typed),)
    assert parse_response(text_of(inner, mark)).calls == (ToolCall("f", untyped),)


def test_a_string_may_hold_tags_where_they_cannot_be_mistaken():
    page = "<html>a <b> < c</html>"
    for tools in (TOOLS, None):
        assert parse_response(text_of(f"|<page>{page}|</page>", MARK), tools=tools).calls == (
            ToolCall("f", {"page": page}),
        )
    assert parse_response(text_of(f"|<page>{page}|</page>", ""), tools=TOOLS).calls == (ToolCall("f", {"page": page}),)
    assert parse_response(text_of(f"|<page>{page}|</page>", "")).status is Status.UNPARSEABLE
    for inner in ("<page>x</page>", "<page>x</invoke>", '<page><invoke name="g"></page>'):
        assert parse_response(text_of(inner + "</page>", ""), tools=TOOLS).calls == ()


def test_depth_and_the_number_of_tags_are_bounded():
    def nested(levels):
        return text_of("|<a>" * levels + "1" + "|</a>" * levels, MARK)

    assert parse_response(nested(MAX_DEPTH)).status is Status.VALID
    assert parse_response(nested(MAX_DEPTH + 1)).problems[0].code is ParseCode.TOO_DEEP
    many = "<a>" + "<item>1</item>" * MAX_VALUES + "</a>"
    assert parse_response(text_of(many, "")).problems[0].code is ParseCode.TOO_MANY_TOKENS


leaves = st.one_of(st.booleans(), st.integers(), st.sampled_from(["a", "b c", "<x>", "1", "null", " a ", "", "{"]))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "item", "c d"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(arguments=st.dictionaries(st.sampled_from(["x", "y"]), st.lists(values, max_size=2), max_size=2))
def test_lists_and_objects_of_any_depth_are_read_as_they_were_written(arguments):
    call = ToolCall("f", arguments)
    text = render_response([call], "minimax_m3")
    assert repr(parse_response(text, "minimax_m3").calls) == repr(parse_response(text).calls)
    assert repr(parse_response(text).calls[0].arguments) == repr(arguments)


def test_what_responses_make_up_is_not_kept():
    node = {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}}}
    schema = {"type": "object", "properties": {"tree": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    tools = json.dumps([{"type": "function", "function": {"name": "f", "parameters": schema}}])
    types = tool_types(tools)
    for number in range(1 << 9):
        path = [("left", "right")[number >> bit & 1] for bit in range(9)]
        inside = "".join(f"|<{name}>" for name in path) + "|<item>1|</item>|<made_up>1|</made_up>"
        inside += "".join(f"|</{name}>" for name in reversed(path))
        text = text_of(f"|<tree>{inside}|</tree>|<other_{number}>|<item>1|</item>|</other_{number}>", MARK)
        assert parse_response(text, "minimax_m3", tools=tools).status is Status.VALID
    assert tool_types(tools) is types and 9 < len(types._places) <= _MAX_PLACES
