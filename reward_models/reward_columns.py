"""The columns of `reward_models.reward`: what each is made of. No scoring happens here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from reward_models.details import details_of
from reward_models.rollout_view import RolloutView
from reward_models.types import SCORED_CODE, Scored, Unscored, Verdict
from reward_models.verifiers import Outcome
from reward_models.verifiers.base import correctness_range
from reward_models.verifiers.reasons import reason_code


@dataclass(frozen=True)
class Judged:
    """One rollout with all that was found out about it; `limits` and `form` are what its row allows of outcome and format."""

    outcome: Outcome
    limits: tuple[float, float]
    form: tuple[float, float]
    view: RolloutView
    verdict: Verdict
    judge_tokens: int | None = None

    @property
    def score(self) -> Scored | None:
        return self.verdict if isinstance(self.verdict, Scored) else None


# Column -> how it is computed. What each says is in `reward.RewardFunction.__call__`.
REWARD_COLUMNS: dict[str, Callable[[Judged], float | str]] = {
    "score": lambda it: it.outcome.outcome,
    "format": lambda it: it.outcome.format,
    "correctness": lambda it: it.outcome.correctness,
    "parsable": lambda it: it.view.well_formed,
    "has_think": lambda it: it.view.thinks_throughout,
    "reasoning": lambda it: it.score.value if it.score else math.nan,
    "reasoning_valid": lambda it: it.score is not None,
    "reasoning_failure": lambda it: it.verdict.reason.code if isinstance(it.verdict, Unscored) else SCORED_CODE,
    "reasoning_spread": lambda it: (it.score.spread or 0.0) if it.score else 0.0,
    "outcome_reason": lambda it: reason_code(it.outcome.reason),
    "outcome_valid": lambda it: it.outcome.valid,
    "format_min": lambda it: it.form[0],
    "format_max": lambda it: it.form[1],
    "correctness_min": lambda it: correctness_range(it.limits, it.form)[0],
    "correctness_max": lambda it: correctness_range(it.limits, it.form)[1],
    "outcome_min": lambda it: it.limits[0],
    "outcome_max": lambda it: it.limits[1],
    "outcome_plus_reasoning": lambda it: it.outcome.outcome + (it.score.value if it.score else 0.0),
    "details": lambda it: details_of(it.outcome, it.view, it.verdict, it.judge_tokens),
}


def columns_of(judged: Judged) -> dict[str, float | str]:
    """All columns, numbers as floats."""
    found = ((column, compute(judged)) for column, compute in REWARD_COLUMNS.items())
    return {column: value if isinstance(value, str) else float(value) for column, value in found}
