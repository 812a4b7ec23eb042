"""Corruptions of the call: another tool, or arguments that are not what the thought says. See corruptions.py."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from reward_models.parsing import ToolCall
from reward_models.scorers.data.original import Context, Original
from reward_models.scorers.features.trace import ToolText, leaves, value_text


def swapped_tool(row: Original, context: Context) -> Original | None:
    """The call goes to another tool of the same row, with the arguments as they were."""
    called, other = called_and_other(row, context)
    if other is None or other.name not in {tool.name for tool in row.tools}:
        return None
    return replace(row, calls=_renamed(row.calls, called, other.name))


def foreign_tool(row: Original, context: Context) -> Original | None:
    """Where a row has no other tool: the call goes to a tool of the nearest row."""
    called, other = called_and_other(row, context)
    if other is None or other.name in {tool.name for tool in row.tools}:
        return None
    return replace(row, calls=_renamed(row.calls, called, other.name))


def dropped_argument(row: Original, context: Context) -> Original | None:
    """A call loses an argument whose value the thought mentions."""
    found = [
        (number, name)
        for number, call in enumerate(row.calls)
        for name, value in call.arguments.items()
        if any(_stands_in(value_text(leaf), row.thought) for _, leaf in leaves([ToolCall(call.name, {name: value})]))
    ]
    if not found:
        return None
    number, gone = context.rng.choice(found)
    call = row.calls[number]
    kept = {name: value for name, value in call.arguments.items() if name != gone}
    return replace(row, calls=with_call(row.calls, number, ToolCall(call.name, kept)))


def altered_argument(row: Original, context: Context) -> Original | None:
    """One value of a call is changed a little: a number by some, a text by a word, true to false."""
    return _change_value(row, context, lambda name, value: _altered(value, context.rng))


def swapped_values(row: Original, context: Context) -> Original | None:
    """Every value of the calls is replaced by a value of the same type from other rows, where there is one."""
    donors: dict[type, list[Any]] = {}
    for other in context.rng.sample(list(context.others), min(40, len(context.others))):
        for _, value in leaves(other.calls):
            donors.setdefault(type(value), []).append(value)

    def swap(value: Any) -> Any:
        fitting = [item for item in donors.get(type(value), ()) if item != value]
        return context.rng.choice(fitting) if fitting and not isinstance(value, bool) else value

    calls = tuple(ToolCall(call.name, mapped(call.arguments, swap)) for call in row.calls)
    return None if calls == row.calls else replace(row, calls=calls)


def exchanged_values(row: Original, context: Context) -> Original | None:
    """Two arguments of one call exchange their values."""
    found = [
        (number, one, two)
        for number, call in enumerate(row.calls)
        for one in call.arguments
        for two in call.arguments
        if one < two and _exchangeable(call.arguments[one], call.arguments[two])
    ]
    if not found:
        return None
    number, one, two = context.rng.choice(found)
    old = row.calls[number].arguments
    new = {**old, one: old[two], two: old[one]}
    return replace(row, calls=with_call(row.calls, number, ToolCall(row.calls[number].name, new)))


def called_and_other(row: Original, context: Context) -> tuple[str, ToolText | None]:
    """A called tool's name, and a tool that is not called: one of the row's own, or else of the nearest row."""
    called = {call.name for call in row.calls}
    own = [tool for tool in row.tools if tool.name not in called]
    foreign = [tool for tool in context.nearest.tools if tool.name not in called | {tool.name for tool in row.tools}]
    candidates = own or foreign
    name = context.rng.choice(row.calls).name
    return name, context.rng.choice(candidates) if candidates else None


def _renamed(calls: Sequence[ToolCall], old: str, new: str) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(new if call.name == old else call.name, call.arguments) for call in calls)


def with_call(calls: Sequence[ToolCall], number: int, call: ToolCall) -> tuple[ToolCall, ...]:
    return (*calls[:number], call, *calls[number + 1 :])


def _stands_in(text: str, where: str) -> bool:
    return bool(text) and re.search(rf"(?<!\w){re.escape(text.lower())}(?!\w)", where.lower()) is not None


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [mapped(item, change) for item in value]
    return change(value)


def _change_value(row: Original, context: Context, change: Callable[[str, Any], Any]) -> Original | None:
    found = [(number, name) for number, call in enumerate(row.calls) for name in call.arguments]
    context.rng.shuffle(found)
    for number, name in found:
        call = row.calls[number]
        changed = mapped(call.arguments[name], partial(change, name))
        if changed != call.arguments[name]:
            return replace(
                row, calls=with_call(row.calls, number, ToolCall(call.name, {**call.arguments, name: changed}))
            )
    return None


def _altered(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-3, -2, -1, 1, 2, 3, 10))
    if isinstance(value, float):
        return round(value * rng.choice((0.1, 0.5, 1.5, 2.0, 10.0)) + rng.choice((0.0, 1.0)), 4)
    if isinstance(value, str) and value.strip():
        number = re.search(r"\d+", value)
        if number:
            return value[: number.start()] + str(int(number.group()[:15]) + rng.randint(1, 9)) + value[number.end() :]
        found = value.split()
        if len(found) > 1:
            del found[rng.randrange(len(found))]
            return " ".join(found)
        return value[::-1] if len(set(value)) > 1 else value + "x"
    return value


def _exchangeable(one: Any, two: Any) -> bool:
    plain = (str, int, float)
    numbers = isinstance(one, (int, float)) and isinstance(two, (int, float))
    same = isinstance(one, plain) and isinstance(two, plain) and (numbers or type(one) is type(two))
    return same and not isinstance(one, bool) and not isinstance(two, bool) and one != two
