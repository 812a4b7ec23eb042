"""The small interface that all judges share."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from reward_models.types import JudgeNotReadyError, Rollout, Verdict

__all__ = ["Judge", "JudgeNotReadyError"]


class Judge(ABC):
    """Scores the reasoning of rollouts.

    A constructor validates its own options (ValueError naming key, value and what is allowed) and neither loads nor
    connects: a judge is built on the driver too, only to be checked.

    A judge that can also compare two rollouts is a `Comparer`.
    """

    needs_group = False  # whether a rollout must say which group it belongs to, see llm_group/siblings.py
    preflight_s: float | None = None  # the longest that `preflight` may take; None: the caller's limit
    criteria: tuple[str, ...] = ()  # names of the parts of a score, each a column `criterion_<name>`
    folder: Path | None = None  # of a learned judge: it says which sources were trained on

    @abstractmethod
    async def score(self, rollout: Rollout) -> Verdict:
        """The verdict on one rollout.

        A failure is an `Unscored`, never an exception. Many calls run at a time in one event loop, so a judge must not
        block it. One that is cheaper in batches gathers concurrent calls itself, see `batching.MicroBatcher`.
        """

    def check(self) -> None:  # noqa: B027  (a hook: a judge may need nothing)
        """Raise JudgeNotReadyError where packages or files are missing; loads no weights, opens no connection."""

    async def preflight(self) -> None:  # noqa: B027  (a hook: a judge may need nothing)
        """As `check`, but may open connections: JudgeNotReadyError where what the judge needs does not answer rightly."""

    async def aclose(self) -> None:  # noqa: B027  (a hook: a judge may hold nothing)
        """Release threads and connections; a judge scores nothing after that. May be called more than once."""


@runtime_checkable
class Comparer(Protocol):
    """A judge that can say which of two rollouts reasons better."""

    async def compare(self, first: Rollout, second: Rollout) -> Verdict:
        """Scored(1.0) where the first reasons better, 0.5 for a tie, 0.0 where the second does.

        Asked in this order only: a model may favour a position, so callers ask in both.
        """


async def score_all(judge: Judge, rollouts: Sequence[Rollout]) -> list[Verdict]:
    """The verdicts on several rollouts, in order, asked for at the same time; raises what the judge raises."""
    return list(await asyncio.gather(*(judge.score(rollout) for rollout in rollouts)))
