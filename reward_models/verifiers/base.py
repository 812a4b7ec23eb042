"""What all verifiers share: a rollout in, an `Outcome` out, by rule and without a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from reward_models.types import Rollout


@dataclass(frozen=True)
class Outcome:
    """An outcome reward in its two parts. Ranges are the verifier's; `reason` is a short code for logs and tests."""

    format: float
    correctness: float
    reason: str

    @property
    def outcome(self) -> float:
        return self.format + self.correctness


class Verifier(ABC):
    """Scores a response against its ground truth.

    A bad response is a low outcome. A bad ground truth is bad data and raises ValueError: no reward would be right.
    `outcome_range` holds every outcome that `verify` can return; AWPO's difficulty weight needs it as (R_min, R_max).
    """

    outcome_range: tuple[float, float]

    @abstractmethod
    def verify(self, rollout: Rollout) -> Outcome:
        """Return the outcome of one rollout; any response text is allowed, the empty one too."""

    def check(self) -> None:  # noqa: B027  (a hook: most verifiers need nothing)
        """Raise an error that says what to install or set where something the verifier needs is missing."""
