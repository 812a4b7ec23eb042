"""Checks on the keyword options of judges and verifiers, so that each refusal names key, value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

Config = TypeVar("Config")


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


def read_config(config_class: type[Config], options: Mapping[str, Any], owner: str) -> Config:
    """Build the dataclass `config_class` from `options`; ValueError names the first key it does not have."""
    known = [field.name for field in fields(config_class)]
    refuse_unknown(options, known, owner)
    return config_class(**options)


def refuse_unknown(options: Mapping[str, Any], known: Sequence[str], owner: str) -> None:
    """Raise ValueError that names the first key of `options` which is not in `known`, its value, and the known ones."""
    for key, value in options.items():
        if key not in known:
            allowed = ", ".join(sorted(known)) or "(none)"
            raise ValueError(f"{owner}: unknown key {key!r} (value {value!r}); known keys: {allowed}")


def require_number(owner: str, key: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    """Raise ValueError unless `value` is a finite number (an int where `whole`) in [low, high]; bool is no number."""
    types = (int,) if whole else (int, float)
    if isinstance(value, types) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
        return
    kind = "an integer" if whole else "a number"
    raise ValueError(f"{owner}: {key}={value!r} must be {kind} in [{low}, {high}]")


def require_numbers(owner: str, config: Any, limits: Mapping[str, tuple[float, float]], *, whole: bool = False) -> None:
    """`require_number` for attributes of `config`: limits has (low, high) by attribute."""
    for key, (low, high) in limits.items():
        require_number(owner, key, getattr(config, key), low, high, whole=whole)
