"""A rollout as scorers look at it: request, tools, thought and calls, each cut to a bounded size.

Rollouts are model output, so every text has a limit and nothing in them is evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reward_models.parsing import ToolCall
from reward_models.rollout_view import read_rollout
from reward_models.types import Rollout

MAX_THOUGHT = 12_000  # characters; what is longer loses its middle, since plans open and conclusions close a thought
MAX_QUESTION = 8_000
MAX_TOOLS_TEXT = 200_000
MAX_TOOLS = 64
MAX_CALLS = 16
MAX_LEAVES = 64
MAX_VALUE = 200
MAX_NAME = 120
_MAX_DEPTH = 8

# A mark, a quote or bracket and white space; or line breaks. It begins with a set of characters, which is searched fast.
_SENTENCE_END = re.compile(r"[.!?\n](?:(?<!\n)[\"')\]]?\s+(?=\S)|(?<=\n)\n*)")


@dataclass(frozen=True)
class ToolText:
    """What a scorer reads of a tool."""

    name: str
    description: str
    parameters: tuple[str, ...]
    constants: str  # defaults and enums, as text: values that a call may take without being told
    required: tuple[str, ...] = ()
    numeric: frozenset[str] = frozenset()  # the parameters that take a number
    notes: str = ""  # what is said of the parameters, where defaults and forms are often told
    enums: tuple[tuple[str, tuple[str, ...]], ...] = ()  # of the parameters that have one: the values allowed


@dataclass(frozen=True)
class Trace:
    """One rollout, taken apart. `thought` is "" where there is none; `calls` is empty where none can be read."""

    question: str
    tools: tuple[ToolText, ...]
    thought: str
    calls: tuple[ToolCall, ...]
    answer: str
    has_evidence: bool  # see RolloutView


def read_trace(rollout: Rollout) -> Trace:
    """The parts of a rollout, of all its steps; never raises for one, whatever its texts hold."""
    view = read_rollout(rollout)
    return Trace(
        question=encodable(rollout.question[:MAX_QUESTION]),
        tools=read_tools(rollout.tools),
        thought=encodable(cut_middle(view.thought, MAX_THOUGHT)),
        calls=view.calls[:MAX_CALLS],
        answer=encodable(view.answer[:MAX_QUESTION]),
        has_evidence=view.has_evidence,
    )


@lru_cache(maxsize=64)  # the rollouts of a group have the same
def read_tools(text: str) -> tuple[ToolText, ...]:
    """The tools of a JSON list, plain or in OpenAI's wrapping; () for anything else."""
    if not text or len(text) > MAX_TOOLS_TEXT:
        return ()
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    tools = []
    for item in listed[:MAX_TOOLS] if isinstance(listed, list) else ():
        item = item.get("function", item) if isinstance(item, dict) else None
        if isinstance(item, dict) and isinstance(item.get("name"), str) and item["name"].strip():
            tools.append(_tool(item))
    return tuple(tools)


def _tool(item: dict[str, Any]) -> ToolText:
    parameters = item.get("parameters")
    properties = parameters.get("properties", parameters) if isinstance(parameters, dict) else {}
    properties = properties if isinstance(properties, dict) else {}
    constants, numeric, notes, enums = [], set(), [], []
    for name, schema in list(properties.items())[:MAX_LEAVES]:
        if isinstance(schema, dict):
            constants += [schema.get("default"), *(schema["enum"] if isinstance(schema.get("enum"), list) else ())]
            if schema.get("type") in ("integer", "number", "float"):
                numeric.add(encodable(str(name)[:MAX_NAME]))
            said = schema.get("description")
            notes.append(said[:MAX_VALUE] if isinstance(said, str) else "")
            if isinstance(schema.get("enum"), list) and schema["enum"]:
                enums.append((str(name)[:MAX_NAME], tuple(value_text(item) for item in schema["enum"][:MAX_LEAVES])))
    about = item.get("description")
    required = parameters.get("required") if isinstance(parameters, dict) else None
    return ToolText(
        name=encodable(item["name"].strip()[:MAX_NAME]),
        description=encodable(about[:500] if isinstance(about, str) else ""),
        parameters=tuple(encodable(str(name)[:MAX_NAME]) for name in list(properties)[:MAX_LEAVES]),
        constants=encodable(" ".join(value_text(value) for value in constants[:MAX_LEAVES] if value is not None)),
        required=tuple(
            name for name in (required if isinstance(required, list) else ())[:MAX_LEAVES] if isinstance(name, str)
        ),
        numeric=frozenset(numeric),
        notes=encodable(" ".join(notes)),
        enums=tuple(enums),
    )


def leaves(calls: Sequence[ToolCall]) -> list[tuple[str, Any]]:
    """(argument name, value) of every plain value in the calls' arguments, at most MAX_LEAVES; {} and [] have none."""
    found: list[tuple[str, Any]] = []
    for call in calls:
        for name, value in call.arguments.items():
            for leaf in _plain(value, 0):
                if len(found) >= MAX_LEAVES:
                    return found
                found.append((encodable(str(name)[:MAX_NAME]), leaf))
    return found


def _plain(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, (dict, list, tuple)):
        if depth < _MAX_DEPTH:
            for item in value.values() if isinstance(value, dict) else value:
                yield from _plain(item, depth + 1)
    else:
        yield value


def value_text(value: Any) -> str:
    """A plain value as text of at most MAX_VALUE characters, true and null as JSON spells them, 5.0 as 5."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**MAX_VALUE:
        return ""  # Python itself refuses to write the longest
    if type(value) is int:
        text = str(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return encodable(text[:MAX_VALUE])


def call_text(calls: Sequence[ToolCall]) -> str:
    """The calls as plain text, one line a call: `get weather: city Paris, days 3`; "" for none."""
    lines = []
    for call in calls:
        pairs = ", ".join(f"{words(name)} {value_text(value)}" for name, value in leaves([call]))
        lines.append(f"{words(encodable(call.name[:MAX_NAME]))}: {pairs}")
    return "\n".join(lines)


def words(identifier: str) -> str:
    """`get_weather.today` as `get weather today`."""
    return identifier.replace("_", " ").replace(".", " ")


@lru_cache(maxsize=8)  # every group of features asks for those of the same thought
def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """(start, end) of the sentences and lines of `text`, in order, without the white space between them."""
    spans, start = [], 0
    for gap in _SENTENCE_END.finditer(text):
        end = gap.start() + (text[gap.start()] != "\n")
        if text[start:end].strip():
            spans.append((start, end))
        start = gap.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return tuple(spans)


def cut_middle(text: str, limit: int) -> str:
    """The text, or its first and last halves of `limit` where it is longer."""
    return text if len(text) <= limit else text[: limit // 2] + " " + text[len(text) - limit // 2 + 1 :]


def encodable(text: str) -> str:
    """The text with lone surrogates replaced: a tokenizer refuses them, and with one its whole batch."""
    return text.encode("utf-8", "replace").decode("utf-8")
