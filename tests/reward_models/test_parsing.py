"""The response parser: what it reads, and that hostile text always gives a value, quickly."""

import math
import time

import pytest
from hypothesis import given
from rm_strategies import call_block, call_lists, plain_text, tag_soup, tagged

from reward_models.parsing import MAX_CHARS, MAX_DEPTH, ParseError, ToolCall, parse_response, read_json_lines

CALL = {"name": "f", "parameters": {"a": 1}}


def nested(depth):
    return "[" * depth + "]" * depth


@given(thought=plain_text, calls=call_lists, response=plain_text)
def test_what_is_written_is_read(thought, calls, response):
    parsed = parse_response(tagged(thought, calls=calls, response=response))
    assert parsed.error is None
    assert parsed.thought == thought.strip()
    assert parsed.calls == tuple(ToolCall(**call) for call in calls)
    assert parsed.response == response.strip()


@given(tag_soup)
def test_no_text_raises_and_an_error_leaves_no_calls(text):
    parsed = parse_response(text)
    assert not (parsed.error and parsed.calls)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ParseError.NO_ACTION),
        ("just words", ParseError.NO_ACTION),
        ("<think>a</think>", ParseError.NO_ACTION),
        ("</tool_call><think>a</think>", ParseError.NO_ACTION),
        ("<think>a", ParseError.UNCLOSED_THINK),
        ("<think>a<tool_call>", ParseError.UNCLOSED_THINK),
        ("<think>a</think><tool_call>{}", ParseError.UNCLOSED_BLOCK),
        ("<think>a</think><response>hi", ParseError.UNCLOSED_BLOCK),
        (call_block([CALL]) + call_block([CALL]), ParseError.REPEATED_BLOCK),
        ("<tool_call></tool_call>", ParseError.NOT_JSON),
        ("<tool_call>\n{'name': 'f'}\n</tool_call>", ParseError.NOT_JSON),
        (call_block([CALL, CALL], newline="\n\n"), ParseError.NOT_JSON),
        ("<tool_call>" + "9" * 5000 + "</tool_call>", ParseError.NOT_JSON),
        ("<tool_call>[1]</tool_call>", ParseError.BAD_CALL),
        ('<tool_call>{"name": "f"}</tool_call>', ParseError.BAD_CALL),
        ('<tool_call>{"name": 1, "parameters": {}}</tool_call>', ParseError.BAD_CALL),
        ('<tool_call>{"name": "f", "parameters": []}</tool_call>', ParseError.BAD_CALL),
        ("<tool_call>" + nested(MAX_DEPTH + 1) + "</tool_call>", ParseError.TOO_DEEP),
        ("<tool_call>" + nested(30_000) + "</tool_call>", ParseError.TOO_DEEP),
        ("<response>" + "a" * MAX_CHARS, ParseError.TOO_LONG),
    ],
)
def test_why_a_text_cannot_be_read(text, error):
    assert parse_response(text).error is error


def test_a_thought_may_mention_tags():
    parsed = parse_response(tagged("I open <tool_call> and no <response>.", calls=[CALL]))
    assert parsed.calls == (ToolCall("f", {"a": 1}),)
    assert parsed.tags == ("<think>", "<tool_call>", "<response>", "</think>", "<tool_call>", "</tool_call>")


def test_a_think_tag_inside_an_argument_is_no_thought():
    parsed = parse_response(call_block([{"name": "f", "parameters": {"a": "<think>"}}]))
    assert (parsed.thought, parsed.error) == (None, None)


def test_a_blank_thought_is_not_a_missing_one():
    assert parse_response(tagged(" \n", response="hi")).thought == ""
    assert parse_response("<response>hi</response>").thought is None


def test_unreadable_calls_leave_thought_and_response():
    parsed = parse_response("<think>a</think><tool_call>x</tool_call><response>b</response>")
    assert (parsed.thought, parsed.response, parsed.calls) == ("a", "b", ())


def test_json_corner_cases_are_defined():
    values = read_json_lines('{"a": NaN, "b": -Infinity}\n{"a": 1, "a": 2}\n"\\ud800\\u0000"')
    assert math.isnan(values[0]["a"]) and values[0]["b"] == -math.inf
    assert values[1] == {"a": 2}
    assert values[2] == "\ud800\x00"


def test_depth_is_counted_to_the_limit():
    assert isinstance(read_json_lines(nested(MAX_DEPTH)), list)
    assert read_json_lines(nested(MAX_DEPTH + 1)) is ParseError.TOO_DEEP


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<tool_call>", "<", '"', '{"a":', "<response></response>"])
def test_no_repetition_makes_it_slow(piece):
    for head in ("", "<think></think><tool_call>", "<tool_call>"):
        text = (head + piece * MAX_CHARS)[: MAX_CHARS - 12] + "</tool_call>"
        start = time.perf_counter()
        parse_response(text)
        # Linear takes milliseconds, quadratic many seconds; the bound leaves room for a busy machine.
        assert time.perf_counter() - start < 1.0
