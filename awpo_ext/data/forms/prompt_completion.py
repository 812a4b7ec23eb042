"""TRL's form: `prompt` and `completion`, each a text or a list of messages, and `tools`."""

import re
from typing import Any

from awpo_ext.data.errors import OddRecord

_RENDERED = re.compile(r"<\|im_start\|>|<\|start_header_id\|>|\[INST\]|<start_of_turn>|<｜User｜>")


def read_prompt_completion(record: dict[str, Any], where: str) -> dict[str, Any]:
    """Prompt and completion as one conversation. OddRecord for a prompt that a chat template has already rendered."""
    messages = []
    for field, role in (("prompt", "user"), ("completion", "assistant")):
        value = record[field]
        if isinstance(value, str):
            if _RENDERED.search(value):
                raise OddRecord("a text that a chat template has rendered", where, f"{field}; give messages instead")
            value = [{"role": role, "content": value}]
        if not isinstance(value, list):
            raise OddRecord("neither a text nor a list of messages", where, f"{field} is {str(value)[:80]!r}")
        messages += value
    return {"messages": messages, "tools": record.get("tools"), "id": record.get("id")}
