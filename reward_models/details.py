"""What cannot be a number of a rollout's reward, as one JSON text: the column `details`. For people and for a run's record.

Keys, all always there:
    reason, reasons, parts: of the `Outcome`; `parts` is numbers by name.
    calls: for each step the calls as parsed, `[{"name", "arguments"}, ..]`; null where they are too large.
    problems: for each step the codes of what could not be read.
    words: what the judge said, or how it failed; votes: the judge's votes.
    criteria: the parts of the judge's score in [0, 1] by name; steps: the scores of the steps; rubric: its name and hash.
    judge_tokens: tokens of the calls that this judgement caused; null where no client of `llm_client` was asked.
"""

from __future__ import annotations

import json
import math
from itertools import islice
from typing import Any

from reward_models.rollout_view import RolloutView
from reward_models.types import Scored, Verdict
from reward_models.verifiers.base import Outcome

MAX_WORDS = 4096  # characters
_MAX_CALLS = 8192  # of their JSON text
_MAX_NAME = 200
_MAX_LISTED = 64  # reasons, parts, votes, and problems of a step
_STRICT = json.JSONEncoder(allow_nan=False)


def details_of(outcome: Outcome, view: RolloutView, verdict: Verdict, judge_tokens: int | None) -> str:
    """The text, of bounded length and in ASCII."""
    scored = isinstance(verdict, Scored)
    found = {
        "reason": str(outcome.reason),
        "reasons": [str(reason) for reason in outcome.reasons[:_MAX_LISTED]],
        "parts": {
            str(name): number if math.isfinite(number := float(value)) else None
            for name, value in islice(outcome.parts.items(), _MAX_LISTED)
        },
        "calls": [
            [{"name": call.name, "arguments": call.arguments} for call in step.parsed.calls] for step in view.steps
        ],
        "problems": [[problem.code.value for problem in step.parsed.problems[:_MAX_LISTED]] for step in view.steps],
        "words": str(verdict.words if scored else verdict.detail)[:MAX_WORDS],
        "votes": list(verdict.votes[:_MAX_LISTED]) if scored else [],
        "criteria": dict(list(verdict.criteria.items())[:_MAX_LISTED]) if scored else {},
        "steps": list(verdict.steps[:_MAX_LISTED]) if scored else [],
        "rubric": str(verdict.rubric)[:_MAX_NAME] if scored else "",
        "judge_tokens": judge_tokens,
    }
    text = _strict_json(found)
    # Calls within a short text are short: most are written once, and not once more to be measured.
    if text is not None and len(text) <= _MAX_CALLS:
        return text
    calls = _strict_json(found["calls"])
    return json.dumps(found if calls is not None and len(calls) <= _MAX_CALLS else {**found, "calls": None})


def _strict_json(value: Any) -> str | None:
    """The JSON text, None where JSON cannot hold the value."""
    try:
        return _STRICT.encode(value)
    except (TypeError, ValueError, RecursionError):
        return None
