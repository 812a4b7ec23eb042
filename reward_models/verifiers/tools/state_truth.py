"""The ground truth of the mode `state`:

    {"involved_classes": [..], "initial_config": {class: {..}}, "turns": [[call, ..], ..]}

with calls in BFCL's Python syntax ("cd(folder='a')", positional arguments too) or {"name", "arguments"}, and
"long_context": true where BFCL's flag of that name is wanted. A turn without calls is one in which no tool can help.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

CACHED_TRUTHS = 256

_KEYS = {"involved_classes", "initial_config", "turns"}

# As `sandbox.jobs` takes it.
Call = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """What a row is about: the classes, the start of each, and the right calls of each turn."""

    classes: tuple[str, ...]
    initial_config: dict[str, Any]
    turns: tuple[tuple[Call, ...], ...]
    long_context: bool


@lru_cache(maxsize=CACHED_TRUTHS)
def read_truth(text: str) -> Truth:
    """Read a ground truth; ValueError says what is wrong with it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the ground truth is not JSON ({error}): {text[:200]!r}") from error
    if not isinstance(value, dict) or not value.keys() >= _KEYS or not value.keys() <= _KEYS | {"long_context"}:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"the ground truth must have the keys {sorted(_KEYS)} (and may have long_context), got {found}"
        )
    classes, config, turns = value["involved_classes"], value["initial_config"], value["turns"]
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"involved_classes={classes!r} must be a list of class names")
    if not isinstance(config, dict) or not all(isinstance(part, dict) for part in config.values()):
        raise ValueError(f"initial_config must map class names to objects, got {str(config)[:200]}")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, list) for turn in turns):
        raise ValueError(f"turns must be a list of lists of calls, got {str(turns)[:200]}")
    calls = tuple(tuple(_read_call(call) for call in turn) for turn in turns)
    return Truth(tuple(classes), config, calls, bool(value.get("long_context", False)))


def _read_call(call: Any) -> Call:
    if isinstance(call, str):
        return _read_python(call)
    if isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict):
        return {"name": call["name"], "arguments": call["arguments"]}
    raise ValueError(f"a call must be Python syntax or {{'name', 'arguments'}}, got {str(call)[:200]!r}")


def _read_python(text: str) -> Call:
    """One call with constants for arguments, read from its syntax tree: nothing is evaluated."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError("not a call of a name")
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("** cannot be read")
        return {
            "name": node.func.id,
            "positional": [ast.literal_eval(argument) for argument in node.args],
            "arguments": {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords},
        }
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"the call {text[:200]!r} cannot be read: {error}") from error
