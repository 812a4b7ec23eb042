"""Does the call do what the request asks, and does the thought claim what the request does not say?

A thought may agree with its call in every word, and both contradict the request: "start is Paris, as stated" where the
request says Rome. The features of grounding.py do not tell the two apart, since they look for a value in the thought
too; these compare call and thought with the request alone. Pure functions of a `Trace`, in time linear in its texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reward_models.parsing import ToolCall
from reward_models.scorers.features.lookup import (
    NUMBER,
    PROPER,
    QUOTED,
    as_number,
    mean,
    numbers_of,
    places_of,
    share,
)
from reward_models.scorers.features.trace import ToolText, Trace, leaves, value_text, words

_PLACES = 8  # of one value or word
_REACH = 60  # characters before a value in the request in which a word of direction is looked for
_SAID_REACH = 12  # between an argument's name and the value that the thought gives it
_MAX_LITERALS = 40
_CONTENT = re.compile(r"[^\W_]{2,}")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")
_LITERAL_AFTER = re.compile(
    r"[\s=:\"'“`(\[]*(?:is|as|to|of|be|set to)?[\s=:\"'“`(\[]*(-?\d[\d,.]*\d|\d|[\"'“`][^\"'”`\n]{1,60})"
)
_START = re.compile(r"^(?:start|from|origin|source|src|depart|begin|since|initial|lower|min|first)", re.IGNORECASE)
_END = re.compile(r"^(?:end|to|dest|target|arriv|until|final|upper|max|last|second|finish)", re.IGNORECASE)
_CUE = re.compile(
    r"\b(?:(?P<start>from|starting|start|beginning|between|leaving|departing|departure|since|origin)|"
    r"(?P<end>to|until|till|ending|end|destination|arriving|towards?|through|into))\b"
)


class AgreementFeatures(NamedTuple):
    """Call and thought against the request. "Asked": the request, or the text of a called tool, holds it."""

    numbers_unasked: float  # share of the calls' numbers that are not asked
    texts_asked: float  # mean share of the words of the calls' texts that are asked
    texts_asked_least: float
    values_argued_unasked: float  # share of the calls' values that the thought holds and that are not asked
    thought_numbers_unasked: float  # share of the thought's numbers that are not asked
    thought_texts_unasked: float  # share of the thought's quoted texts and names that are not asked
    request_numbers_unused: float  # share of the request's numbers that no call holds
    request_texts_unused: float  # share of the request's quoted texts and names that no call holds
    request_unsaid: float  # share of the request's numbers, quoted texts and names in neither thought nor calls
    direction_against: float  # share of the start and end arguments whose value the request gives the other direction
    nearer_other_name: (
        float  # share of the values that stand in the request nearer to a word of another argument's name
    )
    same_texts: float  # share of the texts of one call that another argument of it has too
    texts_of_tool: float  # share of the texts whose words are all in the name of a called tool or of its parameters
    optional_given: float  # share of the called tools' optional parameters that the calls give
    unknown_arguments: float  # share of the calls' arguments that their tools do not have
    unknown_tools: float  # share of the calls whose tool is not among the row's; 0 where it has none
    outside_enum: float  # share of the values with an enum that are not in it
    said_own: float  # of the arguments after whose names the thought has a literal, share with the calls' value there
    said_otherwise: float  # and share with another literal
    question_covered: float  # share of the request's word trigrams that the thought repeats
    no_call: float


def agreement_features(trace: Trace) -> np.ndarray:
    """The values of AgreementFeatures: shares in [0, 1], and neutral where nothing applies."""
    question, thought = trace.question.lower(), trace.thought.lower()
    called = {call.name.strip(): None for call in trace.calls}
    tools = {tool.name: tool for tool in trace.tools}
    own = [tools[name] for name in called if name in tools]
    asked = _Text(" ".join([question, *(f"{tool.description} {tool.constants} {tool.notes}".lower() for tool in own)]))
    values = [value_text(value).strip().lower() for _, value in leaves(trace.calls) if not isinstance(value, bool)]
    numbers = [text for text in values if as_number(text) is not None]
    texts = [text for text in values if text and as_number(text) is None]
    covered = [asked.share_of(text) for text in texts]
    held = _Text(" ".join(values))
    said = _Text(thought)
    names = " ".join(f"{tool.name} {words(tool.name)} {' '.join(tool.parameters)}".lower() for tool in trace.tools)
    request_numbers, request_texts = _literals(trace.question)
    thought_numbers, thought_texts = _literals(trace.thought)
    unused = [not held.has(text) for text in request_numbers], [held.share_of(text) < 0.5 for text in request_texts]
    unsaid = [
        not (item_held or said.has(text))
        for text, item_held in zip(
            [*request_numbers, *request_texts], [not left for left in [*unused[0], *unused[1]]], strict=True
        )
    ]
    own_said, otherwise = _said(trace.calls, thought)
    return np.array(
        AgreementFeatures(
            numbers_unasked=share((not asked.has(text) for text in numbers), 0.0),
            texts_asked=mean(covered, 1.0),
            texts_asked_least=min(covered, default=1.0),
            values_argued_unasked=share(
                (said.has(text) and asked.share_of(text) < 0.5 for text in values if text), 0.0
            ),
            thought_numbers_unasked=share((not asked.has(text) for text in thought_numbers), 0.0),
            thought_texts_unasked=share(
                (asked.share_of(text) < 0.5 for text in thought_texts if text not in names), 0.0
            ),
            request_numbers_unused=share(unused[0], 0.0),
            request_texts_unused=share(unused[1], 0.0),
            request_unsaid=share(unsaid, 0.0),
            direction_against=_direction_against(trace.calls, question),
            nearer_other_name=share((item for call in trace.calls for item in _nearer_other_name(call, question)), 0.0),
            same_texts=share((item for call in trace.calls for item in _same_texts(call)), 0.0),
            texts_of_tool=share((set(_CONTENT.findall(text)) <= _name_words(own) for text in texts), 0.0),
            optional_given=share(
                (
                    name in call.arguments
                    for call in trace.calls
                    if call.name.strip() in tools
                    for name in tools[call.name.strip()].parameters
                    if name not in tools[call.name.strip()].required
                ),
                0.0,
            ),
            unknown_arguments=share(
                (
                    str(name) not in tools[call.name.strip()].parameters
                    for call in trace.calls
                    if call.name.strip() in tools
                    for name in call.arguments
                ),
                0.0,
            ),
            unknown_tools=share((name not in tools for name in called), 0.0) if tools else 0.0,
            outside_enum=share(_outside_enum(trace.calls, tools), 0.0),
            said_own=own_said,
            said_otherwise=otherwise,
            question_covered=_covered(question, thought),
            no_call=float(not trace.calls),
        ),
        dtype=float,
    )


class _Text:
    """A lower-case text, asked for numbers, words and phrases."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._numbers = numbers_of(text)
        self._words = set(_CONTENT.findall(text))
        self._stems = {word[:5] for word in self._words if len(word) > 5}

    def has(self, text: str) -> bool:
        """As a whole word or phrase, or as the same number in another spelling."""
        number = as_number(text)
        if number is not None:
            return number in self._numbers or -number in self._numbers
        return bool(places_of(text, self._text, 1))

    def share_of(self, text: str) -> float:
        """1.0 for what it has; else the share of the text's words, the ends of long words left out."""
        if not text or self.has(text):
            return 1.0
        found = _CONTENT.findall(text)[:20]
        return share((word in self._words or word[:5] in self._stems for word in found), 0.0)


def _name_words(tools: Sequence[ToolText]) -> set[str]:
    found = " ".join(f"{tool.name} {' '.join(tool.parameters)}" for tool in tools)
    return {word.lower() for word in _PARTS.findall(found)} | set(found.lower().split())


def _literals(text: str) -> tuple[list[str], list[str]]:
    """Numbers, and quoted texts and names, in lower case; each once, at most _MAX_LITERALS of a kind."""
    numbers = [match.group() for match, _ in zip(NUMBER.finditer(text), range(_MAX_LITERALS), strict=False)]
    texts = [one or two for one, two in QUOTED.findall(text)[:_MAX_LITERALS]]
    texts += [match.group() for match, _ in zip(PROPER.finditer(text), range(_MAX_LITERALS), strict=False)]
    cleaned = (item.strip(" .,;:").lower() for item in texts)
    return list(dict.fromkeys(numbers)), [item for item in dict.fromkeys(cleaned) if item]


def _plain(call: ToolCall) -> dict[str, str]:
    """The call's plain values as lower-case texts, by argument."""
    return {
        str(name): value_text(value).strip().lower()
        for name, value in list(call.arguments.items())[:16]
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
    }


def _direction_against(calls: Sequence[ToolCall], question: str) -> float:
    against = []
    for call in calls:
        for name, text in _plain(call).items():
            starts, ends = (any(_is(part, role) for part in _PARTS.findall(name)) for role in (_START, _END))
            if starts == ends or not text:
                continue
            for place in places_of(text, question, _PLACES):
                cues = list(_CUE.finditer(question[max(0, place - _REACH) : place]))
                if cues:
                    against.append(starts == bool(cues[-1]["end"]))
    return share(against, 0.0)


def _is(part: str, role: re.Pattern[str]) -> bool:
    found = role.match(part)
    return found is not None and (len(found.group()) > 2 or len(part) == len(found.group()))


def _nearer_other_name(call: ToolCall, question: str) -> list[bool]:
    """Of the values in the request beside a word of an argument's name: is the nearest such word another argument's?"""
    plain = _plain(call)
    parts = {name: {part.lower() for part in _PARTS.findall(name) if len(part) > 2} for name in plain}
    places = {
        name: [
            place
            for part in own - {part for other, found in parts.items() if other != name for part in found}
            for place in places_of(part, question, _PLACES)
        ]
        for name, own in parts.items()
    }
    wrong = []
    for name, text in plain.items():
        found = places_of(text, question, _PLACES) if text else []
        others = [place for other, there in places.items() if other != name for place in there]
        if found and places[name] and others:
            wrong.append(_gap(found, others) < _gap(found, places[name]))
    return wrong


def _gap(one: Sequence[int], two: Sequence[int]) -> int:
    return min(abs(a - b) for a in one for b in two)


def _same_texts(call: ToolCall) -> list[bool]:
    texts = [text for text in _plain(call).values() if text and as_number(text) is None]
    return [texts.count(text) > 1 for text in texts]


def _outside_enum(calls: Sequence[ToolCall], tools: Mapping[str, ToolText]) -> list[bool]:
    wrong = []
    for call in calls:
        enums = dict(tools[call.name.strip()].enums) if call.name.strip() in tools else {}
        for name, allowed in enums.items():
            value: Any = call.arguments.get(name)
            if isinstance(value, (str, int, float)):
                wrong.append(value_text(value) not in allowed)
    return wrong


def _said(calls: Sequence[ToolCall], thought: str) -> tuple[float, float]:
    """said_own and said_otherwise: what the thought has right after an argument's name."""
    own, other = [], []
    for call in calls:
        for name, text in _plain(call).items():
            spellings = {spelling for spelling in (name.lower(), words(name.lower())) if len(spelling) > 1}
            for spelling in sorted(spellings):
                for place in places_of(spelling, thought, _PLACES):
                    after = thought[place + len(spelling) : place + len(spelling) + _REACH + len(text)]
                    at = places_of(text, after, 1) if text else []
                    near = bool(at) and at[0] <= _SAID_REACH
                    literal = _LITERAL_AFTER.match(after)
                    if near or literal:
                        own.append(near)
                        other.append(not near)
    return share(own, 0.5), share(other, 0.0)


def _covered(question: str, thought: str) -> float:
    asked, said = _CONTENT.findall(question), _CONTENT.findall(thought)
    trigrams = set(zip(asked, asked[1:], asked[2:], strict=False))
    return len(trigrams & set(zip(said, said[1:], said[2:], strict=False))) / max(1, len(trigrams))
