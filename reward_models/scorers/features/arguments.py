"""Do the calls have the arguments that they need, and each the value that is meant for it?

Pure functions of a `Trace`, in time linear in its bounded texts.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from reward_models.parsing import ToolCall
from reward_models.scorers.features.lookup import as_number, places_of, share
from reward_models.scorers.features.trace import ToolText, Trace, value_text, words

_PLACES = 12  # of one value or argument name
_REACH = 60  # characters after an argument's name in which its value is looked for
_VALUES = 16  # of one call
_LITERAL = re.compile(r"\d|[\"'“`]\w|(?<!^)\b[A-Z]\w")
_LEFT_OUT = re.compile(
    r"\b(?:default\w*|omit\w*|optional\w*|not|without|leav\w+|skip\w*|empty|none|unspecified)\b|n['’]t\b"
)
_CLAUSE_END = re.compile(r"[.;!?]\s|\n")


class ArgumentFeatures(NamedTuple):
    """Arguments left out, mistyped or exchanged."""

    bare_calls: float  # share of the calls without any argument, of those whose tool has parameters
    required_missing: float  # share of the called tools' required parameters that the calls lack
    uneven_calls: float  # share of the arguments that a call lacks and another call of its tool has
    given_not_passed: float  # of the called tools' parameters after which the thought names a value, share no call has
    mistyped: float  # share of the values of numeric parameters that are no numbers
    said_of_others: (
        float  # of the arguments after whose names the thought has a value of the call, share with another's
    )
    order_in_thought: (
        float  # of the pairs of values of one call, share that first stand in the thought in the call's order
    )
    order_in_question: float


def argument_features(trace: Trace) -> np.ndarray:
    """The values of ArgumentFeatures: shares in [0, 1], and neutral where nothing applies."""
    tools = {tool.name: tool for tool in trace.tools}
    known = [(call, tools[call.name.strip()]) for call in trace.calls if call.name.strip() in tools]
    thought = trace.thought
    lower = thought.lower()
    said = thought if len(lower) == len(thought) else lower  # places in one are places in the other
    required = [name in call.arguments for call, tool in known for name in tool.required]
    return np.array(
        ArgumentFeatures(
            bare_calls=share((not call.arguments for call, tool in known if tool.parameters), 0.0),
            required_missing=share((not given for given in required), 0.0),
            uneven_calls=_uneven(trace.calls),
            given_not_passed=_given_not_passed(known, lower, said),
            mistyped=share((not ok for ok in _numeric(known)), 0.0),
            said_of_others=_said_of_others(trace.calls, lower),
            order_in_thought=_order(trace.calls, lower),
            order_in_question=_order(trace.calls, trace.question.lower()),
        ),
        dtype=float,
    )


def _uneven(calls: Sequence[ToolCall]) -> float:
    """0 where no tool is called twice: calls of one tool usually have the same arguments."""
    names: dict[str, set[str]] = defaultdict(set)
    count: dict[str, int] = defaultdict(int)
    for call in calls:
        names[call.name] |= set(call.arguments)
        count[call.name] += 1
    return share(
        (name not in call.arguments for call in calls if count[call.name] > 1 for name in names[call.name]), 0.0
    )


def _given_not_passed(known: Sequence[tuple[ToolCall, ToolText]], lower: str, said: str) -> float:
    passed: dict[str, set[str]] = defaultdict(set)
    parameters: dict[str, tuple[str, ...]] = {}
    for call, tool in known:
        passed[tool.name] |= {str(name) for name in call.arguments}
        parameters[tool.name] = tool.parameters
    given = [
        name in passed[tool] for tool, names in parameters.items() for name in names if _has_value(name, lower, said)
    ]
    return share((not ok for ok in given), 0.0)


def _has_value(name: str, lower: str, said: str) -> bool:
    """Whether, somewhere, a literal follows the name in its clause, and no word of leaving it out."""
    for place, spelling in _name_places(name, lower):
        after = _clause(said, place + len(spelling))
        if _LITERAL.search(after) and not _LEFT_OUT.search(after):
            return True
    return False


def _numeric(known: Sequence[tuple[ToolCall, ToolText]]) -> list[bool]:
    return [
        as_number(value_text(value)) is not None
        for call, tool in known
        for name, value in call.arguments.items()
        if name in tool.numeric and not isinstance(value, (dict, list)) and value not in (None, "")
    ]


def _said_of_others(calls: Sequence[ToolCall], lower: str) -> float:
    """Of the values of one call, the first to stand after an argument's name is its own, or another's."""
    wrong = []
    for call in calls:
        values = _values(call)
        if len(values) < 2:
            continue
        for name, own in values.items():
            for place, spelling in _name_places(name, lower):
                after = _clause(lower, place + len(spelling))
                found = [(places[0], text) for text in values.values() if (places := places_of(text, after, 1))]
                if found:
                    wrong.append(min(found)[1] != own)
    return share(wrong, 0.0)


def _order(calls: Sequence[ToolCall], where: str) -> float:
    kept = []
    for call in calls:
        places = [found[0] for text in _values(call).values() if (found := places_of(text, where, 1))]
        kept += [one < two for one, two in combinations(places, 2) if one != two]
    return share(kept)


def _values(call: ToolCall) -> dict[str, str]:
    """The call's first plain values as lower-case texts, by argument; those that are equal to another's are left out."""
    plain = [(name, value) for name, value in call.arguments.items() if isinstance(value, (str, int, float))]
    texts = {
        str(name): value_text(value).strip().lower() for name, value in plain[:_VALUES] if not isinstance(value, bool)
    }
    count = Counter(texts.values())
    return {name: text for name, text in texts.items() if text and count[text] == 1}


def _name_places(name: str, lower: str) -> list[tuple[int, str]]:
    """Where an argument's name occurs, as written or with its separators as spaces; names of one letter are not looked for."""
    spellings = dict.fromkeys((name.lower(), words(name.lower())))
    return [(place, text) for text in spellings if len(text) > 1 for place in places_of(text, lower, _PLACES)]


def _clause(text: str, start: int) -> str:
    """What follows in the same clause, at most _REACH characters."""
    after = text[start : start + _REACH]
    end = _CLAUSE_END.search(after)
    return after[: end.start()] if end else after
