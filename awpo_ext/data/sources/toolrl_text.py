"""Reads ToolRL's prompt format: the tools in the system prompt, the user's messages in the dialogue history.

Best effort by design: a prompt in another form gives no tools and its whole text as the question.
"""

import ast
import json
import re
from typing import Any

from awpo_ext.data.tools import Tool, normalise_tool

_TOOL_SECTION = re.compile(r"\*\*Available Tools\*\*\n.*?\n(?P<tools>\d+\. .*?)(?=\n\n\*\*|\Z)", re.DOTALL)
_TOOL = re.compile(r"^\d+\. (?P<head>.*?)\n(?:Description: (?P<about>.*?)\n)?Parameters: (?P<parameters>.*)$", re.M)
_USER = re.compile(r"<user>(.*?)</user>", re.DOTALL)

# API-Bank's conversion ends every dialogue with this line; the request is the message before it.
_CLOSING = "Based on our conversation above, please only make one tool call to solve my need."


def _properties(text: str) -> dict[str, Any]:
    """The parameters as written: JSON, or a Python dict in API-Bank; empty where they are neither."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, dict):
            return {name: spec for name, spec in value.items() if isinstance(spec, dict)}
    return {}


def parse_tools(system: str) -> list[Tool]:
    """The tools that the system prompt lists, normalised; empty where there is no such section.

    Which parameters are required is not said there, so the schemas have no `required`. Two spellings occur:
    `1. Name: X` with a `Description:` line, and API-Bank level 3's `1. X: description`.
    """
    section = _TOOL_SECTION.search(system)
    tools = []
    for match in _TOOL.finditer(section["tools"]) if section else ():
        head, description = match["head"].removeprefix("Name: "), match["about"]
        if description is None:
            head, _, description = head.partition(": ")
        parameters = {"type": "object", "properties": _properties(match["parameters"])}
        tools.append(normalise_tool({"name": head.strip(), "description": description, "parameters": parameters}))
    return tools


def user_messages(dialogue: str) -> list[str]:
    """The user's messages in order, without API-Bank's closing line; the whole text where none is tagged."""
    messages = [text.strip() for text in _USER.findall(dialogue)]
    return [text for text in messages if text and text != _CLOSING] or [dialogue.strip()]
