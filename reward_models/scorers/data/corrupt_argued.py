"""Corruptions in which the thought argues fluently for a call that the request contradicts, or for nothing at all.

What a policy finds first: thought and call agree, every sentence is well formed, and the values are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from reward_models.parsing import ToolCall
from reward_models.scorers.data import phrases
from reward_models.scorers.data.corrupt_calls import (
    altered_argument,
    dropped_argument,
    exchanged_values,
    foreign_tool,
    mapped,
    swapped_tool,
    swapped_values,
    with_call,
)
from reward_models.scorers.data.original import Context, Original
from reward_models.scorers.features.lookup import places_of
from reward_models.scorers.features.trace import leaves, value_text

_SPOIL: tuple[Callable[[Original, Context], Original | None], ...] = (
    altered_argument,
    swapped_values,
    exchanged_values,
    dropped_argument,
    swapped_tool,
    foreign_tool,
)


def argued_values(row: Original, context: Context) -> Original | None:
    """One value of the call is another one, or all are, and the thought says so too."""
    return _argued(row, context.rng.choice((altered_argument, swapped_values))(row, context))


def argued_exchange(row: Original, context: Context) -> Original | None:
    """Two arguments have each other's value, in the thought as in the call: the start is the end."""
    return _argued(row, exchanged_values(row, context))


def invented_argument(row: Original, context: Context) -> Original | None:
    """The call has one more argument of its tool, with a value from nowhere, and as a rule the thought says so."""
    rng = context.rng
    parameters = {tool.name: tool.parameters for tool in row.tools}
    found = [
        (number, name)
        for number, call in enumerate(row.calls)
        for name in parameters.get(call.name, ())
        if name not in call.arguments
    ]
    if not found:
        return None
    number, name = rng.choice(found)
    call = row.calls[number]
    strangers = [value for other in context.others[:60] for _, value in leaves(other.calls)]
    asked = [word.strip(".,?!'\"") for word in row.question.split() if len(word) > 3] or [name]
    value = rng.choice(
        (name, call.name, rng.choice(strangers or [name]), rng.choice(asked), rng.choice(asked), rng.randint(1, 10))
    )
    calls = with_call(row.calls, number, ToolCall(call.name, {**call.arguments, name: value}))
    said = context.pick(phrases.INVENTED).format(name=name, value=value_text(value))
    thought = row.thought if rng.random() < 0.3 else f"{row.thought.rstrip(' .')}; {said}."
    return replace(row, calls=calls, thought=thought)


def names_as_values(row: Original, context: Context) -> Original | None:
    """Arguments have the names of arguments as values, in the call as in the thought."""
    names = [str(name) for call in row.calls for name in call.arguments]
    pairs = {
        value_text(value): context.rng.choice((name, context.rng.choice(names)))
        for name, value in leaves(row.calls)
        if isinstance(value, str) and value
    }
    kept = dict(context.rng.sample(sorted(pairs.items()), context.rng.randint(1, len(pairs)))) if pairs else {}
    calls = tuple(
        ToolCall(call.name, mapped(call.arguments, lambda value: kept.get(value_text(value), value)))
        for call in row.calls
    )
    return None if calls == row.calls else replace(row, calls=calls, thought=with_values(row.thought, kept))


def unread_call(row: Original, context: Context) -> Original | None:
    """The thought stands, and no call can be read after it."""
    return replace(row, calls=(), answer=None)


def unread_wrong_call(row: Original, context: Context) -> Original | None:
    """A thought that argues for wrong values, and no call can be read after it."""
    changed = argued_values(row, context)
    return None if changed is None else replace(changed, calls=(), answer=None)


def misquoted_value(row: Original, context: Context) -> Original | None:
    """The call is right, and the thought gives another value for one of its arguments."""
    changed = _argued(row, altered_argument(row, context))
    return None if changed is None else replace(row, thought=changed.thought)


def argued_call(row: Original, context: Context) -> Original | None:
    """A wrong call, and a thought that is written for it as the honest ones are; None where nobody writes thoughts."""
    wrong = wrong_call(row, context)
    if wrong is None or context.write is None:
        return None
    thought = context.write(wrong, context.rng)
    return None if thought is None else replace(wrong, thought=thought)


def echo_of_wrong_call(row: Original, context: Context) -> Original | None:
    """The request is repeated and a wrong call announced, with or without a stock reason."""
    wrong = wrong_call(row, context)
    if wrong is None:
        return None
    call = wrong.calls[0]
    pairs = ", ".join(f"{name} {value_text(value)}" for name, value in leaves([call]))
    arguments = context.rng.choice((pairs, json.dumps(call.arguments, ensure_ascii=False)))
    said = context.pick(phrases.ECHOED_CALLS).format(
        question=row.question[:600].strip(), tool=call.name, arguments=arguments
    )
    return replace(wrong, thought=said)


def unrelated(row: Original, context: Context) -> Original | None:
    """A fluent thought about something else, in one of several languages."""
    return replace(row, thought=context.pick(phrases.UNRELATED))


def wrong_call(row: Original, context: Context) -> Original | None:
    """The row with a call that is not right: other values, values exchanged, an argument left out, or another tool."""
    for spoil in context.rng.sample(_SPOIL, len(_SPOIL)):
        changed = spoil(row, context)
        if changed is not None:
            return changed
    return None


def _argued(row: Original, changed: Original | None) -> Original | None:
    """`changed` with the thought following its values; None where the thought has none of those that changed."""
    if changed is None:
        return None
    pairs = {
        value_text(old): value_text(new)
        for (_, old), (_, new) in zip(leaves(row.calls), leaves(changed.calls), strict=False)
        if value_text(old) != value_text(new)
    }
    thought = with_values(row.thought, pairs)
    return None if thought == row.thought else replace(changed, thought=thought)


def with_values(thought: str, pairs: dict[str, str]) -> str:
    """The thought with each value, where it stands as a whole word, in the place of another; all at once."""
    found = [
        (start, start + len(old), new) for old, new in pairs.items() if old for start in places_of(old, thought, 40)
    ]
    for start, end, new in sorted(_apart(sorted(found)), reverse=True):
        thought = thought[:start] + new + thought[end:]
    return thought


def _apart(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Those that do not overlap an earlier one."""
    kept: list[tuple[int, int, str]] = []
    for span in spans:
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept
