"""Typed deep comparison of a given JSON value with an expected one. Python's `==` is not it: there True == 1 == 1.0.

A bool equals a bool only, an int a float only where the schema says `number`, strings are equal character by character
unless a normalisation is asked for, lists (and tuples) keep their order, objects are compared by key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from reward_models.verifiers.expected import ExpectedObject

MAX_DEPTH = 64

Normalise = Callable[[str], str]


class Difference(str, Enum):
    """What is wrong with a value, from the nearest miss to the farthest; EQUAL is none."""

    EQUAL = "equal"
    WRONG_VALUE = "wrong_value"
    WRONG_LENGTH = "wrong_length"
    WRONG_KEYS = "wrong_keys"
    WRONG_TYPE = "wrong_type"
    TOO_DEEP = "value_too_deep"


_FARNESS = {difference: place for place, difference in enumerate(Difference)}
EQUAL, WRONG_VALUE, WRONG_TYPE = Difference.EQUAL, Difference.WRONG_VALUE, Difference.WRONG_TYPE


@dataclass(slots=True)
class Shape:
    """What a comparison needs of a JSON schema: where it says `number`. Recursive schemas give cyclic shapes."""

    number: bool = False
    fields: dict[str, Shape] = field(default_factory=dict)
    other_fields: Shape | None = None
    items: Shape | None = None

    def field(self, name: str) -> Shape:
        return self.fields.get(name) or self.other_fields or ANYTHING


ANYTHING = Shape()


def compare(
    given: Any, wanted: Any, shape: Shape = ANYTHING, normalise: Normalise | None = None, depth: int = MAX_DEPTH
) -> Difference:
    """The first difference between `given` and one acceptable value, which may hold `ExpectedObject`s.

    `shape` says where the schema allows 1 for 1.0. `normalise` is applied to both strings before they are compared,
    never to keys. TOO_DEEP where both go on below `depth` levels of nesting. Linear in the smaller of the two
    (where `wanted` has nested alternatives, times their number).
    """
    kind = type(wanted)
    if kind is str:
        if type(given) is not str:
            return WRONG_TYPE
        if given == wanted or (normalise is not None and normalise(given) == normalise(wanted)):
            return EQUAL
        return WRONG_VALUE
    if kind is int or kind is float:
        if type(given) is not kind and not (shape.number and type(given) in (int, float)):
            return WRONG_TYPE
        return EQUAL if given == wanted else WRONG_VALUE
    if kind is bool or wanted is None:
        if given is wanted:
            return EQUAL
        return WRONG_VALUE if type(given) is kind else WRONG_TYPE
    # A tuple is Python's way of writing a list, in the dialect `python`.
    if not isinstance(given, (list, tuple) if kind is list else dict):
        return WRONG_TYPE
    if depth == 0:
        return Difference.TOO_DEEP
    if kind is list:
        return _compare_lists(given, wanted, shape, normalise, depth - 1)
    if kind is dict:
        return _compare_objects(given, wanted, shape, normalise, depth - 1)
    return _compare_fields(given, wanted, shape, normalise, depth - 1)


def compare_any(
    given: Any,
    accepted: tuple[Any, ...],
    shape: Shape = ANYTHING,
    normalise: Normalise | None = None,
    depth: int = MAX_DEPTH,
) -> Difference:
    """EQUAL where `given` equals one of the `accepted` values, else the difference from the nearest of them."""
    if len(accepted) == 1:
        return compare(given, accepted[0], shape, normalise, depth)
    nearest = None
    for wanted in accepted:
        difference = compare(given, wanted, shape, normalise, depth)
        if difference is EQUAL:
            return EQUAL
        if nearest is None or _FARNESS[difference] < _FARNESS[nearest]:
            nearest = difference
    return WRONG_VALUE if nearest is None else nearest


@lru_cache(maxsize=256)  # one given value meets all of its alternatives
def bfcl_string(text: str) -> str:
    """The text as BFCL compares it: lower case, double quotes, without spaces and any of `, . / - _ * ^`."""
    return text.translate(_BFCL_IGNORED).lower()


_BFCL_IGNORED = str.maketrans({**dict.fromkeys(" ,./-_*^"), "'": '"'})


def _compare_lists(
    given: list[Any] | tuple[Any, ...], wanted: list[Any], shape: Shape, normalise: Normalise | None, depth: int
) -> Difference:
    if len(given) != len(wanted):
        return Difference.WRONG_LENGTH
    items = shape.items or ANYTHING
    for left, right in zip(given, wanted, strict=True):
        difference = compare(left, right, items, normalise, depth)
        if difference is not EQUAL:
            return difference
    return EQUAL


def _compare_objects(
    given: dict[str, Any], wanted: dict[str, Any], shape: Shape, normalise: Normalise | None, depth: int
) -> Difference:
    if given.keys() != wanted.keys():
        return Difference.WRONG_KEYS
    for key, value in wanted.items():
        difference = compare(given[key], value, shape.field(key), normalise, depth)
        if difference is not EQUAL:
            return difference
    return EQUAL


def _compare_fields(
    given: dict[str, Any], wanted: ExpectedObject, shape: Shape, normalise: Normalise | None, depth: int
) -> Difference:
    if not given.keys() <= wanted.fields.keys() or not wanted.fields.keys() - wanted.optional <= given.keys():
        return Difference.WRONG_KEYS
    for key, value in given.items():
        difference = compare_any(value, wanted.fields[key], shape.field(key), normalise, depth)
        if difference is not EQUAL:
            return difference
    return EQUAL
