"""When a call is right by the rules of BFCL's AST checker: types first, then the acceptable values of each argument.

The rules are those of `bfcl-eval` 2026.3.23; where this is stricter or kinder on purpose, docs/verifier_ast.md says so.
Nothing here reads a row or a response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from reward_models.verifiers.compare import bfcl_string


class AstCode(str, Enum):
    """The verdict on a list of calls, and what is wrong with one call; ACCEPTED stands alone."""

    ACCEPTED = "accepted"
    WRONG_COUNT = "wrong_count"
    NO_MATCH = "no_match"  # several calls, and no way to pair each expected one with a right one
    WRONG_NAME = "wrong_name"
    MISSING_REQUIRED = "missing_required"
    UNEXPECTED_PARAM = "unexpected_param"
    TYPE_ERROR = "type_error"
    ITEM_TYPE_ERROR = "item_type_error"
    VALUE_ERROR = "value_error"
    MISSING_OPTIONAL = "missing_optional"  # not required by the tool, but every acceptable answer gives it


def _same(given: Any, wanted: Any) -> bool:
    """Python's `==`, but True is no 1; 1 equals 1.0, a tuple no list. No deeper than `wanted`, which the row gives."""
    if type(wanted) in (int, float):
        return type(given) in (int, float) and given == wanted
    if type(given) is not type(wanted):
        return False
    if type(wanted) is list:
        return len(given) == len(wanted) and all(map(_same, given, wanted))
    if type(wanted) is dict:
        return given.keys() == wanted.keys() and all(_same(given[key], value) for key, value in wanted.items())
    return given == wanted


@dataclass(frozen=True)
class Values:
    """Acceptable values of an argument or of a dict's field; "" among them says that it may be left out."""

    plain: tuple[Any, ...]
    texts: frozenset[str]

    @classmethod
    def read(cls, values: Any) -> Values:
        # One of BFCL's answers has a bare value where a list of one is meant.
        values = tuple(values) if isinstance(values, list) else (values,)
        return cls(values, frozenset(bfcl_string(value) for value in values if isinstance(value, str)))

    @property
    def optional(self) -> bool:
        return "" in self.plain

    def accept_plain(self, value: Any) -> bool:
        """Whether one of them is the value, strings character by character."""
        return any(_same(value, wanted) for wanted in self.plain)

    def accept(self, value: Any) -> bool:
        """Whether one of them is the value, a string without regard to case, spaces and some punctuation."""
        return bfcl_string(value) in self.texts if type(value) is str else self.accept_plain(value)


Fields = Mapping[str, Values]


def _fit_list(lists: tuple[list[Any], ...], value: list[Any]) -> bool:
    normalised = _normalised(value)
    return any(_same(normalised, wanted) for wanted in lists)


def _normalised(items: list[Any]) -> list[Any]:
    return [bfcl_string(item) if type(item) is str else item for item in items]


def _fit_dict(alternatives: tuple[Fields, ...], value: Any) -> bool:
    return type(value) is dict and any(_fit_fields(fields, value) for fields in alternatives)


def _fit_dicts(alternatives: tuple[tuple[Fields, ...], ...], value: list[Any]) -> bool:
    return any(
        len(value) == len(wanted)
        and all(_fit_dict((fields,), item) for fields, item in zip(wanted, value, strict=True))
        for wanted in alternatives
    )


def _fit_fields(fields: Fields, value: dict[str, Any]) -> bool:
    return all(key in fields and fields[key].accept(item) for key, item in value.items()) and all(
        key in value or wanted.optional for key, wanted in fields.items()
    )


@dataclass(frozen=True)
class Argument:
    """What one argument may be.

    `type` is the tool's, `answer_type` that of the first acceptable value: a value may have either, since BFCL writes a
    variable's name as a string. `item_types` has one pair (the tool's, the first item's) for each acceptable list, and
    is None where any items pass the type check. `read` turns a Java or JavaScript text into a value.
    """

    type: type
    answer_type: type | None
    item_types: tuple[tuple[type | None, ...], ...] | None
    from_tuple: bool
    accepts: Callable[[Any], bool]
    read: Callable[[str], Any] | None

    def check(self, value: Any) -> AstCode | None:
        """What is wrong with the value; None where it is right."""
        if self.read is not None:
            if type(value) is not str:
                return AstCode.TYPE_ERROR
            value = self.read(value)
        elif self.from_tuple and type(value) is tuple:
            value = list(value)
        given = type(value)
        if given is self.type or (given is int and self.type is float):
            if given is list and not self._items_fit(value):
                return AstCode.ITEM_TYPE_ERROR
        elif given is not self.answer_type:
            return AstCode.TYPE_ERROR
        return None if self.accepts(value) else AstCode.VALUE_ERROR

    def _items_fit(self, value: list[Any]) -> bool:
        return self.item_types is None or any(all(type(item) in types for item in value) for types in self.item_types)


@dataclass(frozen=True)
class AstCall:
    """One expected call: `required` are the tool's required arguments, `arguments` those that an answer may give."""

    name: str
    required: tuple[str, ...]
    arguments: Mapping[str, Argument]
    must_give: tuple[str, ...]

    def check(self, name: str, arguments: Mapping[str, Any]) -> AstCode | None:
        """The first thing that is wrong with a call, in BFCL's order; None where it is right."""
        if name != self.name:
            return AstCode.WRONG_NAME
        if any(required not in arguments for required in self.required):
            return AstCode.MISSING_REQUIRED
        for argument, value in arguments.items():
            if argument not in self.arguments:
                return AstCode.UNEXPECTED_PARAM
            problem = self.arguments[argument].check(value)
            if problem is not None:
                return problem
        if any(argument not in arguments for argument in self.must_give):
            return AstCode.MISSING_OPTIONAL
        return None


def item_types(item_type: type | None, values: Values) -> tuple[tuple[type | None, ...], ...] | None:
    """`Argument.item_types`: of each acceptable list the types that its items may have."""
    # A "" among the values turns BFCL's check of the items off.
    if any(not isinstance(value, list) for value in values.plain):
        return None
    return tuple((item_type, next((type(item) for item in value if item != ""), None)) for value in values.plain)


def comparison(values: Values, own_type: type, item_type: type | None, variable: bool) -> Callable[[Any], bool]:
    """How values are compared once their type is right; where the answer is a variable, as they stand."""
    if variable:
        return values.accept_plain
    # "" says that the argument may be left out; for a list BFCL takes the empty list for the same.
    lists = [[] if value == "" else value for value in values.plain if value == "" or isinstance(value, list)]
    if own_type is dict:
        return partial(_fit_dict, tuple(_read_fields(value) for value in values.plain if isinstance(value, dict)))
    if own_type is list and item_type is dict:
        dicts = [value for value in lists if all(isinstance(item, dict) for item in value)]
        return partial(_fit_dicts, tuple(tuple(map(_read_fields, value)) for value in dicts))
    if own_type is list:
        return partial(_fit_list, tuple(map(_normalised, lists)))
    return values.accept


def _read_fields(fields: dict[str, Any]) -> Fields:
    return {key: Values.read(values) for key, values in fields.items()}
