"""What holds for any text, any calls and any length: the parser never raises, is linear, and undoes the renderer."""

import inspect
import json
import random
import sys
import time
from itertools import product

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from reward_models.parsing import (
    DIALECTS,
    MAX_CHARS,
    ParseCode,
    Status,
    parse_response,
    render_response,
)
from reward_models.parsing.render_families import WITHOUT_ESCAPES
from reward_models.parsing.thoughts import THINKING_FORMS
from tests.reward_models.parsing.strategies import (
    FRAGMENTS,
    HEADS,
    IN_QUOTES,
    REPEATED,
    TAILS,
    WITH_ANSWER,
    answers,
    call_lists,
    check,
    dialects,
    plain_call_lists,
    soup,
    thoughts,
    tools_for,
)


@given(text=soup, dialect=dialects)
@example(text="[f(a=1, b=[-2, (3,), {'k': None}])]", dialect="python")
def test_any_text_gives_a_consistent_value_twice(text, dialect):
    assert check(text, dialect) == parse_response(text, dialect)


@given(calls=call_lists, thought=thoughts, dialect=st.sampled_from(IN_QUOTES))
def test_what_is_rendered_is_read(calls, thought, dialect):
    text = render_response(calls, dialect, thought)
    parsed = check(text, dialect)
    assert (parsed.status, parsed.calls, parsed.thought) == (Status.VALID, calls, thought)
    # == takes True for 1.
    assert repr([call.arguments for call in parsed.calls]) == repr([_as_read(call, dialect) for call in calls])
    assert parse_response(text) == parsed


@given(calls=plain_call_lists, thought=thoughts, dialect=st.sampled_from(WITHOUT_ESCAPES))
def test_values_as_text_are_typed_by_the_tools(calls, thought, dialect):
    tools = tools_for(calls)
    text = render_response(calls, dialect, thought, tools=tools)
    for given_tools in (tools, json.dumps(tools)):
        parsed = parse_response(text, dialect, tools=given_tools)
        assert (parsed.status, parsed.calls, parsed.thought) == (Status.VALID, calls, thought)
        assert repr([call.arguments for call in parsed.calls]) == repr([call.arguments for call in calls])
        assert parse_response(text, tools=given_tools) == parsed


@given(calls=call_lists, dialect=st.sampled_from(WITHOUT_ESCAPES))
def test_values_as_text_are_read_or_refused_never_changed(calls, dialect):
    tools = tools_for(calls)
    try:
        text = render_response(calls, dialect, tools=tools)
    except ValueError:
        return
    assert parse_response(text, dialect, tools=tools).calls == calls


def _as_read(call, dialect):
    if dialect != "python":
        return call.arguments
    # Arguments that are no identifiers come last, as **{..}.
    order = list(parse_response(render_response([call], dialect), dialect).calls[0].arguments)
    return {name: call.arguments[name] for name in order}


@given(calls=call_lists, thought=thoughts, answer=answers, dialect=st.sampled_from(WITH_ANSWER))
def test_calls_and_an_answer_are_both_read(calls, thought, answer, dialect):
    parsed = parse_response(render_response(calls, dialect, thought, answer), dialect)
    assert (parsed.status, parsed.calls, parsed.answer) == (Status.VALID, calls, answer)


@given(thought=thoughts, answer=answers, dialect=st.sampled_from(DIALECTS))
def test_an_answer_is_read_as_an_abstention(thought, answer, dialect):
    text = render_response([], dialect, thought, answer)
    for name in (dialect, "auto"):
        parsed = check(text, name)
        assert (parsed.status, parsed.thought, parsed.answer) == (Status.ABSTAINED, thought, answer)


@given(calls=call_lists, dialect=st.sampled_from(IN_QUOTES), data=st.data())
def test_a_damaged_rendering_gives_a_consistent_value(calls, dialect, data):
    text = render_response(calls, dialect, "t")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + data.draw(st.sampled_from(["", *FRAGMENTS])) + text[end:]
    for name in (dialect, "auto"):
        check(text, name)


@given(calls=plain_call_lists, dialect=st.sampled_from(DIALECTS), cut=st.integers(1, 40))
def test_a_rendering_that_is_cut_off_has_no_other_calls(calls, dialect, cut):
    # Some dialects can lose their last blocks, or a last token, and still have complete calls.
    tools = tools_for(calls)
    text = render_response(calls, dialect, tools=tools).rstrip()
    parsed = parse_response(text[:-cut], dialect, tools=tools)
    assert parsed.calls == calls[: len(parsed.calls)]
    if dialect in ("json", "openai", "python", "kimi", "deepseek", "toolrl"):
        assert parsed.status is Status.UNPARSEABLE


@given(calls=plain_call_lists, dialect=dialects, form=st.sampled_from(THINKING_FORMS), opened=st.booleans())
def test_a_thought_s_calls_are_never_read(calls, dialect, form, opened):
    tools = tools_for(calls)
    hidden = render_response(calls, "json" if dialect in ("auto", "harmony") else dialect, tools=tools)
    assume(form.opening not in hidden)
    text = ("" if opened else form.opening) + hidden + form.closing
    if dialect == "harmony":
        text = f"<|channel|>analysis<|message|>{hidden}<|end|>"
    for rest in ("", "\nIt is not known."):
        assert parse_response(text + rest, dialect, tools=tools).calls == ()


def test_a_raised_recursion_limit_crashes_nothing():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        for piece, dialect in random.Random(0).sample(list(product(REPEATED, (*DIALECTS, "auto"))), 600):
            for head in ("", "[f(a=", '{"name":"f","arguments":{"a":', "<tool_call>"):
                check(head + piece * (20_000 // len(piece)), dialect)
    finally:
        sys.setrecursionlimit(limit)


def test_little_stack_left_is_too_deep():
    text = "[f(a=" + "{'b': " * 50 + "1" + "}" * 50 + ")]"
    assert check(text, "python").status is Status.VALID
    limit, depth = sys.getrecursionlimit(), len(inspect.stack(0))
    try:
        sys.setrecursionlimit(depth + 100)
        parsed = parse_response(text, "python")
    finally:
        sys.setrecursionlimit(limit)
    assert [problem.code for problem in parsed.problems] == [ParseCode.TOO_DEEP]


def _seconds(text, dialect):
    """The best of three, in CPU time of this thread: a busy machine slows single runs."""
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        parse_response(text, dialect)
        best = min(best, time.thread_time() - start)
    return best


def _long(head, piece, tail, size):
    return head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail


@pytest.mark.parametrize("dialect", [*DIALECTS, "auto"])
def test_time_grows_no_faster_than_the_text(dialect):
    # A sample, another one for each dialect: the fuzzer has all of them.
    for head, piece in random.Random(dialect).sample(list(product(HEADS, REPEATED)), 300):
        tail = TAILS[0]
        long = _seconds(_long(head, piece, tail, MAX_CHARS), dialect)
        # Eight times the text takes eight times as long, or 64 times where it is quadratic.
        assert long < 0.02 or long < 24 * _seconds(_long(head, piece, tail, MAX_CHARS // 8), dialect), (head, piece)
