"""One entry of `messages` as plain messages: OpenAI's forms old and new, Responses items, and Anthropic's content blocks.

One entry may become several (a user's message with the results of two tools). What cannot be read is refused.
"""

from dataclasses import dataclass, replace
from typing import Any

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.json_text import json_list
from reward_models.parsing import ToolCall
from reward_models.verifiers.call_forms import read_calls

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
}
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal", "summary_text": "text"}
_THOUGHTS = {"thinking": "thinking", "reasoning": "text"}


@dataclass(frozen=True)
class Message:
    """A message: `calls` only where the assistant calls tools, `reasoning` where the data has its thought."""

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""


def read_message(entry: Any, where: str) -> list[Message]:
    """The messages of one entry. OddRecord for an unknown role, a call that cannot be read, and content that is not text."""
    if not isinstance(entry, dict):
        raise OddRecord("a message that is not an object", where, repr(str(entry)[:80]))
    if entry.get("role") is None and entry.get("type") not in (None, "message"):
        return [_item(entry, where)]
    role = _ROLES.get(str(entry.get("role")))
    if role is None:
        raise OddRecord("an unknown role", where, f"{entry.get('role')!r}, known are {', '.join(_ROLES)}")
    blocks = entry["content"] if isinstance(entry.get("content"), list) else None
    content = _text(entry.get("content"), where)
    results = _results(blocks or [], where)
    if results:
        return [*results, *([Message(role, content)] if content else [])]
    calls = _calls(entry, where)
    if calls and role != "assistant":
        raise OddRecord("calls that are not the assistant's", where, f"role {entry['role']!r}")
    return [Message(role, content, calls, _thought(entry, blocks or []))]


def merged(messages: list[Message], where: str) -> tuple[Message, ...]:
    """The messages with those of the assistant that follow one another put into one, such as parallel calls that were split.

    OddRecord where words follow calls without a tool's result: whether the calls were right then is not said.
    """
    result: list[Message] = []
    for message in messages:
        last = result[-1] if result else None
        if last is None or message.role != "assistant" or last.role != "assistant":
            result.append(message)
            continue
        if last.calls and message.content.strip() and not message.calls:
            raise OddRecord("an answer right after calls, without a tool's result", where, repr(message.content[:80]))
        result[-1] = replace(
            last,
            content="\n".join(filter(None, (last.content, message.content))),
            calls=last.calls + message.calls,
            reasoning="\n".join(filter(None, (last.reasoning, message.reasoning))),
        )
    return tuple(result)


def _item(entry: dict[str, Any], where: str) -> Message:
    """An item of OpenAI's Responses API, which has a type in place of a role."""
    kind = entry["type"]
    if kind == "function_call":
        call = {key: entry.get(key) for key in ("name", "arguments")}
        return Message("assistant", "", _read({"tool_calls": [call]}, where))
    if kind == "function_call_output":
        return Message("tool", _text(entry.get("output"), where))
    if kind == "reasoning":
        return Message("assistant", "", reasoning=_text(entry.get("summary") or entry.get("content"), where))
    raise OddRecord("a message without a role", where, f"type {kind!r}")


def _text(content: Any, where: str) -> str:
    """A text, nothing, or the texts of a list of parts; thoughts, calls and results among them are read elsewhere."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise OddRecord("content that is neither a text nor a list of parts", where, repr(str(content)[:80]))
    return "".join(_part(part, f"{where}.content[{i}]") for i, part in enumerate(content))


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type", "text") if isinstance(part, dict) else None
    if kind in (*_THOUGHTS, "redacted_thinking", "tool_use", "tool_result"):
        return ""
    text = part.get(_TEXTS[kind]) if kind in _TEXTS else None
    if not isinstance(text, str):
        raise OddRecord("content that is not text", where, f"a part of type {kind!r}")
    return text


def _results(blocks: list[Any], where: str) -> list[Message]:
    found = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result"]
    return [Message("tool", _text(block.get("content"), where)) for block in found]


def _thought(entry: dict[str, Any], blocks: list[Any]) -> str:
    given = entry.get("reasoning_content") or entry.get("reasoning") or entry.get("thinking")
    if isinstance(given, str):
        return given
    thoughts = [
        block.get(_THOUGHTS[block["type"]])
        for block in blocks
        if isinstance(block, dict) and block.get("type") in _THOUGHTS
    ]
    return "\n".join(thought for thought in thoughts if isinstance(thought, str))


def _calls(entry: dict[str, Any], where: str) -> tuple[ToolCall, ...]:
    blocks = entry["content"] if isinstance(entry.get("content"), list) else []
    message = {
        "tool_calls": json_list(entry.get("tool_calls"), where, "tool_calls") or None,
        "function_call": entry.get("function_call") or None,
        "content": [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_use"],
    }
    if isinstance(message["function_call"], dict) and not any(message["function_call"].values()):
        message["function_call"] = None  # a struct that parquet filled
    return _read(message, where) if any(message.values()) else ()


def _read(message: dict[str, Any], where: str) -> tuple[ToolCall, ...]:
    try:
        return read_calls(message)
    except ValueError as error:
        raise OddRecord("a call that cannot be read", where, str(error)) from error
