"""Values of tools as JSON that keeps their types, so that they can leave the sandbox and be compared outside of it.

None, bool, int, float and str stay as they are; everything else becomes a list that starts with its kind:
["list", items..], ["tuple", items..], ["set", items..], ["dict", [key, value]..], ["bytes", hex], ["int", hex] beyond
64 bits, ["object", class, [attribute, value]..] with the public attributes or, without such, ["object", class, repr],
["ancestor", levels up] for a cycle. Numpy's arrays and scalars are what their `tolist` gives. Sets and dicts are sorted,
so equal ones have equal forms.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

MAX_NODES = 200_000
MAX_DEPTH = 64

_SMALL = 1 << 63


class NotComparable(ValueError):
    """A value that has no comparable form: too large, too deep, or a thing such as a generator or a function."""


def snapshot(value: Any) -> Any:
    """The JSON form of `value`; NotComparable where it has none."""
    return _Encoder().encode(value)


def public_state(instance: Any) -> Any:
    """The form of an object's attributes whose names do not start with an underscore."""
    return snapshot({name: value for name, value in vars(instance).items() if not name.startswith("_")})


class _Encoder:
    def __init__(self) -> None:
        self.nodes = 0
        self.ancestors: list[int] = []

    def encode(self, value: Any) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise NotComparable(f"more than {MAX_NODES} values")
        kind = type(value)
        if value is None or kind in (bool, float, str):
            return value
        if kind is int:
            return value if -_SMALL <= value < _SMALL else ["int", hex(value)]
        if kind in (bytes, bytearray):
            return ["bytes", value.hex()]
        if isinstance(value, Enum):
            return ["object", _name(kind), ["name", value.name]]
        if id(value) in self.ancestors:
            return ["ancestor", len(self.ancestors) - self.ancestors.index(id(value))]
        if len(self.ancestors) == MAX_DEPTH:
            raise NotComparable(f"nested deeper than {MAX_DEPTH} levels")
        self.ancestors.append(id(value))
        try:
            return self._container(value)
        finally:
            self.ancestors.pop()

    def _container(self, value: Any) -> list[Any]:
        if isinstance(value, list):
            return ["list", *map(self.encode, value)]
        if isinstance(value, tuple):
            return ["tuple", *map(self.encode, value)]
        if isinstance(value, (set, frozenset)):
            return ["set", *_sorted(map(self.encode, value))]
        if isinstance(value, Mapping):
            return ["dict", *_sorted([self.encode(key), self.encode(item)] for key, item in value.items())]
        if isinstance(value, type) or callable(value) or hasattr(value, "__next__"):
            raise NotComparable(f"a {type(value).__name__} cannot be compared")
        if hasattr(value, "tolist"):
            return self.encode(value.tolist())
        for plain in (int, float, str):
            if isinstance(value, plain):
                return self.encode(plain(value))
        return ["object", _name(type(value)), *self._attributes(value)]

    def _attributes(self, value: Any) -> list[Any]:
        attributes = _attributes_of(value)
        public = {name: item for name, item in attributes.items() if not name.startswith("_")}
        if public:
            return _sorted([name, self.encode(item)] for name, item in public.items())
        if type(value).__repr__ is not object.__repr__:  # dates, decimals, paths
            return [repr(value)]
        if attributes:
            raise NotComparable(f"a {type(value).__name__} has neither public attributes nor a repr of its own")
        return []


def _attributes_of(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in _listed(kind.__dict__.get("__slots__", ()))]
    attributes = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**attributes, **getattr(value, "__dict__", {})}


def _listed(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else list(slots)


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=_rank)


def _rank(form: Any) -> tuple[float, str]:
    # Numbers by size, so that those that differ within a tolerance keep their places.
    number = form[0] if type(form) is list and form and type(form[0]) in (int, float) else form
    by_size = type(number) in (int, float) and not math.isnan(number)
    return (float(number) if by_size else -math.inf, json.dumps(form))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def same(left: Any, right: Any, tolerance: float = 0.0) -> bool:
    """Whether two forms are equal: by type, but an int equals a float of its value, and NaN equals NaN.

    Numbers may differ by `tolerance`, relative to the larger one or absolute. A bool is not a number.
    """
    if type(left) in (int, float) and type(right) in (int, float):
        return _same_number(left, right, tolerance)
    if type(left) is not type(right):
        return False
    if type(left) is list:
        return len(left) == len(right) and all(same(a, b, tolerance) for a, b in zip(left, right, strict=True))
    return left == right


def _same_number(left: float, right: float, tolerance: float) -> bool:
    if left == right:
        return True
    if type(left) is int and type(right) is int and not tolerance:
        return False
    if math.isnan(left) and math.isnan(right):
        return True
    return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
