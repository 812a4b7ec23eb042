"""The calls that data holds, in the forms that data sets write them. Not for model output, which `parsing` reads.

The one reader for converters and ground truths. A key that is not known beside a call's name and arguments is an error,
because it may be where the arguments are: a call that is read without them rewards the wrong answer.
"""

from __future__ import annotations

import json
from typing import Any

from reward_models.parsing import ToolCall

ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "kwargs")

_WRAPPERS = ("function", "function_call", "functionCall", "toolUse")
_TYPES = ("function", "function_call", "tool_call", "tool_use")
# They say which call it is, and nothing of what is called.
_LABELS = frozenset({"type", "id", "index", "call_id", "tool_call_id", "toolUseId", "status", "caller"})
_MESSAGE_KEYS = frozenset({"role", "content", "tool_calls", "function_call", "annotations", "audio"})
_SHOWN = 200
_FORM = '{"name": .., "arguments": {..}}'


def read_calls(value: Any) -> tuple[ToolCall, ...]:
    """The calls of a list of calls, of a single call, or of an assistant's message; as data or as its JSON text.

    A call is `{"name", "arguments"}`, or has `parameters`, `args` (LangChain), `input` (Anthropic) or `kwargs` (tau-bench)
    instead, exactly one of them; or it is inside of `function`, `function_call`, `functionCall` or `toolUse`, with a
    `type` or without. Arguments are an object or its JSON text; "", blanks and null mean none. A key that is null counts
    as absent, since parquet fills structs with nulls. A message has `tool_calls`, `function_call`, or blocks of type
    `tool_use` in its `content`; () where it has none of them. ValueError for any other form or key, naming it.
    """
    if isinstance(value, str):
        value = read_json(value)
    if is_message(value):
        value = _calls_of_message(value)
    return tuple(read_call(item) for item in (value if isinstance(value, list | tuple) else [value]))


def read_call(item: Any) -> ToolCall:
    """One call, as `read_calls` reads it."""
    call = _inner(item)
    name = call.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"a call needs a 'name', got {_shown(item)}; write {_FORM}")
    unknown = [key for key, value in call.items() if value is not None and key not in _KNOWN]
    if unknown:
        raise ValueError(f"call {name!r}: the key {unknown[0]!r} may hold arguments; write {_FORM} and no other key")
    given = [key for key in ARGUMENT_KEYS if call.get(key) is not None]
    if len(given) > 1:
        raise ValueError(f"call {name!r}: arguments under {' and '.join(given)}; leave one of them")
    if given:
        return ToolCall(name, _object(call[given[0]], name))
    if not any(key in call for key in ARGUMENT_KEYS):
        raise ValueError(f"call {name!r}: no arguments; write {_FORM}, with {{}} where there are none")
    return ToolCall(name, {})


def is_call(item: Any) -> bool:
    """Whether the value is meant as a call, be it a good one or not: an object with a name, or one that wraps such."""
    return isinstance(item, dict) and (
        isinstance(item.get("name"), str)
        or any(isinstance(item.get(key), dict) and "name" in item[key] for key in _WRAPPERS)
    )


def is_message(value: Any) -> bool:
    """Whether the value is an assistant's message; a call alone is none."""
    return isinstance(value, dict) and ("tool_calls" in value or isinstance(value.get("role"), str))


def read_json(text: str) -> Any:
    """The value of a JSON text; ValueError, also for NaN and infinities."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): {text[:_SHOWN]!r}") from error


_KNOWN = _LABELS | {"name", *ARGUMENT_KEYS}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _calls_of_message(message: dict[str, Any]) -> list[Any]:
    if message.get("role", "assistant") != "assistant":
        raise ValueError(f"a message of the {_shown(message['role'])}; only the assistant calls tools")
    calls, legacy, content = message.get("tool_calls"), message.get("function_call"), message.get("content")
    if not isinstance(calls, list | None):
        raise ValueError(f"tool_calls must be a list, got {_shown(calls)}")
    blocks = content if isinstance(content, list) else []
    uses = [
        block for block in blocks if isinstance(block, dict) and (block.get("type") == "tool_use" or is_call(block))
    ]
    found = [part for part in (calls, [legacy] if legacy else None, uses) if part]
    if len(found) > 1:
        raise ValueError(f"a message with calls in several of tool_calls, function_call and content: {_shown(message)}")
    if found:
        return found[0]
    unknown = [key for key, value in message.items() if key not in _MESSAGE_KEYS and isinstance(value, list | dict)]
    if any(message[key] for key in unknown):
        raise ValueError(f"a message without tool_calls, whose key {unknown[0]!r} may hold calls: {_shown(message)}")
    return []


def _inner(item: Any) -> dict[str, Any]:
    """The object that has the name: the item, or the one that it wraps."""
    if not isinstance(item, dict):
        raise ValueError(f"not a call: {_shown(item)}; write {_FORM}")
    kind = item.get("type")
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"a call of type {_shown(kind)} is not known; known: {', '.join(_TYPES)}")
    wrapped = [key for key in _WRAPPERS if item.get(key) is not None]
    if not wrapped:
        return item
    beside = [key for key, value in item.items() if value is not None and key not in (wrapped[0], *_LABELS)]
    if beside or not isinstance(item[wrapped[0]], dict):
        raise ValueError(f"a call under {wrapped[0]!r} must be an object, and no other key beside it: {_shown(item)}")
    return item[wrapped[0]]


def _object(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = read_json(value) if value.strip() else {}
        except ValueError as error:
            raise ValueError(f"call {name!r}: its arguments are {error}") from error
    if value is None:  # the text "null"
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"call {name!r}: its arguments must be an object, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return repr(str(value)[:_SHOWN])
