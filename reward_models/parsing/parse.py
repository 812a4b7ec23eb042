"""`parse_response`: any text, in a named dialect or in the one that fits.

The text is a policy's and so hostile: every outcome is a value, every step is linear in the text, nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from reward_models.parsing.body import CALL_START, LISTED_CALL, Body, split_thought, strip_fence
from reward_models.parsing.json_calls import read_json, read_openai
from reward_models.parsing.json_values import JsonReader
from reward_models.parsing.limits import MAX_CHARS
from reward_models.parsing.python_calls import read_python
from reward_models.parsing.tagged import read_hermes, read_toolrl
from reward_models.parsing.types import INVALID_CODES, ParseCode, ParsedResponse, Problem, Span, Status, Unreadable

_READERS: dict[str, Callable[[JsonReader, int], Body]] = {
    "toolrl": read_toolrl,
    "hermes": read_hermes,
    "openai": read_openai,
    "json": read_json,
    "python": read_python,
}
DIALECTS = tuple(_READERS)

_PYTHON_LIST = re.compile(rf"\[\s*{CALL_START}")
_PYTHON_CALL = re.compile(CALL_START)
_BEST_FIRST = (Status.VALID, Status.ABSTAINED, Status.INVALID, Status.UNPARSEABLE)


def parse_response(text: str, dialect: str = "auto") -> ParsedResponse:
    """Parse any text; never raises for one. ValueError for an unknown dialect.

    In every dialect a `<think>..</think>` block may stand at the start, and only there; calls in it do not count. Where
    a chat template has written `<think>` into the prompt, it must be put back before the response. The dialects:
        toolrl: a `<tool_call>` block with one `{"name", "parameters"}` a line, and/or a `<response>` block.
        hermes: any number of `<tool_call>` blocks with one `{"name", "arguments"}` each; text around is the answer.
        openai: a message in JSON, with `content` and/or `tool_calls`, or the list of tool calls; fence allowed.
        json: an object `{"name", "arguments" | "parameters"}` or a list of them, fence allowed; or an answer.
        python: calls `[f(a=1), g.h(b="x")]`, brackets optional, fence allowed; or an answer.
    Where the thought can be read and the rest cannot, the thought is still given.

    "auto" goes by what stands after the thought, and a code fence if it is a whole one:
        1. `{`, or a `[` before anything but a Python call: json or openai;
        2. `[name(`, or `name(` with a `)` at the very end: python;
        3. `<tool_call>` or `<response>` anywhere: toolrl or hermes;
        4. `[name(argument=` or `[name()` anywhere: python;
        5. any other text: hermes.
    Of two, it is the better reading (VALID, ABSTAINED, INVALID, UNPARSEABLE, in this order), of equals the first.
    """
    if dialect not in ("auto", *DIALECTS):
        raise ValueError(f"dialect={dialect!r} is not known; known: auto, {', '.join(DIALECTS)}")
    named = "hermes" if dialect == "auto" else dialect
    if len(text) > MAX_CHARS:
        return _failed(named, Problem(ParseCode.TOO_LONG, MAX_CHARS, len(text)), None, text)
    try:
        thought, start = split_thought(text)
    except Unreadable as error:
        return _failed(named, error.problem, None, text)
    reader = JsonReader(text)
    if dialect != "auto":
        return _parse(reader, dialect, thought, start)
    best = None
    for candidate in _candidates(text, start):
        parsed = _parse(reader, candidate, thought, start)
        if best is None or _BEST_FIRST.index(parsed.status) < _BEST_FIRST.index(best.status):
            best = parsed
        if best.status is Status.VALID:
            break
    return best


def _candidates(text: str, start: int) -> tuple[str, ...]:
    first, end = strip_fence(text, start)
    if _PYTHON_LIST.match(text, first) or (_PYTHON_CALL.match(text, first) and text.endswith(")", first, end)):
        return ("python",)
    if text.startswith(("{", "["), first):
        return ("json", "openai")
    if text.find("<tool_call>", start) >= 0 or text.find("<response>", start) >= 0:
        return ("toolrl", "hermes")
    return ("python",) if LISTED_CALL.search(text, start) else ("hermes",)


def _parse(reader: JsonReader, dialect: str, thought: Span | None, start: int) -> ParsedResponse:
    text = reader.text
    try:
        body = _READERS[dialect](reader, start)
    except Unreadable as error:
        return _failed(dialect, error.problem, thought, text)
    except RecursionError:
        # Limits keep nesting shallow, so this is a caller whose own stack is nearly used up.
        return _failed(dialect, Problem(ParseCode.TOO_DEEP, start, len(text)), thought, text)
    return ParsedResponse(
        dialect=dialect,
        status=_status(body),
        thought=_at(text, thought),
        calls=() if body.problems else tuple(body.calls),
        answer=body.answer,
        problems=tuple(body.problems),
        thought_span=thought,
        answer_span=body.answer_span,
    )


def _status(body: Body) -> Status:
    if body.problems:
        return Status.INVALID
    return Status.VALID if body.calls else Status.ABSTAINED


def _failed(dialect: str, problem: Problem, thought: Span | None, text: str) -> ParsedResponse:
    status = Status.INVALID if problem.code in INVALID_CODES else Status.UNPARSEABLE
    return ParsedResponse(dialect, status, _at(text, thought), problems=(problem,), thought_span=thought)


def _at(text: str, span: Span | None) -> str | None:
    return None if span is None else text[slice(*span)]
