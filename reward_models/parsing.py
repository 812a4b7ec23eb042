"""Read a ToolRL-tagged response: `<think>..</think>`, then `<tool_call>` and/or `<response>` blocks.

The text is a policy's and so hostile: every outcome is a value, no step is worse than linear in the text, nothing is
evaluated. This file says what a response holds; whether that is right is a verifier's question.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

MAX_CHARS = 64 * 1024
MAX_DEPTH = 64

_TAG = re.compile(r"</?(?:think|tool_call|response)>")
_BLOCK_START = re.compile(r"<(tool_call|response)>")


class ParseError(str, Enum):
    """Why a response cannot be read."""

    TOO_LONG = "too_long"
    UNCLOSED_THINK = "unclosed_think"
    UNCLOSED_BLOCK = "unclosed_block"
    REPEATED_BLOCK = "repeated_block"
    NO_ACTION = "no_action"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    BAD_CALL = "bad_call"


@dataclass(frozen=True)
class ToolCall:
    """One call: `parameters` is the JSON object as Python reads it."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class ParsedResponse:
    """What a response holds.

    `thought` is the stripped text of a closed think block that comes before any other tag ("" where it is blank, None
    where there is none). `calls` is empty where there is no tool_call block or where `error` is set. `response` is the
    stripped text of the response block. `tags` are all of the six tags in the order of the text, those that the
    thought merely mentions included; it is empty for a text that is too long. A missing thought is no error.
    """

    thought: str | None = None
    calls: tuple[ToolCall, ...] = ()
    response: str | None = None
    tags: tuple[str, ...] = ()
    error: ParseError | None = None


def parse_response(text: str) -> ParsedResponse:
    """Parse any text; never raises.

    Blocks are looked for after the thought only, so a thought may mention `<tool_call>`. Text between blocks is
    ignored; a second block of the same kind, an open block, and neither kind of block are errors. Where only the calls
    are unreadable, `thought` and `response` are still given. Empty text: NO_ACTION.
    """
    if len(text) > MAX_CHARS:
        return ParsedResponse(error=ParseError.TOO_LONG)
    tags = tuple(_TAG.findall(text))
    thought, rest = None, text
    if tags and tags[0] == "<think>":
        inside, closed, rest = text.partition("<think>")[2].partition("</think>")
        if not closed:
            return ParsedResponse(tags=tags, error=ParseError.UNCLOSED_THINK)
        thought = inside.strip()
    blocks = _blocks(rest)
    if isinstance(blocks, ParseError):
        return ParsedResponse(thought=thought, tags=tags, error=blocks)
    calls = _calls(blocks["tool_call"]) if "tool_call" in blocks else ()
    error = calls if isinstance(calls, ParseError) else None
    response = blocks["response"].strip() if "response" in blocks else None
    return ParsedResponse(thought=thought, calls=() if error else calls, response=response, tags=tags, error=error)


def read_json_lines(block: str) -> list[Any] | ParseError:
    """Read one JSON value per line of the stripped `block`; a blank line (so an empty block too) is NOT_JSON.

    As Python's json has it: NaN and Infinity are read (a NaN then equals nothing), of repeated keys the last one
    counts, and an integer of more than 4300 digits is an error. Values nested deeper than MAX_DEPTH are TOO_DEEP: later
    comparing or printing such a value could exhaust the stack.
    """
    values = []
    for line in block.strip().split("\n"):
        try:
            value = json.loads(line)
        except RecursionError:
            return ParseError.TOO_DEEP
        except ValueError:
            return ParseError.NOT_JSON
        if _deeper_than(value, MAX_DEPTH):
            return ParseError.TOO_DEEP
        values.append(value)
    return values


def _blocks(rest: str) -> dict[str, str] | ParseError:
    # Bounded to three rounds: the third block repeats one of two names.
    blocks: dict[str, str] = {}
    position = 0
    while start := _BLOCK_START.search(rest, position):
        name = start.group(1)
        if name in blocks:
            return ParseError.REPEATED_BLOCK
        end = rest.find(f"</{name}>", start.end())
        if end < 0:
            return ParseError.UNCLOSED_BLOCK
        blocks[name] = rest[start.end() : end]
        position = end
    return blocks or ParseError.NO_ACTION


def _calls(block: str) -> tuple[ToolCall, ...] | ParseError:
    values = read_json_lines(block)
    if isinstance(values, ParseError):
        return values
    calls = []
    for value in values:
        if not isinstance(value, dict):
            return ParseError.BAD_CALL
        name, parameters = value.get("name"), value.get("parameters")
        if not (isinstance(name, str) and isinstance(parameters, dict)):
            return ParseError.BAD_CALL
        calls.append(ToolCall(name, parameters))
    return tuple(calls)


def _deeper_than(value: Any, limit: int) -> bool:
    # Level by level instead of recursive: the check itself must not hit the recursion limit.
    level = [value]
    for _ in range(limit):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
