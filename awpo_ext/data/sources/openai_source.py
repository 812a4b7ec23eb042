"""One record of OpenAI-style tool-call data, read and checked: `messages` and `tools`, each a list or its JSON text."""

import json
from dataclasses import dataclass
from typing import Any

from awpo_ext.data.errors import DataError
from awpo_ext.data.tools import Tool, normalise_tool
from reward_models.parsing import ToolCall

_ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True)
class Message:
    """A message: `calls` only where the assistant calls tools, `reasoning` where the data has its thought."""

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""


@dataclass(frozen=True)
class Conversation:
    """A record: its id where it has one, else "", and the tools that it offers."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    id: str = ""


def read_conversation(record: dict[str, Any], where: str, common_tools: tuple[Tool, ...] = ()) -> Conversation:
    """The record as a conversation; `common_tools` stand in where it has none of its own.

    Raises DataError, with `where` and the field, for a record without messages or tools, an unknown role, a call whose
    arguments are not a JSON object, and a call of a tool that is not offered.
    """
    if "messages" not in record:
        raise DataError(f"{where}: there is no field 'messages' (there are {', '.join(sorted(record)) or 'none'})")
    messages = tuple(
        _message(message, f"{where}, messages[{i}]")
        for i, message in enumerate(_list(record["messages"], where, "messages"))
    )
    tools = read_tools(record.get("tools") or [], where) or common_tools
    if not tools:
        raise DataError(f"{where}: no tools; give each record a field 'tools', or all of them --tools FILE")
    offered = {tool["name"] for tool in tools}
    for i, message in enumerate(messages):
        for call in message.calls:
            if call.name not in offered:
                raise DataError(
                    f"{where}, messages[{i}]: calls {call.name!r}, which is not among its tools: {sorted(offered)}"
                )
    record_id = record.get("id")
    return Conversation(messages, tools, str(record_id) if record_id is not None else "")


def read_tools(value: Any, where: str) -> tuple[Tool, ...]:
    """Tools in OpenAI's form ({"type": "function", "function": {..}}), or the functions alone."""
    tools = []
    for i, tool in enumerate(_list(value, where, "tools")):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise DataError(f'{where}, tools[{i}]: not {{"type": "function", "function": {{"name", ..}}}}')
        try:
            tools.append(normalise_tool({**function, "description": function.get("description") or ""}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}, tools[{i}] ({function['name']}): parameters are no JSON schema ({error})"
            ) from error
    return tuple(tools)


def _list(value: Any, where: str, field: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{where}, {field}: a text that is not JSON ({error})") from error
    if not isinstance(value, list):
        raise DataError(f"{where}, {field}: not a list")
    return value


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        role = message.get("role") if isinstance(message, dict) else message
        raise DataError(f"{where}: role {role!r} is not one of {', '.join(_ROLES)}")
    calls = tuple(_call(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(message.get("tool_calls") or []))
    if calls and message["role"] != "assistant":
        raise DataError(f"{where}: tool_calls of the {message['role']}; only the assistant calls tools")
    role = "system" if message["role"] == "developer" else message["role"]
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    return Message(role, _text(message.get("content"), where), calls, reasoning if isinstance(reasoning, str) else "")


def _text(content: Any, where: str) -> str:
    """A text, nothing, or OpenAI's list of text parts."""
    if content is None:
        return ""
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise DataError(f"{where}.content: neither a text nor a list of text parts")
    return content


def _call(call: Any, where: str) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise DataError(f'{where}: not {{"function": {{"name", "arguments"}}}}')
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise DataError(f"{where} ({function['name']}): arguments are not JSON ({error})") from error
    if not isinstance(arguments, dict):
        raise DataError(f"{where} ({function['name']}): arguments are not a JSON object")
    return ToolCall(function["name"], arguments)
