"""The columns of `reward_models.reward`: what each is made of. No scoring happens here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reward_models.details import details_of
from reward_models.rollout_view import RolloutView
from reward_models.types import SCORED_CODE, Scored, Verdict
from reward_models.verifiers import Outcome
from reward_models.verifiers.base import correctness_range
from reward_models.verifiers.reasons import reason_code

REWARD_COLUMNS = (
    "score", "format", "correctness", "parsable", "has_think", "reasoning", "reasoning_valid", "reasoning_failure",
    "reasoning_spread", "outcome_reason", "outcome_valid", "format_min", "format_max", "correctness_min",
    "correctness_max", "outcome_min", "outcome_max", "outcome_plus_reasoning", "details",
)  # fmt: skip


def columns_of(
    outcome: Outcome,
    limits: tuple[float, float],
    form: tuple[float, float],
    view: RolloutView,
    verdict: Verdict,
    judge_tokens: int | None,
) -> dict[str, float | str]:
    """The columns of one rollout, in the order of REWARD_COLUMNS. What each says is in `reward.RewardFunction.__call__`.

    `limits` and `form` are what the rollout's row allows of the outcome and of its format.
    """
    score = both = float(outcome.outcome)
    reasoning, failure, spread = math.nan, SCORED_CODE, 0.0
    if isinstance(verdict, Scored):
        reasoning, spread, both = verdict.value, verdict.spread or 0.0, score + verdict.value
    else:
        failure = verdict.reason.code
    right = correctness_range(limits, form)
    return {
        "score": score,
        "format": float(outcome.format),
        "correctness": float(outcome.correctness),
        "parsable": float(view.well_formed),
        "has_think": float(view.thinks_throughout),
        "reasoning": reasoning,
        "reasoning_valid": float(failure == SCORED_CODE),
        "reasoning_failure": float(failure),
        "reasoning_spread": spread,
        "outcome_reason": float(reason_code(outcome.reason)),
        "outcome_valid": float(outcome.valid),
        "format_min": float(form[0]),
        "format_max": float(form[1]),
        "correctness_min": float(right[0]),
        "correctness_max": float(right[1]),
        "outcome_min": float(limits[0]),
        "outcome_max": float(limits[1]),
        "outcome_plus_reasoning": both,
        "details": details_of(outcome, view, verdict, judge_tokens),
    }


CRITERION = "criterion_"  # begins the columns of the parts of a judge's score


def parts_of(verdict: Verdict, names: Sequence[str]) -> dict[str, float | str]:
    """A column for each criterion of the judge, NaN where it has no score."""
    given = verdict.criteria if isinstance(verdict, Scored) else {}
    return {f"{CRITERION}{name}": float(given.get(name, math.nan)) for name in names}
