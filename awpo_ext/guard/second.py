"""A second opinion on some rollouts: another judge, or a stricter verifier, asked beside training.

Whatever goes wrong is an opinion with a reason and without a number. It is never a 0.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awpo_ext.guard.options import KEY
from awpo_ext.guard.statistics import Values, known
from reward_models.reward import RewardKwargs, compute_score
from reward_models.types import UnscoredReason

_KEYS = ("judge", "judge_kwargs", "verifier", "verifier_kwargs", "thinking")
_REASONS = {reason.code: reason.value for reason in UnscoredReason}
LATE, BAD_ROW, ERROR, NOT_VERIFIED, NO_FIRST = "late", "bad_row", "error", "not_verified", "no_first"


@dataclass(frozen=True)
class Asked:
    """One rollout, as the reward function saw it; `first` is the run's own score or success in [0, 1], NaN where none."""

    data_source: str
    response: str
    ground_truth: Any
    extra_info: Mapping[str, Any]
    first: float


@dataclass(frozen=True)
class Opinion:
    """`second` in [0, 1], NaN where there is none; `failure` says why, "" where both numbers are there."""

    first: float
    second: float
    failure: str = ""


def asks_judge(second: Mapping[str, Any]) -> bool:
    """Whether the second opinion is a judge's, compared with the judge; else a verifier's, compared with the outcome."""
    return "judge" in second


def check_second(second: Mapping[str, Any]) -> None:
    """ValueError or JudgeNotReadyError where it could not be asked; {} asks nobody."""
    if not second:
        return
    unknown = [key for key in second if key not in _KEYS]
    if unknown or ("judge" in second) == ("verifier" in second):
        raise ValueError(
            f"{KEY}.second={dict(second)!r}: give a judge (with judge_kwargs) or a verifier (with verifier_kwargs), one of "
            f"the two; allowed keys: {', '.join(_KEYS)}"
        )
    kwargs = _kwargs(second)
    if RewardKwargs.read(kwargs).make_judge().needs_group:
        raise ValueError(
            f"{KEY}.second.judge={second['judge']!r} ranks all rollouts of a prompt, and a second opinion sees few of them; "
            "choose a judge that scores one, such as llm"
        )
    compute_score.preflight(**kwargs)


async def ask_all(asked: Sequence[Asked], second: Mapping[str, Any], seconds: float) -> list[Opinion]:
    """The opinions, in order; all are asked at once and the judge's own limits hold. Never raises, takes at most `seconds`."""
    return list(await asyncio.gather(*(_ask(one, second, seconds) for one in asked)))


async def _ask(one: Asked, second: Mapping[str, Any], seconds: float) -> Opinion:
    try:
        columns = await asyncio.wait_for(
            compute_score(one.data_source, one.response, one.ground_truth, one.extra_info, **_kwargs(second)), seconds
        )
    except asyncio.TimeoutError:
        return Opinion(one.first, math.nan, LATE)
    except ValueError:
        return Opinion(one.first, math.nan, BAD_ROW)
    except Exception:
        return Opinion(one.first, math.nan, ERROR)
    number, failure = _read(columns, second)
    return Opinion(one.first, number, failure or (NO_FIRST if math.isnan(one.first) else ""))


def _read(columns: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[float, str]:
    if asks_judge(second):
        if columns["reasoning_valid"]:
            return float(columns["reasoning"]), ""
        return math.nan, _REASONS.get(int(columns["reasoning_failure"]), ERROR)
    if not columns["outcome_valid"]:
        return math.nan, NOT_VERIFIED
    low, high = columns["outcome_min"], columns["outcome_max"]
    return min(1.0, max(0.0, (columns["score"] - low) / (high - low))), ""


def opinion_values(opinions: Sequence[Opinion]) -> Values:
    """How much more the first says than the second, over the rollouts that have both."""
    gaps = [one.first - one.second for one in opinions if not one.failure]
    return known({"second": (sum(gaps) / len(gaps), float(len(gaps)))}) if gaps else {}


def opinion_metrics(opinions: Sequence[Opinion]) -> dict[str, float]:
    """How many were asked for, and the share that failed, by reason."""
    if not opinions:
        return {}
    reasons = Counter(one.failure for one in opinions if one.failure)
    failed = {f"awpo/alarm/second/failed/{name}": count / len(opinions) for name, count in reasons.items()}
    both = [one.second for one in opinions if not one.failure]
    mean = {"awpo/alarm/second/mean": sum(both) / len(both)} if both else {}
    return {"awpo/alarm/second/asked": float(len(opinions)), **mean, **failed}


def _kwargs(second: Mapping[str, Any]) -> dict[str, Any]:
    """As the reward function takes them: the part that is not asked costs nothing."""
    return {"verifier": "format", **second} if asks_judge(second) else {"judge": "none", **second}
