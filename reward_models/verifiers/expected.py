"""The calls that a row expects, read from any of the forms that data sets write, alternatives included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reward_models.types import Rollout


@dataclass(frozen=True)
class ExpectedObject:
    """An object with alternatives inside: `fields` gives each field's acceptable values, `optional` fields may be absent.

    Stands among the acceptable values of an argument, alone or as an item of a list, where BFCL nests its alternatives.
    """

    fields: dict[str, tuple[Any, ...]]
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ExpectedCall:
    """One expected call: the acceptable values of each argument, at least one; `optional` ones may be left out.

    A value is JSON data, or holds `ExpectedObject` in place of a dict. A "" that BFCL uses to mark an optional argument
    stays among its values.
    """

    name: str
    arguments: dict[str, tuple[Any, ...]]
    optional: frozenset[str] = frozenset()


def read_expected(rollout: Rollout) -> tuple[ExpectedCall, ...]:
    """The calls that the row expects; () where it expects an answer without a call."""
    raise NotImplementedError
