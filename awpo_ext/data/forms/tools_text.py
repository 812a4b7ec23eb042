"""Tools that a system message lists in its text, as Hermes, ToolACE and Glaive do."""

import json
import re
from typing import Any

from awpo_ext.data.forms.json_text import literal

# System messages that only list tools and say how that data set's calls are written: the prompt says both anew.
_ONLY_TOOLS = re.compile(
    r"<tools>|\[func_?(?:name)?1?\(|expert in composing functions|access to the following functions"
)
_TAGGED = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_START = re.compile(r"[\[{]")
_MAX_TRIES = 256
_DECODER = json.JSONDecoder()


def split_system(text: str) -> tuple[str, list[Any]]:
    """What a system message says besides its tools, and the tools; [] where it lists none.

    Of the known data sets' messages nothing is left: they would ask for another form of calls than the prompt does.
    """
    tools, spans = _tools(text)
    if not tools:
        return text, []
    if _ONLY_TOOLS.search(text):
        return "", tools
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text.strip(), tools


def _tools(text: str) -> tuple[list[Any], list[tuple[int, int]]]:
    """The tool definitions in the text with their places."""
    tools: list[Any] = []
    spans = []
    for block in _TAGGED.finditer(text):
        found = _of_block(block[1])
        if found:
            tools += found
            spans.append(block.span())
    position = 0
    for _ in range(_MAX_TRIES if not tools else 0):
        start = _START.search(text, position)
        if start is None:
            break
        position = start.end()
        try:
            value, end = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        found = value if isinstance(value, list) else [value]
        if found and all(map(_is_tool, found)):
            tools += found
            spans.append((start.start(), end))
            position = end
    return tools, spans


def _of_block(text: str) -> list[Any]:
    """The tools between Hermes' tags: one list, or a definition a line; JSON, or as Python prints it."""
    for pieces in ([text], [line for line in text.splitlines() if line.strip()]):
        try:
            values = [literal(piece) for piece in pieces]
        except ValueError:
            continue
        return [tool for value in values for tool in (value if isinstance(value, list) else [value])]
    return []


def _is_tool(value: Any) -> bool:
    """Whether a JSON value in prose is a tool definition: it has a name, and says what it does or takes."""
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    return isinstance(value, dict) and isinstance(value.get("name"), str) and "arguments" not in value
