"""Which group a rollout belongs to: a reserved key of `extra_info`, written by whoever knows, as the reward manager does.

In `extra_info` and not in a context variable: it is plain data that any reward function can read, goes through threads
and executors, and is seen in a log. One nested key, so that no column of a data set and no seed changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

GROUP_KEY = "awpo_group"


@dataclass(frozen=True)
class Place:
    """uid: of the prompt in its step; session: of the rollout among its siblings; size: of the whole group, or None."""

    uid: str
    session: str
    size: int | None

    def write(self, extra_info: Mapping[str, Any] | None) -> dict[str, Any]:
        """A copy of `extra_info` with this place, whatever it held under that key."""
        return {**(extra_info or {}), GROUP_KEY: asdict(self)}


def read_place(extra_info: Mapping[str, Any]) -> Place | None:
    """The place that `Place.write` wrote, None where there is none that can be read."""
    found = extra_info.get(GROUP_KEY)
    if not isinstance(found, Mapping) or not found.get("uid") or found.get("session") is None:
        return None
    size = found.get("size")
    known = isinstance(size, int) and not isinstance(size, bool) and size > 0
    return Place(str(found["uid"]), str(found["session"]), size if known else None)
