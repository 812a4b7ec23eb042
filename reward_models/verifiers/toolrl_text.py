"""What ToolRL's published reward reads in a text: literal tags, and JSON as leniently as Python's json has it.

Only for the verifier `toolrl`, whose scores must not depend on how strict `reward_models.parsing` is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from reward_models.parsing import MAX_CHARS, MAX_DEPTH, ParseCode

CACHED_TRUTHS = 4096  # a row comes back with each of its rollouts

_BLOCK_START = re.compile(r"<(tool_call|response)>")
_TAG = re.compile(r"</?(?:think|tool_call|response)>")


class TextError(ValueError):
    """Why a text cannot be read; `code` is a string enumeration's member."""

    def __init__(self, code: Enum) -> None:
        super().__init__(code.value)
        self.code = code


@dataclass(frozen=True)
class GroundTruth:
    """What a ground truth asks for: its calls as JSON objects with `name` and `parameters`, and which blocks."""

    calls: tuple[dict[str, Any], ...]
    has_response: bool


@lru_cache(maxsize=CACHED_TRUTHS)
def parse_ground_truth(text: str) -> GroundTruth:
    """Read a ground truth; ValueError where it is blank, has none of the tags, or its tool_call block is unreadable.

    The result is shared: nobody may change it. A ground truth of a thought alone is allowed, and wants nothing else.
    """
    if not text or not text.strip():
        raise ValueError("the ground truth is empty; the toolrl verifier needs ToolRL's tagged text")
    try:
        return _ground_truth(text)
    except TextError as error:
        raise ValueError(
            f"the ground truth is not ToolRL's tagged text ({error.code.value}): expected <think>..</think>, then "
            '<tool_call> with one JSON object {"name": .., "parameters": {..}} per line </tool_call> and/or '
            f"<response>..</response>, got {text[:200]!r}"
        ) from error


def read_json_lines(block: str) -> list[Any]:
    """One JSON value per line of the stripped `block`; raises TextError.

    A blank line (so an empty block too) is NOT_JSON. As Python's json has it: NaN and Infinity are read (a NaN then
    equals nothing), of repeated keys the last one counts, and an integer of more than 4300 digits is an error. Values
    nested deeper than MAX_DEPTH are TOO_DEEP: later comparing or printing such a value could exhaust the stack.
    """
    return [_read_line(line) for line in block.strip().split("\n")]


def _read_line(line: str) -> Any:
    try:
        value = json.loads(line)
    except RecursionError:
        raise TextError(ParseCode.TOO_DEEP) from None
    except ValueError:
        raise TextError(ParseCode.NOT_JSON) from None
    # As many brackets as levels at least: counting them spares nearly every line the walk.
    if line.count("{") + line.count("[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise TextError(ParseCode.TOO_DEEP)
    return value


def _ground_truth(text: str) -> GroundTruth:
    if len(text) > MAX_CHARS:
        raise TextError(ParseCode.TOO_LONG)
    # Blocks are looked for after the thought only, so a thought may mention tags.
    first = _TAG.search(text)
    has_thought = first is not None and first.group() == "<think>"
    if has_thought:
        _, closed, text = text.partition("<think>")[2].partition("</think>")
        if not closed:
            raise TextError(ParseCode.UNCLOSED_THINK)
    blocks = _blocks(text)
    if not (blocks or has_thought):
        raise TextError(ParseCode.NO_ACTION)
    calls = read_json_lines(blocks["tool_call"]) if "tool_call" in blocks else []
    for call in calls:
        if not (isinstance(call, dict) and isinstance(call.get("name"), str)):
            raise TextError(ParseCode.BAD_CALL)
        if not isinstance(call.get("parameters"), dict):
            raise TextError(ParseCode.BAD_CALL)
    return GroundTruth(tuple(calls), "response" in blocks)


def _blocks(text: str) -> dict[str, str]:
    # Bounded to three rounds: the third block repeats one of two names.
    blocks: dict[str, str] = {}
    position = 0
    while start := _BLOCK_START.search(text, position):
        name = start.group(1)
        if name in blocks:
            raise TextError(ParseCode.REPEATED_BLOCK)
        end = text.find(f"</{name}>", start.end())
        if end < 0:
            raise TextError(ParseCode.UNCLOSED_BLOCK)
        blocks[name] = text[start.end() : end]
        position = end
    return blocks


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
