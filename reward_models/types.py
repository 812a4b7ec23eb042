"""The values that pass between the parts of `reward_models`: a rollout in, a verdict out.

A judge that could not judge returns `Unscored` with a reason: never 0.0, which would say "bad reasoning", and never an
exception, which in verl fails the whole prompt group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from reward_models.errors import UserError

SCORED_CODE = 0


class UnscoredReason(str, Enum):
    """Why a judge gave no score. `code` goes into the logged column, so a code is never reused or renumbered."""

    code: int

    JUDGE_DISABLED = "judge_disabled", 1
    TIMEOUT = "timeout", 2
    REFUSED = "refused", 3
    RATE_LIMITED = "rate_limited", 4
    BAD_VERDICT = "bad_verdict", 5
    BUDGET = "budget", 6
    LOAD_FAILED = "load_failed", 7
    ERROR = "error", 8
    NO_EVIDENCE = "no_evidence", 9

    def __new__(cls, value: str, code: int) -> UnscoredReason:
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        return member


class JudgeNotReadyError(UserError, RuntimeError):
    """Something a judge needs is missing; the message says what to install or set."""


@dataclass(frozen=True)
class Rollout:
    """One sampled response with what it answers.

    `question` and `tools` (a JSON string) are "" where the data set has none; `ground_truth` is in the form that the
    chosen verifier reads; `extra_info` is the row's own dict, passed through untouched.
    """

    question: str
    tools: str
    response: str
    ground_truth: str
    data_source: str
    extra_info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """A judge's score in [0, 1], higher is better reasoning, and the spread of the votes behind it.

    `spread` is the standard deviation of several votes, or the share of a ranked rollout's comparisons whose verdict
    changed with the order shown, in [0, 1], and None where there were not several. NaN, infinities and values outside
    raise ValueError. `words` is what the judge said, and `votes` the votes in [0, 1], for people who read a run's record;
    nothing decides on them, and verdicts that differ in them alone are equal. So are `criteria` (the parts of the score in
    [0, 1] by name), `steps` (the scores of the steps that it is made of) and `rubric` (its name and hash).
    """

    value: float
    spread: float | None = None
    words: str = field(default="", compare=False)
    votes: tuple[float, ...] = field(default=(), compare=False)
    criteria: Mapping[str, float] = field(default_factory=dict, compare=False)
    steps: tuple[float, ...] = field(default=(), compare=False)
    rubric: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _unit("value", self.value))
        if self.spread is not None:
            object.__setattr__(self, "spread", _unit("spread", self.spread))
        if self.criteria:
            parts = {name: _unit(f"criteria[{name!r}]", part) for name, part in self.criteria.items()}
            object.__setattr__(self, "criteria", parts)


def _unit(key: str, value: float) -> float:
    number = float(value)
    if not (math.isfinite(number) and 0.0 <= number <= 1.0):
        raise ValueError(f"Scored.{key}={value!r} is not in [0, 1]; a failed judgement is an Unscored")
    return number


@dataclass(frozen=True)
class Unscored:
    """A judgement that did not happen. `detail` is for people who read logs; nothing decides on it."""

    reason: UnscoredReason
    detail: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", UnscoredReason(self.reason))  # type: ignore[call-arg]


Verdict = Scored | Unscored
