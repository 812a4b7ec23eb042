"""verl's reward function: a verifier's outcome and a judge's reasoning score as fixed columns.

    reward.custom_reward_function.path=pkg://reward_models.reward
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.judge=embedding

It does not mix the two: `score`, which verl takes as the reward, is the outcome. The mixing is the estimator's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reward_models.judges import Judge, make_judge
from reward_models.options import plain, refuse_unknown
from reward_models.parsing import parse_response
from reward_models.per_loop import PerLoop
from reward_models.types import SCORED_CODE, Rollout, Scored, Unscored, UnscoredReason, Verdict
from reward_models.verifiers import Outcome, Verifier, make_verifier

logger = logging.getLogger(__name__)

REWARD_COLUMNS = (
    "score",
    "format",
    "correctness",
    "parsable",
    "has_think",
    "reasoning",
    "reasoning_valid",
    "reasoning_failure",
)

# What verl's naive reward manager adds where a reward model is served; not ours to use.
_VERL_KWARGS = ("reward_router_address", "reward_model_tokenizer")
_OWN_KWARGS = ("judge", "judge_kwargs", "verifier", "verifier_kwargs")


@dataclass(frozen=True)
class _Scorer:
    verifier: Verifier
    judge: Judge


_scorers: PerLoop[_Scorer] = PerLoop()
_failures_logged: set[str] = set()


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    judge: str = "embedding",
    judge_kwargs: Mapping[str, Any] | None = None,
    verifier: str = "toolrl",
    verifier_kwargs: Mapping[str, Any] | None = None,
    **verl_kwargs: Any,
) -> dict[str, float]:
    """Score one response.

    Args:
        data_source, solution_str, ground_truth, extra_info: as verl passes them. `extra_info["question"]` (str) and
            `extra_info["tools"]` (a JSON string) feed the judge and may be absent.
        judge, verifier: a known name or `package.module:Class`, with their options as a dict or DictConfig.
        verl_kwargs: `reward_router_address` and `reward_model_tokenizer` are accepted and not used.

    Returns the keys REWARD_COLUMNS, always all of them and all floats:
        score: format + correctness, the outcome (toolrl: in [-3, 4]).
        parsable, has_think: 1.0 where `parsing` can read the response, and where its thought is closed and not blank.
            Facts about the response alone, whatever the verifier made of it.
        reasoning: the judge's score in [0, 1], NaN where there is none, so that nobody takes it for a zero.
        reasoning_valid: 1.0 where `reasoning` is a score.
        reasoning_failure: the `UnscoredReason` code, 0.0 where scored.

    An empty response has defined values (toolrl: score -3, or 0 where no call is expected; reasoning 0 by the
    embedding judge). A judge that raises counts as Unscored(error). ValueError for a missing or unreadable ground
    truth, naming data source and row, and for options that do not fit.
    """
    refuse_unknown(verl_kwargs, (*_OWN_KWARGS, *_VERL_KWARGS), "reward_kwargs")
    scorer = _scorer(judge, judge_kwargs, verifier, verifier_kwargs)
    extra_info = extra_info or {}
    rollout = Rollout(
        question=_text(extra_info.get("question")),
        tools=_text(extra_info.get("tools")),
        response=solution_str or "",
        ground_truth=ground_truth if isinstance(ground_truth, str) else "",
        data_source=str(data_source),
        extra_info=extra_info,
    )
    outcome = _verify(scorer.verifier, rollout)
    verdict = await _ask(scorer.judge, rollout)
    return _columns(rollout, outcome, verdict)


def preflight(**reward_kwargs: Any) -> None:
    """Check `reward_kwargs` at start-up: names, options, and that the judge's packages and files are there.

    Raises ValueError or JudgeNotReadyError. Loads no weights; needs no event loop. Also `compute_score.preflight`.
    """
    refuse_unknown(reward_kwargs, (*_OWN_KWARGS, *_VERL_KWARGS), "reward_kwargs")
    scorer = _make_scorer(
        reward_kwargs.get("judge", "embedding"),
        _options("judge_kwargs", reward_kwargs.get("judge_kwargs")),
        reward_kwargs.get("verifier", "toolrl"),
        _options("verifier_kwargs", reward_kwargs.get("verifier_kwargs")),
    )
    scorer.verifier.check()
    scorer.judge.check()


compute_score.preflight = preflight


def _scorer(judge: str, judge_kwargs: Any, verifier: str, verifier_kwargs: Any) -> _Scorer:
    """The running loop's scorer for this configuration."""
    judge_options = _options("judge_kwargs", judge_kwargs)
    verifier_options = _options("verifier_kwargs", verifier_kwargs)
    key = json.dumps([judge, judge_options, verifier, verifier_options], sort_keys=True, default=repr)
    return _scorers.get(key, lambda: _make_scorer(judge, judge_options, verifier, verifier_options))


def _make_scorer(judge: str, judge_options: dict, verifier: str, verifier_options: dict) -> _Scorer:
    return _Scorer(make_verifier(verifier, **verifier_options), make_judge(judge, **judge_options))


def _options(key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"reward_kwargs: {key}={value!r} must be a mapping of option names to values")
    return plain(value)


def _verify(verifier: Verifier, rollout: Rollout) -> Outcome:
    where = f"data_source={rollout.data_source!r}, extra_info index={rollout.extra_info.get('index')!r}"
    if not rollout.ground_truth.strip():
        raise ValueError(f"no ground truth ({where}): reward_model.ground_truth must be a text that is not blank")
    try:
        return verifier.verify(rollout)
    except ValueError as error:
        raise ValueError(f"bad ground truth ({where}): {error}") from error


async def _ask(judge: Judge, rollout: Rollout) -> Verdict:
    """The judge's verdict; whatever else comes back, or is raised, is Unscored(error)."""
    try:
        verdicts = await judge.score([rollout])
        if len(verdicts) == 1 and isinstance(verdicts[0], (Scored, Unscored)):
            return verdicts[0]
        raise TypeError(f"expected one Scored or Unscored for one rollout, got {verdicts!r}")
    except Exception as error:
        name = f"{type(judge).__module__}:{type(judge).__qualname__}"
        if name not in _failures_logged:
            _failures_logged.add(name)
            logger.exception("Judge %s failed; such rollouts are Unscored(error), later failures are not logged", name)
        return Unscored(UnscoredReason.ERROR, f"{type(error).__name__}: {error}")


def _columns(rollout: Rollout, outcome: Outcome, verdict: Verdict) -> dict[str, float]:
    parsed = parse_response(rollout.response)
    scored = isinstance(verdict, Scored)
    values = (
        outcome.outcome,
        outcome.format,
        outcome.correctness,
        parsed.error is None,
        bool(parsed.thought),
        verdict.value if scored else float("nan"),
        scored,
        SCORED_CODE if scored else verdict.reason.code,
    )
    return {column: float(value) for column, value in zip(REWARD_COLUMNS, values, strict=True)}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
