"""What all verifiers share: a rollout in, an `Outcome` out, by rule and without a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reward_models.rollout_view import RolloutView
from reward_models.types import Rollout


@dataclass(frozen=True)
class Outcome:
    """An outcome reward in its two parts, with what it is made of. Ranges are the verifier's.

    `reason` is the main code for logs and tests, `reasons` every code that was found, for counting (see `reasons.py`
    for their numbers); `parts` is the decomposition that the verifier documents. `valid` is False only where the
    response could not be judged because the machinery failed: the numbers then stand in the middle of the range and
    say nothing about the response. `limits` is the lowest and the highest outcome that this row allows, where they are
    not the verifier's `outcome_range`: what AWPO takes for nothing solved and all solved; `format_limits` are those of the
    format alone, where they are not the verifier's `format_range`. `view` is the rollout as the verifier has read it by its
    `reading`, if it has and says so, so that nobody reads it again.
    """

    format: float
    correctness: float
    reason: str
    parts: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    valid: bool = True
    limits: tuple[float, float] | None = None
    format_limits: tuple[float, float] | None = None
    view: RolloutView | None = field(default=None, repr=False, compare=False)

    @property
    def outcome(self) -> float:
        return self.format + self.correctness


def unjudged(outcome_range: tuple[float, float], reason: str) -> Outcome:
    """The outcome of a response that could not be judged: not `valid`, in the middle of the range."""
    return Outcome(0.0, sum(outcome_range) / 2, reason, reasons=(reason,), valid=False)


def correctness_range(outcome: tuple[float, float], form: tuple[float, float]) -> tuple[float, float]:
    """What is left of the outcome's range for the correctness, beside the format's."""
    return outcome[0] - form[0], outcome[1] - form[1]


class Verifier(ABC):
    """Scores a response against its ground truth.

    A bad response is a low outcome. A bad ground truth is bad data and raises ValueError: no reward would be right.
    `outcome_range` holds every outcome that `verify` can return, set on the class or, where options decide it, on the
    instance; AWPO's difficulty weight needs it as (R_min, R_max). `format_range` holds every `format` part, for a verifier
    that has one. `heavy` says that `verify` takes long: the reward
    function then runs it in a pool of processes, where it is built anew from its options, unless the class has a
    `verify_async` of its own.
    """

    outcome_range: tuple[float, float]
    format_range: tuple[float, float] = (0.0, 0.0)
    heavy: bool = False

    @abstractmethod
    def verify(self, rollout: Rollout) -> Outcome:
        """Return the outcome of one rollout; any response text is allowed, the empty one too."""

    async def verify_async(self, rollout: Rollout) -> Outcome:
        """`verify` for an event loop, which it must not block: override it in a heavy verifier that waits for others."""
        return self.verify(rollout)

    @property
    def correctness_range(self) -> tuple[float, float]:
        """It holds every `correctness` part: what the format leaves of the outcome's range."""
        return correctness_range(self.outcome_range, self.format_range)

    @property
    def needs_process(self) -> bool:
        """Whether an event loop must not call `verify_async`, because it takes long and does not wait."""
        return self.heavy and type(self).verify_async is Verifier.verify_async

    @property
    def reading(self) -> tuple[str, str]:
        """The dialect and the thinking form that responses are read by: its options of these names, else auto.

        The columns `parsable` and `has_think` go by the same.
        """
        config = getattr(self, "config", None)
        return getattr(config, "dialect", "auto"), getattr(config, "thinking", "auto")

    def check_row(self, rollout: Rollout) -> None:
        """Raise ValueError where the row cannot be scored, whatever its response: a bad ground truth, bad tools.

        For checks of data before a run. A heavy verifier that can tell without running anything overrides it.
        """
        if not self.heavy:
            self.verify(replace(rollout, response=""))

    def check(self) -> None:  # noqa: B027  (a hook: most verifiers need nothing)
        """Raise an error that says what to install or set where something the verifier needs is missing."""
