"""What holds for any text, any calls and any length: the parser never raises, is linear, and undoes the renderer."""

import inspect
import sys
import time
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reward_models.parsing import (
    DIALECTS,
    MAX_CHARS,
    ParseCode,
    Status,
    parse_response,
    render_response,
)
from tests.reward_models.parsing.strategies import (
    FRAGMENTS,
    HEADS,
    REPEATED,
    TAILS,
    answers,
    call_lists,
    check,
    dialects,
    soup,
    thoughts,
)


@given(text=soup, dialect=dialects)
@example(text="[f(a=1, b=[-2, (3,), {'k': None}])]", dialect="python")
def test_any_text_gives_a_consistent_value_twice(text, dialect):
    assert check(text, dialect) == parse_response(text, dialect)


@given(calls=call_lists, thought=thoughts, dialect=st.sampled_from(DIALECTS))
def test_what_is_rendered_is_read(calls, thought, dialect):
    text = render_response(calls, dialect, thought)
    parsed = check(text, dialect)
    assert (parsed.status, parsed.calls, parsed.thought) == (Status.VALID, calls, thought)
    # == takes True for 1.
    assert repr([call.arguments for call in parsed.calls]) == repr([_as_read(call, dialect) for call in calls])
    assert parse_response(text) == parsed


def _as_read(call, dialect):
    if dialect != "python":
        return call.arguments
    # Arguments that are no identifiers come last, as **{..}.
    order = list(parse_response(render_response([call], dialect), dialect).calls[0].arguments)
    return {name: call.arguments[name] for name in order}


@given(calls=call_lists, thought=thoughts, answer=answers, dialect=st.sampled_from(["toolrl", "hermes", "openai"]))
def test_calls_and_an_answer_are_both_read(calls, thought, answer, dialect):
    parsed = parse_response(render_response(calls, dialect, thought, answer), dialect)
    assert (parsed.status, parsed.calls, parsed.answer) == (Status.VALID, calls, answer)


@given(thought=thoughts, answer=answers, dialect=st.sampled_from(DIALECTS))
def test_an_answer_is_read_as_an_abstention(thought, answer, dialect):
    text = render_response([], dialect, thought, answer)
    for name in (dialect, "auto"):
        parsed = check(text, name)
        assert (parsed.status, parsed.thought, parsed.answer) == (Status.ABSTAINED, thought, answer)


@given(calls=call_lists, dialect=st.sampled_from(DIALECTS), data=st.data())
def test_a_damaged_rendering_gives_a_consistent_value(calls, dialect, data):
    text = render_response(calls, dialect, "t")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + data.draw(st.sampled_from(["", *FRAGMENTS])) + text[end:]
    for name in (dialect, "auto"):
        check(text, name)


@given(calls=call_lists, dialect=st.sampled_from(DIALECTS), cut=st.integers(1, 40))
def test_a_rendering_that_is_cut_off_has_no_calls(calls, dialect, cut):
    # Only toolrl and hermes can lose something and still have complete calls: hermes its last blocks.
    text = render_response(calls, dialect)
    parsed = check(text[:-cut], dialect)
    if dialect == "hermes":
        assert parsed.calls == calls[: len(parsed.calls)]
    else:
        assert parsed.status is Status.UNPARSEABLE


@given(thought=thoughts, calls=call_lists, dialect=dialects)
def test_a_thought_s_calls_are_never_read(thought, calls, dialect):
    hidden = render_response(calls, "json" if dialect == "auto" else dialect)
    parsed = parse_response(f"<think>{hidden}</think>", dialect)
    assert parsed.calls == ()


def test_a_raised_recursion_limit_crashes_nothing():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        for piece, dialect in product(REPEATED, (*DIALECTS, "auto")):
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
    for head, piece, tail in product(HEADS, REPEATED, TAILS[:1]):
        long = _seconds(_long(head, piece, tail, MAX_CHARS), dialect)
        # Eight times the text takes eight times as long, or 64 times where it is quadratic.
        assert long < 0.02 or long < 24 * _seconds(_long(head, piece, tail, MAX_CHARS // 8), dialect), (head, piece)
