"""One value per asyncio event loop: futures, timers and client sessions must not cross loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from reward_models.options import plain

T = TypeVar("T")


class PerLoop(Generic[T]):
    """A cache keyed by (running loop, key).

    The values of closed loops are dropped at the next `get`: a program that calls `asyncio.run` again and again keeps
    the values of one dead loop at most.
    """

    def __init__(self) -> None:
        self._values: dict[asyncio.AbstractEventLoop, dict[Hashable, T]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the running loop's value for `key`, made by `make()` at first; RuntimeError outside of a loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._values:
            for other in [other for other in self._values if other.is_closed()]:
                self._values.pop(other, None)
            self._values[loop] = {}
        values = self._values[loop]
        if key not in values:
            values[key] = make()
        return values[key]

    def of_running_loop(self) -> list[T]:
        """The values that the running loop has made so far."""
        return list(self._values.get(asyncio.get_running_loop(), {}).values())


def options_key(value: Any) -> Hashable:
    """A key for options, in plain containers or in omegaconf's; unlike the values themselves, true, 1 and 1.0 are three."""
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is dict:
        return dict, tuple([(name, item if type(item) is str else options_key(item)) for name, item in value.items()])
    if kind in (list, tuple):
        return list, tuple(map(options_key, value))
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes):
        return options_key(plain(value))
    return kind, value if isinstance(value, Hashable) else repr(value)
