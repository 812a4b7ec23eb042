"""The dialects `json` and `openai`: the whole response is one JSON value, with a code fence around it or without."""

from __future__ import annotations

from typing import Any

from reward_models.parsing.answers import check_answer
from reward_models.parsing.body import Body, CallList, read_answer, strip_fence
from reward_models.parsing.json_values import read_whole
from reward_models.parsing.source import Source
from reward_models.parsing.types import ParseCode, Problem, Span, Unreadable

_CALL_KEYS = ("arguments", "parameters", "function")


def read_json(reader: Source, start: int) -> Body:
    """A call `{"name", "arguments" | "parameters"}`, or a list of calls; any other text is an answer."""
    text, calls = reader.text, CallList()
    start, end = strip_fence(text, start)
    if not text.startswith(("{", "["), start):
        return read_answer(reader, start, end)
    for value, span in _values(reader, start, end, calls.problems):
        calls.add(value, span, ("arguments", "parameters"))
    return Body(calls.calls, problems=calls.problems)


def read_openai(reader: Source, start: int) -> Body:
    """A message with `content` and/or `tool_calls` (or the older `function_call`), or the list of tool calls alone.

    Each is `{"type": "function", "function": {"name", "arguments"}}` (`type` may be missing), the arguments an object
    or a string that holds one. In a message all calls have the message's span.
    """
    text, calls = reader.text, CallList()
    start, end = strip_fence(text, start)
    values = _values(reader, start, end, calls.problems)
    content = None
    if text.startswith("{", start):
        ((message, span),) = values
        if not _is_message(message):
            return Body(problems=(*calls.problems, Problem(ParseCode.BAD_MESSAGE, *span)))
        content = message.get("content")
        values = [({"function": function}, span) for function in (message.get("function_call"),) if function]
        values += [(item, span) for item in message.get("tool_calls") or ()]
    for value, span in values:
        calls.add(_function(value, span, calls.problems), span, ("arguments",))
    answer = content.strip() if content is not None else None
    if not values:
        check_answer(answer or "", (start, end), reader.tools.names)
    return Body(calls.calls, answer or None, (start, end) if answer else None, calls.problems)


def _values(reader: Source, start: int, end: int, problems: list[Problem]) -> list[tuple[Any, Span]]:
    """The items of the array, or the one value, that text[start:end] consists of; at least one, or NO_ACTION."""
    if reader.text.startswith("[", start):
        items, position = reader.read_items(start, problems)
        values = [(value, (first, last)) for value, first, last in items]
    else:
        value, position = reader.read(start, problems)
        values = [(value, (start, position))]
    if position != end:
        raise Unreadable(ParseCode.NOT_JSON, start, position)
    if not values:
        raise Unreadable(ParseCode.NO_ACTION, start, end)
    return values


def _is_message(value: dict[str, Any]) -> bool:
    if not value.keys() & {"content", "tool_calls", "function_call"} or any(key in value for key in _CALL_KEYS):
        return False
    content, calls = value.get("content"), value.get("tool_calls")
    return (content is None or isinstance(content, str)) and (calls is None or isinstance(calls, list))


def _function(item: Any, span: Span, problems: list[Problem]) -> Any:
    """The function of one tool call, its arguments decoded; what is not one is left for BAD_CALL."""
    if not isinstance(item, dict) or item.get("type", "function") != "function":
        return None
    function = item.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments", 0), str | None):
        return function
    # Servers and models write "" or null for a call without arguments.
    text = (function["arguments"] or "").strip()
    return {**function, "arguments": _decode(text, span, problems) if text else {}}


def _decode(arguments: str, span: Span, problems: list[Problem]) -> Any:
    try:
        value, codes = read_whole(arguments)
    except Unreadable as error:
        # Positions inside a JSON string are none of the response.
        raise Unreadable(error.problem.code, *span) from None
    problems += (Problem(code, *span) for code in codes)
    return value
