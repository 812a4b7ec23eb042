"""The calls that a row expects, read from any of the forms that data sets write, alternatives included."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reward_models.parsing import Status, ToolCall, parse_response
from reward_models.types import Rollout
from reward_models.verifiers.call_forms import ARGUMENT_KEYS, is_call, is_message, read_call, read_calls, read_json

CACHED_ROWS = 1024

_ANSWER = re.compile(r"\s*(?:<think>(?:(?!</think>).)*</think>\s*)?<response>(?P<answer>.*)</response>\s*", re.DOTALL)
_TAG = re.compile(r"</?(?:think|tool_call|response)>")
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
    try:
        if text.lstrip()[:1] in ("[", "{"):
            return _read_items(read_json(text))
        return _read_tagged(text)
    except ValueError as error:
        raise ValueError(f"{error}; {_FORMS}") from error


def expect(calls: Iterable[ToolCall]) -> tuple[ExpectedCall, ...]:
    """Plain calls as expected ones, each value the only acceptable one."""
    return tuple(ExpectedCall(call.name, {key: (value,) for key, value in call.arguments.items()}) for call in calls)


def _read_tagged(text: str) -> tuple[ExpectedCall, ...]:
    parsed = parse_response(text, "toolrl")
    if parsed.status in (Status.VALID, Status.ABSTAINED):
        return expect(parsed.calls)
    if _is_answer(text):
        return ()
    codes = ", ".join(problem.code.value for problem in parsed.problems)
    raise ValueError(f"unreadable ({codes}): {text[:200]!r}")


def _is_answer(text: str) -> bool:
    """Whether there is nothing but a thought or none and a `<response>`: what it says, such as code, does not matter."""
    found = _ANSWER.fullmatch(text)
    return found is not None and not _TAG.search(found["answer"]) and bool(found["answer"].strip())


def _read_items(value: Any) -> tuple[ExpectedCall, ...]:
    if is_message(value):
        return expect(read_calls(value))
    items = value if isinstance(value, list) else [value]
    return tuple(call for item in items for call in (expect([read_call(item)]) if is_call(item) else [_answers(item)]))


def _answers(item: Any) -> ExpectedCall:
    """BFCL's possible answers of one call. A tool may be called "name": its value is an object, no text."""
    if not isinstance(item, dict):
        raise ValueError(f"not a call: {str(item)[:200]!r}")
    if len(item) != 1:
        raise ValueError(f"a possible answer must name one tool, got {list(item)[:5]!r}")
    ((name, arguments),) = item.items()
    if name in ARGUMENT_KEYS:
        raise ValueError(f"a call needs a 'name', got {str(item)[:200]!r}")
    if not isinstance(arguments, dict):
        raise ValueError(f"call {name!r}: its arguments must be an object, got {str(arguments)[:200]!r}")
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
