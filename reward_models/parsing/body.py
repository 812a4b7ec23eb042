"""What the dialects share: the frame of a thought, code fences, and what counts as an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reward_models.parsing.limits import MAX_CALLS
from reward_models.parsing.types import ParseCode, Problem, Span, ToolCall, Unreadable

NAME = r"[^\W\d]\w*"
CALL_START = rf"{NAME}(?:\.{NAME})*\("
# With a keyword argument or none: prose does not write that by chance.
KEYWORD_CALL = rf"[ \t]*{CALL_START}\s*(?:\)|{NAME}\s*=)"
LISTED_CALL = re.compile(rf"\[{KEYWORD_CALL}")

_WORD = re.compile(r"[^\W_]")
_TAG = re.compile(r"</?(?:think|tool_call|response)>")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n")
_NAME_KEY = re.compile(r"""(['"])name\1""")
_ARGUMENTS_KEY = re.compile(r"""(['"])(?:arguments|parameters)\1""")


@dataclass(frozen=True)
class Body:
    """What a dialect found after the thought; `answer` is stripped text or None, `problems` only make it INVALID."""

    calls: Sequence[ToolCall] = ()
    answer: str | None = None
    answer_span: Span | None = None
    problems: Sequence[Problem] = ()


def strip_span(text: str, start: int, end: int) -> Span:
    """The span without the white space around; (start, start) where nothing else is there."""
    stripped = text[start:end].lstrip()
    start = end - len(stripped) if stripped else start
    return start, start + len(stripped.rstrip())


def split_thought(text: str) -> tuple[Span | None, int]:
    """The stripped span of the think block at the start, if there is one, and where the rest begins.

    The block ends at the first `</think>`, whatever the thought quotes. Raises Unreadable where there is none.
    """
    start = len(text) - len(text.lstrip())
    if not text.startswith("<think>", start):
        return None, start
    end = text.find("</think>", start)
    if end < 0:
        raise Unreadable(ParseCode.UNCLOSED_THINK, start, len(text))
    return strip_span(text, start + len("<think>"), end), end + len("</think>")


def strip_fence(text: str, start: int) -> Span:
    """The stripped span of text[start:], without a code fence around the whole of it."""
    start, end = strip_span(text, start, len(text))
    opening = _FENCE.match(text, start)
    if opening and end - 3 >= opening.end() and text.endswith("```", start, end):
        return strip_span(text, opening.end(), end - 3)
    return start, end


def check_no_tag(text: str, start: int, end: int) -> None:
    """Raise Unreadable where a tag of `toolrl` or `hermes` stands in the span."""
    if tag := _TAG.search(text, start, end):
        raise Unreadable(ParseCode.STRAY_TAG, *tag.span())


def check_answer(answer: str, span: Span) -> None:
    """Raise Unreadable where the answer has no letter or digit, is an open code fence, or holds what looks like a call.

    So a call that misses its dialect is no abstention. A call's tags, its keys in JSON, a list with a call in Python's
    syntax, and an opening brace at the start are such signs.
    """
    if not answer:
        raise Unreadable(ParseCode.NO_ACTION, *span)
    fence = _FENCE.match(answer)
    if fence and answer.find("```", 3) < 0:
        raise Unreadable(ParseCode.UNCLOSED_BLOCK, *span)
    if not _WORD.search(answer, fence.end() if fence else 0):
        raise Unreadable(ParseCode.BLANK_ANSWER, *span)
    if _TAG.search(answer):
        raise Unreadable(ParseCode.STRAY_TAG, *span)
    in_json = answer.startswith("{") or (_NAME_KEY.search(answer) and _ARGUMENTS_KEY.search(answer))
    if in_json or LISTED_CALL.search(answer):
        raise Unreadable(ParseCode.STRAY_CALL, *span)


def read_answer(text: str, start: int, end: int) -> Body:
    """The span as the whole of the response: an answer and no call."""
    span = strip_span(text, start, end)
    check_answer(text[slice(*span)], span)
    return Body(answer=text[slice(*span)], answer_span=span)


class CallList:
    """Collects calls up to MAX_CALLS, and the problems of those that are not well formed."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.problems: list[Problem] = []
        self._count = 0

    def add(self, value: Any, span: Span, argument_keys: Sequence[str]) -> None:
        """Add a JSON value that should be an object with a name and exactly one of `argument_keys`, an object."""
        self._count += 1
        if self._count > MAX_CALLS:
            raise Unreadable(ParseCode.TOO_MANY_CALLS, *span)
        call = _call(value, span, argument_keys)
        if call is None:
            self.problems.append(Problem(ParseCode.BAD_CALL, *span))
        else:
            self.calls.append(call)


def _call(value: Any, span: Span, argument_keys: Sequence[str]) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    name = value.get("name")
    given = [value[key] for key in argument_keys if key in value]
    if not (isinstance(name, str) and name.strip() and len(given) == 1 and isinstance(given[0], dict)):
        return None
    return ToolCall(name, given[0], span)
