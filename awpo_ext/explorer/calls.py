"""Expected calls beside given ones, argument by argument, for reading. The rules are those of the verifier `strict`.

Scores nothing: the run's own outcome and reasons are in its record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reward_models.parsing import ToolCall
from reward_models.verifiers.compare import ANYTHING, compare_any
from reward_models.verifiers.expected import ExpectedCall, ExpectedObject
from reward_models.verifiers.matching import MatchCode, Matcher
from reward_models.verifiers.schema import Tool

MAX_CALLS = 256
MAX_VALUE = 20_000  # characters of one value


def compared(
    expected: Sequence[ExpectedCall], given: Sequence[ToolCall], tools: Mapping[str, Tool]
) -> list[dict[str, Any]]:
    """Pairs in the order of the expected calls, then what was given besides.

    Each is {name, verdict, arguments: [{name, expected, given, verdict}]}; values are JSON texts, None where there is
    none; `verdict` is "equal", a code of `MatchCode` or of `Difference`, or "optional" for what may be absent and is.
    """
    expected, given = expected[:MAX_CALLS], given[:MAX_CALLS]
    pairs = dict(Matcher().match(expected, given, tools).pairs)
    taken = set(pairs.values())
    found = [_call(wanted, given[pairs[i]] if i in pairs else None, tools) for i, wanted in enumerate(expected)]
    return found + [_extra(call, tools) for j, call in enumerate(given) if j not in taken]


def _call(wanted: ExpectedCall, given: ToolCall | None, tools: Mapping[str, Tool]) -> dict[str, Any]:
    tool = tools.get(wanted.name)
    arguments = [_argument(name, wanted, given, tool) for name in wanted.arguments]
    if given is None:
        return {"name": wanted.name, "verdict": MatchCode.MISSING_CALL.value, "arguments": arguments}
    arguments += [
        {"name": name, "expected": None, "given": shown(value), "verdict": MatchCode.EXTRA_ARGUMENT.value}
        for name, value in given.arguments.items()
        if name not in wanted.arguments
    ]
    wrong = [one["verdict"] for one in arguments if one["verdict"] not in ("equal", "optional")]
    return {"name": wanted.name, "verdict": wrong[0] if wrong else "equal", "arguments": arguments}


def _argument(name: str, wanted: ExpectedCall, given: ToolCall | None, tool: Tool | None) -> dict[str, Any]:
    accepted = wanted.arguments[name]
    wanted_values = [value for value in accepted if value != "" or name not in wanted.optional] or accepted
    told = " or ".join(map(shown, wanted_values)) + (" or left out" if name in wanted.optional else "")
    row = {"name": name, "expected": told, "given": None}
    if given is None or name not in given.arguments:
        absent = "optional" if name in wanted.optional else MatchCode.MISSING_ARGUMENT.value
        return {**row, "verdict": absent if given else MatchCode.MISSING_CALL.value}
    shape = tool.shape if tool else ANYTHING
    value = given.arguments[name]
    return {**row, "given": shown(value), "verdict": compare_any(value, accepted, shape.field(name)).value}


def _extra(call: ToolCall, tools: Mapping[str, Tool]) -> dict[str, Any]:
    known = not tools or call.name in tools
    verdict = (MatchCode.EXTRA_CALL if known else MatchCode.UNKNOWN_TOOL).value
    arguments = [
        {"name": name, "expected": None, "given": shown(value), "verdict": MatchCode.EXTRA_CALL.value}
        for name, value in call.arguments.items()
    ]
    return {"name": call.name, "verdict": verdict, "arguments": arguments}


def shown(value: Any) -> str:
    """The value as JSON, so that "1" and 1 differ; alternatives inside an object as `[a, b]` per field."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]} …"


def _plain(value: Any) -> Any:
    return (
        {key: list(values) for key, values in value.fields.items()}
        if isinstance(value, ExpectedObject)
        else repr(value)
    )
