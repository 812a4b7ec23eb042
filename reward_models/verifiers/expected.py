"""The calls that a row expects, read from any of the forms that data sets write, alternatives included."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reward_models.parsing import Status, parse_response
from reward_models.types import Rollout

CACHED_ROWS = 1024

_FORMS = (
    "expected ToolRL's tagged text, BFCL's possible answers [{tool: {argument: [values]}}], or OpenAI's tool_calls "
    '[{"name": .., "arguments": {..}}], as JSON; [] where no call is expected'
)


@dataclass(frozen=True)
class ExpectedObject:
    """An object with alternatives inside: `fields` gives each field's acceptable values, `optional` fields may be absent.

    Stands among the acceptable values of an argument, alone or as an item of a list, where BFCL nests its alternatives.
    """

    fields: dict[str, tuple[Any, ...]]
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ExpectedCall:
    """One expected call: the acceptable values of each argument, at least one; `optional` ones may be left out.

    A value is JSON data, or holds `ExpectedObject` in place of a dict. A "" that BFCL uses to mark an optional argument
    stays among its values.
    """

    name: str
    arguments: dict[str, tuple[Any, ...]]
    optional: frozenset[str] = frozenset()


def read_expected(rollout: Rollout) -> tuple[ExpectedCall, ...]:
    """The calls that the row expects; () where it expects an answer without a call.

    Reads `extra_info["possible_answer"]` (JSON, written by `awpo data bfcl`) where the row has it, because it knows the
    alternatives that a single tagged answer does not, and `ground_truth` otherwise. ValueError where that is not in
    one of the forms.
    """
    possible = rollout.extra_info.get("possible_answer")
    if possible is not None and not isinstance(possible, str):
        raise ValueError(f"extra_info['possible_answer'] must be a JSON string, got {str(possible)[:200]!r}")
    return parse_expected(possible if possible and possible.strip() else rollout.ground_truth)


@lru_cache(maxsize=CACHED_ROWS)
def parse_expected(text: str) -> tuple[ExpectedCall, ...]:
    """`read_expected` on the text itself."""
    if text.lstrip()[:1] in ("[", "{"):
        return tuple(_read_item(item) for item in _json_items(text))
    parsed = parse_response(text, "toolrl")
    if parsed.status not in (Status.VALID, Status.ABSTAINED):
        codes = ", ".join(problem.code.value for problem in parsed.problems)
        raise ValueError(f"unreadable ({codes}): {text[:200]!r}; {_FORMS}")
    return tuple(_plain_call(call.name, call.arguments) for call in parsed.calls)


def _json_items(text: str) -> list[Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): {text[:200]!r}; {_FORMS}") from error
    if isinstance(value, dict):
        value = value.get("tool_calls", [value])
    if not isinstance(value, list):
        raise ValueError(f"not a list of calls: {text[:200]!r}; {_FORMS}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_item(item: Any) -> ExpectedCall:
    if isinstance(item, dict) and item.get("type") == "function" and isinstance(item.get("function"), dict):
        item = item["function"]
    if not isinstance(item, dict):
        raise ValueError(f"not a call: {str(item)[:200]!r}; {_FORMS}")
    # A BFCL answer to a tool that is called "name" has a dict there.
    if isinstance(item.get("name"), str):
        return _read_call(item)
    return _read_possible_answer(item)


def _read_call(item: dict[str, Any]) -> ExpectedCall:
    arguments = item.get("arguments", item.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"call {item['name']!r}: its arguments are not JSON ({error})") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"call {item['name']!r}: its arguments are no object: {str(arguments)[:200]!r}")
    return _plain_call(item["name"], arguments)


def _plain_call(name: str, arguments: dict[str, Any]) -> ExpectedCall:
    return ExpectedCall(name, {key: (value,) for key, value in arguments.items()})


def _read_possible_answer(item: dict[str, Any]) -> ExpectedCall:
    if len(item) != 1:
        raise ValueError(f"a possible answer must name one tool, got {list(item)[:5]!r}; {_FORMS}")
    ((name, arguments),) = item.items()
    if not isinstance(arguments, dict):
        raise ValueError(f"call {name!r}: its arguments are no object: {str(arguments)[:200]!r}")
    values, optional = _alternatives(arguments)
    return ExpectedCall(name, {key: tuple(map(_nested, accepted)) for key, accepted in values.items()}, optional)


def _alternatives(fields: dict[str, Any]) -> tuple[dict[str, tuple[Any, ...]], frozenset[str]]:
    """Acceptable values of each field, and the fields that BFCL marks as optional by a "" among them."""
    # Some of BFCL's answers have a bare value where a list of one was meant, and a few lists are empty: such a field
    # has no acceptable value and is not expected.
    lists = {field: accepted if isinstance(accepted, list) else [accepted] for field, accepted in fields.items()}
    values = {field: tuple(accepted) for field, accepted in lists.items() if accepted}
    return values, frozenset(field for field, accepted in values.items() if "" in accepted)


def _nested(value: Any) -> Any:
    # BFCL nests alternatives in a dict and in the dicts of a list, and no deeper.
    if isinstance(value, dict):
        return ExpectedObject(*_alternatives(value))
    if isinstance(value, list):
        return [ExpectedObject(*_alternatives(item)) if isinstance(item, dict) else item for item in value]
    return value
