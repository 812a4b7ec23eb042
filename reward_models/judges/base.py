"""The small interface that all judges share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from reward_models.types import JudgeNotReadyError, Rollout, Verdict

__all__ = ["Judge", "JudgeNotReadyError"]


class Judge(ABC):
    """Scores the reasoning of rollouts.

    A constructor validates its own options (ValueError naming key, value and what is allowed) and neither loads nor
    connects: a judge is built on the driver too, only to be checked.

    A judge may also have `async def compare(first: Rollout, second: Rollout) -> Verdict`: Scored(1.0) where the first
    reasons better, 0.5 for a tie, 0.0 where the second does, asked in this order only.
    """

    needs_group = False  # whether a rollout must say which group it belongs to, see group/place.py

    @abstractmethod
    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in order; [] for none.

        A failure is an `Unscored`, never an exception. verl calls this once per sample, many at a time in one event
        loop, so a judge must not block the loop and should gather concurrent calls where that is cheaper.
        """

    def check(self) -> None:  # noqa: B027  (a hook: a judge may need nothing)
        """Raise JudgeNotReadyError where packages or files are missing; loads no weights, opens no connection."""

    async def preflight(self) -> None:  # noqa: B027  (a hook: a judge may need nothing)
        """As `check`, but may open connections: JudgeNotReadyError where what the judge needs does not answer rightly."""

    async def aclose(self) -> None:  # noqa: B027  (a hook: a judge may hold nothing)
        """Release threads and connections; a judge scores nothing after that. May be called more than once."""
