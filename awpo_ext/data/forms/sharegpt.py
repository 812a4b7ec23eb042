"""ShareGPT's form: `conversations` of {from, value}, with `system` and `tools` beside it or inside.

LLaMA-Factory, APIGen-MT, Hermes function calling and ToolACE write it. Their calls are turns of their own
(`function_call`), or stand in the text of the assistant, which `sources.openai_source` reads.
"""

import re
from typing import Any

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.json_text import json_list, literal
from awpo_ext.data.forms.tools_text import split_system

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "tool_response": "tool",
    "function_response": "tool",
}
_CALL_ROLES = ("function_call", "tool_call")
_RESULT = re.compile(r"<tool_response>(.*?)</tool_response>\s*", re.DOTALL)


def read_sharegpt(record: dict[str, Any], where: str) -> dict[str, Any]:
    """The conversation as messages. Tools in a system message are taken from there, unless the record has them."""
    turns = json_list(record.get("conversations") or record.get("messages"), where, "conversations")
    messages = [_message(turn, f"{where}, conversations[{i}]") for i, turn in enumerate(turns)]
    if isinstance(record.get("system"), str) and record["system"].strip():
        messages.insert(0, {"role": "system", "content": record["system"]})
    listed: list[Any] = []
    kept = []
    for message in messages:
        if message["role"] == "system":
            content, tools = split_system(message["content"] or "")
            listed += tools
            if not content.strip():
                continue
            message = {**message, "content": content}
        kept.append(message)
    tools = json_list(record.get("tools"), where, "tools") or listed
    return {"messages": kept, "tools": tools, "id": record.get("id")}


def _message(turn: Any, where: str) -> dict[str, Any]:
    speaker = (turn.get("from") or turn.get("role")) if isinstance(turn, dict) else None
    value = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
    if speaker in _CALL_ROLES:
        return {"role": "assistant", "content": None, "tool_calls": _calls(value, where)}
    if speaker not in _ROLES:
        raise OddRecord("an unknown speaker", where, f"{speaker!r}, known are {', '.join((*_ROLES, *_CALL_ROLES))}")
    role = _ROLES[speaker]
    if role == "tool" and isinstance(value, str):
        value = _RESULT.sub(lambda result: result[1].strip() + "\n", value).strip()
    kept = {key: turn[key] for key in ("tool_calls", "function_call", "reasoning_content") if turn.get(key)}
    return {"role": role, "content": value, **kept}


def _calls(value: Any, where: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = literal(value)
        except ValueError as error:
            raise OddRecord("a turn of function_call that is not a call", where, str(error)) from error
    return value if isinstance(value, list) else [value]
