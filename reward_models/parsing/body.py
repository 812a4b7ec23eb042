"""What the dialects share: a response without its thought, code fences, the list of calls, and the text around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from reward_models.parsing.answers import FENCE, check_answer, check_no_tag
from reward_models.parsing.limits import MAX_CALLS
from reward_models.parsing.source import Source
from reward_models.parsing.thoughts import strip_span
from reward_models.parsing.types import ParseCode, Problem, Span, ToolCall, Unreadable


class Body(NamedTuple):
    """What a dialect found after the thought; `answer` is stripped text or None, `problems` only make it INVALID.

    `thought` is for dialects that read the thought themselves.
    """

    calls: Sequence[ToolCall] = ()
    answer: str | None = None
    answer_span: Span | None = None
    problems: Sequence[Problem] = ()
    thought: Span | None = None


def strip_fence(text: str, start: int, end: int | None = None) -> Span:
    """The stripped span of text[start:end], without a code fence around the whole of it."""
    start, end = strip_span(text, start, len(text) if end is None else end)
    opening = FENCE.match(text, start, end)
    if opening and end - 3 >= opening.end() and text.endswith("```", start, end):
        return strip_span(text, opening.end(), end - 3)
    return start, end


def read_answer(reader: Source, start: int, end: int) -> Body:
    """The span as the whole of the response: an answer and no call."""
    span = strip_span(reader.text, start, end)
    answer = reader.text[slice(*span)]
    check_answer(answer, span, reader.tools.names)
    return Body(answer=answer, answer_span=span)


class Outside:
    """The text around the calls, which is the answer. Without any call it is empty, and false."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: list[Span] = []
        self._added = False

    def __bool__(self) -> bool:
        return self._added

    def add(self, start: int, end: int) -> None:
        """Add text before, between or after calls; Unreadable where it holds a tag."""
        self._added = True
        piece = self._text[start:end]
        if piece and not piece.isspace():
            span = strip_span(self._text, start, end)
            check_no_tag(self._text, *span)
            self._spans.append(span)

    def body(self, calls: CallList) -> Body:
        """The calls, and the stripped pieces of text as lines of an answer."""
        if not self._spans:
            return Body(calls.calls, None, None, calls.problems)
        answer = "\n".join(self._text[slice(*span)] for span in self._spans)
        return Body(calls.calls, answer, (self._spans[0][0], self._spans[-1][1]), calls.problems)


class CallList:
    """Collects calls up to MAX_CALLS, and the problems of those that are not well formed."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.problems: list[Problem] = []
        self._count = 0

    def add(self, value: Any, span: Span, argument_keys: Sequence[str]) -> None:
        """Add a JSON value that should be an object with a name and exactly one of `argument_keys`, an object."""
        self._add(_call(value, span, argument_keys), span)

    def add_named(self, name: str, arguments: Any, span: Span) -> None:
        """Add a call of the tool `name` with a value that should be an object."""
        self._add(ToolCall(name, arguments, span) if name.strip() and isinstance(arguments, dict) else None, span)

    def _add(self, call: ToolCall | None, span: Span) -> None:
        self._count += 1
        if self._count > MAX_CALLS:
            raise Unreadable(ParseCode.TOO_MANY_CALLS, *span)
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
