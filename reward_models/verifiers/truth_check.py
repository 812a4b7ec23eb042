"""Does a ground truth keep to the tools of its own row? For converters and checks of data: a verifier takes the truth as it is.

A truth that breaks its tool's schema teaches what a server would refuse, and often it is an artefact of the file's format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from reward_models.parsing import ToolCall
from reward_models.verifiers.expected import ExpectedCall, ExpectedObject
from reward_models.verifiers.schema import Tool
from reward_models.verifiers.schema_forms import Schema


class FaultKind(str, Enum):
    """How a truth departs from its tools."""

    UNKNOWN_TOOL = "calls a tool that the row does not offer"
    UNDECLARED = "gives an argument that the tool does not declare"
    MISSING = "lacks a required argument"
    WRONG_VALUE = "gives a value that breaks the argument's schema"
    WRONG_TOGETHER = "gives arguments that together break the tool's schema"


@dataclass(frozen=True)
class TruthFault:
    """One thing that is wrong: the call's name, the kind, and the argument ("" where it is about none)."""

    call: str
    kind: FaultKind
    argument: str = ""

    def __str__(self) -> str:
        return f"the call of {self.call!r} {self.kind.value}" + (f": {self.argument!r}" if self.argument else "")


def check_truth(expected: Sequence[ExpectedCall], tools: Mapping[str, Tool]) -> tuple[TruthFault, ...]:
    """The faults of the expected calls in their order; () without tools, since nothing is known then.

    An argument with alternatives is wrong where all of them are. `expected.expect` makes expected calls of plain ones.
    """
    if not tools:
        return ()
    return tuple(fault for call in expected for fault in _faults(call, tools.get(call.name)))


def drop_foreign_nulls(calls: Sequence[ToolCall], tools: Mapping[str, Tool]) -> tuple[ToolCall, ...]:
    """The calls without the nulls that parquet and Arrow fill structs with, at every depth.

    A null goes where the schema does not declare its key, or declares it, does not require it, and allows no null.
    Calls of tools that are not known, and values under schemas that say nothing, stay as they are.
    """
    return tuple(
        replace(call, arguments=_without_nulls(call.arguments, tools[call.name].schema)) if call.name in tools else call
        for call in calls
    )


def _faults(call: ExpectedCall, tool: Tool | None) -> list[TruthFault]:
    if tool is None:
        return [TruthFault(call.name, FaultKind.UNKNOWN_TOOL)]
    undeclared = [name for name in call.arguments if tool.closed and name not in (*tool.shape.fields, *call.optional)]
    wrong = [
        name for name, accepted in call.arguments.items() if name not in undeclared and _is_wrong(name, accepted, tool)
    ]
    found = {
        FaultKind.UNDECLARED: undeclared,
        FaultKind.MISSING: sorted(tool.required - call.arguments.keys()),
        FaultKind.WRONG_VALUE: wrong,
    }
    faults = [TruthFault(call.name, kind, name) for kind, names in found.items() for name in names]
    first = {name: accepted[0] for name, accepted in call.arguments.items()}
    has_choice = any(len(accepted) > 1 or not _is_plain(accepted[0]) for accepted in call.arguments.values())
    if not faults and not has_choice and not tool.accepts(first):
        return [TruthFault(call.name, FaultKind.WRONG_TOGETHER)]
    return faults


def _is_wrong(name: str, accepted: tuple[Any, ...], tool: Tool) -> bool:
    plain = [value for value in accepted if _is_plain(value)]
    return len(plain) == len(accepted) and all(tool.violates(name, value) for value in plain)


def _is_plain(value: Any) -> bool:
    """Whether the value has no alternatives inside."""
    items = value if isinstance(value, list) else [value]
    return not any(isinstance(item, ExpectedObject) for item in items)


def _without_nulls(value: Any, schema: Any) -> Any:
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        return [_without_nulls(item, schema.get("items")) for item in value]
    if not isinstance(value, dict) or not isinstance(schema.get("properties"), dict):
        return value
    inner, required = schema["properties"], schema.get("required", ())
    return {
        key: _without_nulls(item, inner.get(key))
        for key, item in value.items()
        if item is not None or key in required or (key in inner and _allows_null(inner[key]))
    }


def _allows_null(schema: Schema | bool) -> bool:
    """Whether null may fit; a schema that is more than a type, an enumeration and alternatives is taken to allow it."""
    if not isinstance(schema, dict):
        return schema is not False
    if "enum" in schema:
        return None in schema["enum"]
    if "type" in schema:
        return "null" in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    return not alternatives or any(map(_allows_null, alternatives))
