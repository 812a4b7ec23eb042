"""A judge's score in the light of the verifier: what is left of it where the call is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict
from reward_models.verifiers import make_verifier

_NEAR = 1e-9


class WrongCalls:
    """Lowers the scores of rollouts whose outcome is below the highest that their row allows.

    keeps: the share of its score that such a rollout keeps, in [0, 1]. The order among wrong ones stays, unless it is 0.
    ValueError for a verifier or options that do not fit, and for a verifier that takes long.
    """

    def __init__(self, owner: str, keeps: float, name: str, options: Mapping[str, Any]) -> None:
        self._keeps, self._verifier = keeps, make_verifier(name, **options)
        if self._verifier.heavy:
            raise ValueError(
                f"{owner}: verifier={name!r} takes long for each rollout; choose one that does not: strict"
            )

    def check(self) -> None:
        """Raise what the verifier raises where it lacks something."""
        self._verifier.check()

    def lower(self, rollout: Rollout, verdict: Verdict) -> Verdict:
        """The verdict; lower where the call is wrong, Unscored(error) where that cannot be told."""
        if not isinstance(verdict, Scored):
            return verdict
        try:
            outcome = self._verifier.verify(rollout)
        except ValueError as error:  # the row's ground truth is bad
            return Unscored(UnscoredReason.ERROR, f"the judge's verifier: {error}")
        if not outcome.valid:
            return Unscored(UnscoredReason.ERROR, f"the judge's verifier failed: {outcome.reason}")
        highest = (outcome.limits or self._verifier.outcome_range)[1]
        right = outcome.outcome >= highest - _NEAR
        return verdict if right else Scored(verdict.value * self._keeps, verdict.spread)
