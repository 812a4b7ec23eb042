"""Lexical grounding: is the called tool named and argued for against the alternatives; where do the values come from?

Pure functions of a `Trace`, whose texts are bounded; every pattern here is matched in time linear in them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reward_models.scorers.features.lookup import (
    NEGATION,
    NUMBER,
    PROPER,
    QUOTED,
    as_number,
    mean,
    numbers_of,
    places_of,
    share,
)
from reward_models.scorers.features.trace import ToolText, Trace, leaves, sentences, value_text, words

_MENTIONS = 40  # of one name
_PLACES = 12  # of one value or argument name
_INTENT = re.compile(
    r"\b(?:use|using|used|call|calls|calling|invoke\w*|choose|chosen|pick|select\w*|right|correct|best|fits?|suitable|"
    r"appropriate|relevant|perfect|directly|designed|need|should|will|i'll|go with|does this|made for)\b"
)
_IDENTIFIER = re.compile(r"\b(?:[A-Za-z]\w*_\w+|[a-z]+[A-Z]\w*|[A-Za-z]+\d\w*|\w+\.\w+\.?\w*)\b")
_CONTENT = re.compile(r"[^\W_]{3,}")
_YES = {
    "true": ("true", "yes", "enable", "with ", "include", "should"),
    "false": ("false", "no", "not", "without", "n't"),
}


class ToolFeatures(NamedTuple):
    """Is the called tool named and argued for?"""

    called_named: float  # share of the called tools that the thought names
    called_share: float  # of all mentions of tools, those of called ones; 0.5 where none is named
    called_first: float  # whether the first tool named is a called one; 0.5 where none is named
    called_last: float
    called_affirmed: float  # share of the called tools named in a clause that says to use it and holds no negation
    called_negated: float  # share of the mentions of called tools with a negation before them in the clause
    last_negated: float  # whether the last mention of a called tool is negated
    others_named: float  # share of the tools not called which are named
    others_affirmed: float
    others_last: float  # whether the last clause that names a tool and says to use it names another one
    crowded: float  # the most tools named in one sentence, log1p
    has_others: float
    unknown_identifiers: float  # share of the thought's identifiers that occur nowhere in request, tools or call
    about_called: float  # share of the called tools' own words in the thought
    about_others: float  # the highest such share among the others


class ValueFeatures(NamedTuple):
    """Where do the calls' values come from?"""

    in_thought: float  # mean over the calls' values: 1 in the thought, its share of words where only some are, else 0
    in_thought_least: float
    in_question: float
    in_question_least: float
    untraced: float  # share of the values found in neither, nor among the tools' constants
    question_not_thought: float  # share of the values that the request holds and the thought does not
    keys_named: float  # share of the calls' argument names that the thought has
    misplaced: float  # share of the values that stand nearer to another argument's name than to their own
    missing_keys: float  # of the called tools' argument names in the thought, the share that the calls lack
    unused: float  # of the literals in both request and thought, the share that no call holds
    literals_known: float  # share of the thought's literals which request, tools or calls hold
    literals_called: float  # share of the thought's literals that the calls hold
    negated_values: float  # share of the values whose last mention in the thought is negated


def grounding_features(trace: Trace) -> np.ndarray:
    """The values of ToolFeatures and ValueFeatures, finite; shares are in [0, 1], and neutral where nothing applies."""
    thought = trace.thought.lower()
    called = [call.name.strip().lower() for call in trace.calls]
    return np.array([*_tools(trace, thought, set(called)), *_values(trace, thought)], dtype=float)


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    name: str


def _tools(trace: Trace, thought: str, called: set[str]) -> ToolFeatures:
    others = {tool.name.lower() for tool in trace.tools} - called
    spans = sentences(trace.thought if len(thought) == len(trace.thought) else thought)
    starts = [start for start, _ in spans]
    mentions = sorted(
        (found for name in sorted(called | others) for found in _mentions(name, thought)),
        key=lambda mention: (mention.start, -mention.end),
    )
    kept: list[_Mention] = []
    for mention in mentions:  # of names inside of names, the longest
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    crowd: dict[int, set[str]] = {}
    affirmed, last_affirmed = set(), None
    negated: dict[str, list[bool]] = {}
    for mention in kept:
        number = max(0, bisect_right(starts, mention.start) - 1)
        crowd.setdefault(number, set()).add(mention.name)
        start, end = spans[number] if spans else (0, len(thought))
        before = thought[max(start, mention.start - 60) : mention.start]
        after = thought[mention.end : min(end, mention.end + 60)]
        says_no = NEGATION.search(before) is not None or NEGATION.search(after[:25]) is not None
        negated.setdefault(mention.name, []).append(says_no)
        if not says_no and (_INTENT.search(before) or _INTENT.search(after)):
            affirmed.add(mention.name)
            last_affirmed = mention.name
    names = [mention.name for mention in kept]
    ours = [name in called for name in names]
    about = {tool.name.lower(): _about(tool, thought) for tool in trace.tools}
    return ToolFeatures(
        called_named=share(name in names for name in called),
        called_share=share(ours, 0.5),
        called_first=float(ours[0]) if ours else 0.5,
        called_last=float(ours[-1]) if ours else 0.5,
        called_affirmed=share(name in affirmed for name in called),
        called_negated=share((no for name in called for no in negated.get(name, ())), 0.0),
        last_negated=float(any(negated[name][-1] for name in called if name in negated)),
        others_named=share((name in names for name in others), 0.0),
        others_affirmed=share((name in affirmed for name in others), 0.0),
        others_last=float(last_affirmed is not None and last_affirmed in others),
        crowded=float(np.log1p(max((len(found) for found in crowd.values()), default=0))),
        has_others=float(bool(others)),
        unknown_identifiers=_unknown(trace),
        about_called=float(np.mean([about.get(name, 0.0) for name in called])) if called else 0.5,
        about_others=max((about[name] for name in others if name in about), default=0.0),
    )


def _mentions(name: str, thought: str) -> list[_Mention]:
    """Where the name occurs as a whole word, as written or with its separators as spaces."""
    found = []
    for spelling in dict.fromkeys((name, words(name))):
        if len(spelling) >= 2:
            found += [_Mention(start, start + len(spelling), name) for start in places_of(spelling, thought, _MENTIONS)]
    return found


def _about(tool: ToolText, thought: str) -> float:
    own = set(_CONTENT.findall(f"{words(tool.name)} {tool.description}".lower()))
    return share(word in thought for word in own)


def _unknown(trace: Trace) -> float:
    found = {item.lower() for item in _IDENTIFIER.findall(trace.thought)[:200]}
    known = " ".join(
        [
            trace.question,
            *(call.name for call in trace.calls),
            *(f"{key} {value_text(v)}" for key, v in leaves(trace.calls)),
        ]
        + [f"{tool.name} {' '.join(tool.parameters)} {tool.description} {tool.constants}" for tool in trace.tools]
    ).lower()
    return share((item not in known for item in found), 0.0)


def _values(trace: Trace, thought: str) -> ValueFeatures:
    pairs = leaves(trace.calls)
    question = trace.question.lower()
    constants = " ".join(tool.constants for tool in trace.tools).lower()
    texts = [value_text(value).strip().lower() for _, value in pairs]
    thought_numbers, question_numbers = numbers_of(thought), numbers_of(question)
    in_thought = [_traced(text, thought, thought_numbers) for text in texts]
    in_question = [_traced(text, question, question_numbers) for text in texts]
    constant = [bool(text) and bool(places_of(text, constants, 1)) for text in texts]
    keys = list(dict.fromkeys(key.lower() for key, _ in pairs))
    key_places = {
        key: sorted({*places_of(key, thought, _PLACES), *places_of(words(key), thought, _PLACES)}) for key in keys
    }
    called = {call.name.strip().lower() for call in trace.calls}
    schema = {name.lower() for tool in trace.tools if tool.name.lower() in called for name in tool.parameters}
    spoken = {name for name in schema if len(name) > 1 and places_of(name, thought, 1)}
    given = {str(name).lower() for call in trace.calls for name in call.arguments}
    literals = _literals(trace.thought)
    held = " ".join(texts)
    held_numbers = numbers_of(held)
    known = " ".join(
        [question, held, constants, *(f"{t.name} {t.description} {' '.join(t.parameters)}" for t in trace.tools)]
    )
    known, known_numbers = known.lower(), numbers_of(known.lower())
    in_calls = [_known(item, held, held_numbers) for item in literals]
    asked = [_known(item, question, question_numbers) for item in literals]
    return ValueFeatures(
        in_thought=mean(in_thought, 1.0 if not trace.calls else 0.5),
        in_thought_least=min(in_thought, default=0.5),
        in_question=mean(in_question, 0.5),
        in_question_least=min(in_question, default=0.5),
        untraced=share(
            (max(a, b) < 0.5 and not c for a, b, c in zip(in_thought, in_question, constant, strict=True)), 0.0
        ),
        question_not_thought=share((b > 0.99 and a < 0.5 for a, b in zip(in_thought, in_question, strict=True)), 0.0),
        keys_named=share((bool(places) for places in key_places.values()), 0.5),
        misplaced=_misplaced(pairs, texts, key_places, thought),
        missing_keys=share((name not in given for name in spoken), 0.0),
        unused=share((not used for used, wanted in zip(in_calls, asked, strict=True) if wanted), 0.0),
        literals_known=share((_known(item, known, known_numbers) for item in literals), 1.0),
        literals_called=share(in_calls, 0.5),
        negated_values=share((_last_negated(text, thought) for text in texts), 0.0),
    )


def _traced(text: str, where: str, numbers: frozenset[float]) -> float:
    """1 where the text holds the value, as itself or as another spelling of its number; else its share of words."""
    if not text:
        return 1.0
    if text in _YES:
        return float(any(word in where for word in _YES[text]))
    if places_of(text, where, 1):
        return 1.0
    number = as_number(text)
    if number is not None:
        return float(number in numbers)
    parts = _CONTENT.findall(text)[:20]
    return 0.8 * share((bool(places_of(part, where, 1)) for part in parts), 0.0)


def _literals(text: str) -> list[str]:
    """What a thought quotes or takes over: numbers, quoted texts, names; lower case, each once, at most 60."""
    found = [match.group() for match in NUMBER.finditer(text)]
    found += [one or two for one, two in QUOTED.findall(text)]
    found += [match.group() for match in PROPER.finditer(text)]
    return list(dict.fromkeys(item.strip().lower() for item in found if item.strip()))[:60]


def _known(literal: str, where: str, numbers: frozenset[float]) -> bool:
    number = as_number(literal)
    return number in numbers if number is not None else literal in where


def _misplaced(
    pairs: Sequence[tuple[str, object]], texts: Sequence[str], key_places: dict[str, list[int]], thought: str
) -> float:
    """Share of the values with a place near a key's name, whose nearest key is not their own; 0 for fewer than two keys."""
    if len(key_places) < 2:
        return 0.0
    wrong = []
    for (key, _), text in zip(pairs, texts, strict=True):
        places = places_of(text, thought, _PLACES) if len(text) > 0 and text not in _YES else []
        own = key_places[key.lower()]
        if not places or not own:
            continue
        others = [place for other, found in key_places.items() if other != key.lower() for place in found]
        if not others:
            continue
        wrong.append(_nearest(places, others) < _nearest(places, own))
    return share(wrong, 0.0)


def _nearest(places: Sequence[int], keys: Sequence[int]) -> float:
    """The least distance from a key to a value; a value usually follows its key, so before it counts double."""
    return float(min(value - key if value >= key else 2 * (key - value) for value in places for key in keys))


def _last_negated(text: str, thought: str) -> bool:
    places = places_of(text, thought, _MENTIONS) if text and text not in _YES else []
    return bool(places) and NEGATION.search(thought[max(0, places[-1] - 30) : places[-1]]) is not None
