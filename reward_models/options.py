"""Options as frozen dataclasses whose annotations say what each field allows, so that a refusal names key and value.

@dataclass(frozen=True)
class TrialConfig(Options, owner="judge 'trial'"):
    mode: Literal["fast", "exact"] = "fast"
    share: Annotated[float, Range(0, 1)] = 0.5
    model: Annotated[str | None, Text("a folder, or null")] = None

TrialConfig.read({"share": 2})  # ValueError: judge 'trial': share=2 must be a number in [0, 1]
"""

from __future__ import annotations

import difflib
import functools
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Config = TypeVar("Config", bound="Options")

WRONG_TYPE, OUT_OF_RANGE, UNKNOWN, EMPTY = "has the wrong type", "is out of range", "is unknown", "is empty"


@dataclass(frozen=True, eq=False)  # typing holds equal annotations for one, and 0 is 0.0
class Range:
    """The numbers from `low` to `high`; `ends` says which end belongs to it, as in "[)". NaN never does."""

    low: float
    high: float
    ends: Literal["[]", "()", "[)", "(]"] = "[]"

    def __contains__(self, number: float) -> bool:
        above = self.low <= number if self.ends[0] == "[" else self.low < number
        return above and (number <= self.high if self.ends[1] == "]" else number < self.high)

    def __str__(self) -> str:
        return f"{self.ends[0]}{self.low}, {self.high}{self.ends[1]}"


@dataclass(frozen=True)
class OneOf:
    """One of `names`, for names that are known only at run time; `Literal` serves otherwise."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A text that is not blank. `allowed` completes "must be ..."."""

    allowed: str = "a text that is not empty"


@dataclass(frozen=True)
class NotEmpty:
    """A tuple with at least one item."""


class Misfit(ValueError):
    """A value that its annotation does not allow: `fault` is one of the module's four, `allowed` what would do."""

    def __init__(self, fault: str, value: Any, allowed: str | tuple[str, ...]) -> None:
        super().__init__(fault, value, allowed)
        self.fault, self.value, self.allowed = fault, value, allowed


def fit(kind: Any, value: Any) -> Any:
    """`value` as the annotation `kind` allows it, or Misfit.

    bool; int and float, a bool is not a number, and an int is accepted for a float; str, not empty; Mapping; Literal;
    `X | None`; `tuple[X, Y]` and `tuple[X, ...]`, which accept any sequence, the second also one X.
    `Annotated` adds Range, OneOf, Text or NotEmpty, and for tuples and mappings the words that complete "must be ...".
    A value with any other annotation, such as `str | int`, is returned as it is.
    """
    return _fit(kind, (), value)


def _fit(kind: Any, rules: tuple[Any, ...], value: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _fit(inner[0], (*rules, *inner[1:]), value)
    if origin in (Union, types.UnionType):
        kinds = [item for item in inner if item is not type(None)]
        unchecked = len(kinds) > 1 or (value is None and len(kinds) < len(inner))
        return value if unchecked else _fit(kinds[0], rules, value)
    if origin is tuple:
        return _fit_tuple(inner, rules, value)
    if origin is Literal:
        return _fit_choice(inner, value)
    if kind is str:
        return _fit_text(rules, value)
    if kind in (int, float):
        return _fit_number(kind, rules, value)
    for known, allowed in ((bool, "true or false"), (Mapping, "a mapping")):
        if known in (kind, origin) and not isinstance(value, known):
            raise Misfit(WRONG_TYPE, value, _phrase(rules, allowed))
    return value


def _fit_tuple(kinds: tuple[Any, ...], rules: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if kinds[1:] == (...,):
        values = value if is_list else (value,)
        kinds = (kinds[0],) * len(values)
    elif not is_list or len(value) != len(kinds):
        raise Misfit(WRONG_TYPE, value, _phrase(rules, f"a list of {len(kinds)}"))
    else:
        values = value
    if not values and any(isinstance(rule, NotEmpty) for rule in rules):
        raise Misfit(EMPTY, value, "give at least one value")
    return tuple(_fit(kind, rules, item) for kind, item in zip(kinds, values, strict=True))


def _phrase(rules: tuple[Any, ...], allowed: str) -> str:
    """What completes "must be ...": a plain text among the rules, else `allowed`."""
    return next((rule for rule in rules if isinstance(rule, str)), allowed)


def _fit_choice(names: tuple[str, ...], value: Any) -> Any:
    if value not in names:
        raise Misfit(UNKNOWN, value, names)
    return value


def _fit_text(rules: tuple[Any, ...], value: Any) -> str:
    for rule in rules:
        if isinstance(rule, OneOf):
            return _fit_choice(rule.names, value)
        if isinstance(rule, Text) and not (isinstance(value, str) and value.strip()):
            raise Misfit(WRONG_TYPE, value, rule.allowed)
    if not (isinstance(value, str) and value):
        raise Misfit(WRONG_TYPE, value, Text.allowed)
    return value


def _fit_number(kind: type, rules: tuple[Any, ...], value: Any) -> float:
    range_ = next((rule for rule in rules if isinstance(rule, Range)), None)
    allowed = ("an integer" if kind is int else "a number") + (f" in {range_}" if range_ else "")
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise Misfit(WRONG_TYPE, value, allowed)
    try:
        number = kind(value)
    except OverflowError:  # an int beyond every float
        raise Misfit(OUT_OF_RANGE, value, allowed) from None
    if range_ is not None and number not in range_:
        raise Misfit(OUT_OF_RANGE, value, allowed)
    return number


def kinds_of(config: type[Any]) -> dict[str, Any]:
    """Field -> annotation of a dataclass, evaluated, in the order of the fields."""
    return _kinds_of(config)  # type: ignore[arg-type]  # seen as unhashable


@functools.cache
def _kinds_of(config: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(config, include_extras=True)
    return {field.name: hints[field.name] for field in fields(config)}


class Options:
    """Base of a frozen dataclass of options: its fields are checked, and made to fit, as soon as it is made.

    `owner` starts each message. A rule between fields goes into the subclass's `__post_init__`, after super's. A
    message or an error of your own: override `refusal`.
    """

    owner: ClassVar[str] = ""

    def __init_subclass__(cls, *, owner: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.owner = owner or cls.owner

    def __post_init__(self) -> None:
        for key, kind in kinds_of(type(self)).items():
            given = getattr(self, key)
            try:
                fitted = fit(kind, given)
            except Misfit as misfit:
                raise self.refusal(key, misfit) from None
            if fitted is not given:
                object.__setattr__(self, key, fitted)

    @classmethod
    def refusal(cls, key: str, misfit: Misfit) -> ValueError:
        return ValueError(_refusal(cls.owner, key, misfit))

    @classmethod
    def read(cls: type[Config], options: Mapping[str, Any], owner: str = "") -> Config:
        """Build from `options`; ValueError names the first key that is not a field."""
        refuse_unknown(options, list(kinds_of(cls)), owner or cls.owner)
        return cls(**options)


def require(owner: str, key: str, value: Any, kind: Any) -> Any:
    """`fit` for a value that is not a field of `Options`; ValueError names owner, key, value and what is allowed."""
    try:
        return fit(kind, value)
    except Misfit as misfit:
        raise ValueError(_refusal(owner, key, misfit)) from None


def _refusal(owner: str, key: str, misfit: Misfit) -> str:
    shown = f"{owner}: {key}={misfit.value!r}"
    if misfit.fault == UNKNOWN:
        return f"{shown} is not known; known: {', '.join(misfit.allowed)}"
    return f"{shown} is empty; {misfit.allowed}" if misfit.fault == EMPTY else f"{shown} must be {misfit.allowed}"


def refuse_unknown(options: Mapping[str, Any], known: Sequence[str], owner: str) -> None:
    """Raise ValueError that names the first key of `options` which is not in `known`, and the known ones.

    Not its value: what an unknown key holds may be a secret.
    """
    for key in options:
        if key not in known:
            allowed = ", ".join(sorted(known)) or "(none)"
            raise ValueError(f"{owner}: unknown key {key!r}; {did_you_mean(key, known)}known keys: {allowed}")


def did_you_mean(key: Any, known: Sequence[str]) -> str:
    """ "did you mean 'x'? " for the nearest of `known`; "" where none is near."""
    near = difflib.get_close_matches(str(key), known, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def plain(value: Any) -> Any:
    """Copy nested mappings and sequences to dicts and lists.

    omegaconf's containers implement the standard ABCs, so DictConfig is covered without importing omegaconf.
    """
    if value is None or isinstance(value, (str, bytes, int, float)):  # most of them, and the ABCs below are slow
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value
