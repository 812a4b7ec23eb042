"""One response as the dialects read it: its text, the JSON in it, and what the row says about its tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reward_models.parsing.json_values import JsonReader
from reward_models.parsing.tool_types import tool_types


class Source(JsonReader):
    """A reader of JSON in `text` that also has the types of the row's `tools`."""

    def __init__(self, text: str, tools: str | Sequence[Mapping[str, Any]] | None = None) -> None:
        super().__init__(text)
        self.tools = tool_types(tools)
