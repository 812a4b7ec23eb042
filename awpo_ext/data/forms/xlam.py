"""xLAM's form: `query`, `answers`, `tools`, each of the last two a list or its JSON text."""

from typing import Any

from awpo_ext.data.forms.json_text import json_list
from awpo_ext.data.tagged import NO_TOOL_FITS


def read_xlam(record: dict[str, Any], where: str) -> dict[str, Any]:
    """The answers as the calls of one message; no answer means that no tool fits."""
    calls = json_list(record["answers"], where, "answers")
    answer = {"tool_calls": calls} if calls else {"content": NO_TOOL_FITS}
    messages = [{"role": "user", "content": record["query"]}, {"role": "assistant", **answer}]
    return {"messages": messages, "tools": record.get("tools"), "id": record.get("id")}
