"""Glaive's form: `system` with the tools in its text, and the whole dialogue in `chat`."""

import re
from typing import Any

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.tools_text import split_system

_SPEAKER = re.compile(r"^[ \t]*(USER|ASSISTANT|FUNCTION RESPONSE|SYSTEM):[ \t]*", re.MULTILINE)
_ROLES = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool", "SYSTEM": "system"}
_END = "<|endoftext|>"


def read_glaive(record: dict[str, Any], where: str) -> dict[str, Any]:
    """The dialogue as messages; calls stay in their texts (`<functioncall> {..}`), which are read with the others."""
    chat = record["chat"]
    if not isinstance(chat, str):
        raise OddRecord("a field that is not a text", where, "chat")
    parts = _SPEAKER.split(chat)
    if parts[0].strip() or len(parts) < 3:
        raise OddRecord("a chat that does not start with USER:", where, repr(chat[:80]))
    messages = [
        {"role": _ROLES[speaker], "content": text.replace(_END, "").strip()}
        for speaker, text in zip(parts[1::2], parts[2::2], strict=True)
    ]
    system, tools = split_system(str(record.get("system") or "").strip().removeprefix("SYSTEM:").strip())
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages, "tools": record.get("tools") or tools, "id": record.get("id")}
