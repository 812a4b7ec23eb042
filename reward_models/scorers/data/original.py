"""An honest trace, and what a corruption of it may draw from."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reward_models.parsing import ToolCall
from reward_models.scorers.features.trace import ToolText


@dataclass(frozen=True)
class Original:
    """An honest trace with its whole texts, not cut. `calls` may be empty (a plain answer)."""

    source: str
    question: str
    tools: tuple[ToolText, ...]
    thought: str
    calls: tuple[ToolCall, ...]
    answer: str | None


Writer = Callable[[Original, random.Random], str | None]
"""Writes an honest thought for the calls of a row; None where it cannot."""


@dataclass(frozen=True)
class Context:
    """What a corruption may draw from: rows of the same split, and phrases of the same half ("train" or "eval")."""

    others: Sequence[Original]  # never the row itself
    nearest: Original  # of `others`, the one whose request is nearest
    half: str
    rng: random.Random
    write: Writer | None = None  # None: honest thoughts are recorded, nobody writes them

    def pick(self, pool: Mapping[str, Sequence[str]]) -> str:
        return self.rng.choice(pool[self.half])
