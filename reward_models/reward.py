"""verl's reward function: a verifier's outcome and a judge's reasoning score as fixed columns.

    reward.custom_reward_function.path=pkg://reward_models.reward
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.judge=embedding
    +reward.custom_reward_function.reward_kwargs.verifier=strict

It does not mix the two: `score`, which verl takes as the reward, is the outcome. The mixing is the estimator's.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

from reward_models.judges import Judge, JudgeNotReadyError, make_judge
from reward_models.options import Range, plain, refuse_unknown, require
from reward_models.per_loop import PerLoop, options_key
from reward_models.rollout_view import RolloutView, read_rollout
from reward_models.sandbox import SandboxUnavailable
from reward_models.types import SCORED_CODE, Rollout, Scored, Unscored, UnscoredReason, Verdict
from reward_models.verifiers import KNOWN_VERIFIERS, Outcome, Verifier, make_verifier
from reward_models.verifiers.base import unjudged
from reward_models.verifiers.reasons import reason_code
from reward_models.verifiers.tools.pool import VerifierPool
from reward_models.verl_row import bad_row, rollout_of

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
    "reasoning_spread",
    "outcome_reason",
    "outcome_valid",
    "outcome_min",
    "outcome_max",
    "outcome_plus_reasoning",
)

# What verl's naive reward manager adds where a reward model is served.
_VERL_KWARGS = ("reward_router_address", "reward_model_tokenizer")
_OWN_KWARGS = ("judge", "judge_kwargs", "verifier", "verifier_kwargs", "verifier_processes")
_MAX_PROCESSES = 256
_PREFLIGHT_S = 60.0


@dataclass(frozen=True)
class _Scorer:
    verifier: Verifier
    judge: Judge
    pool: VerifierPool | None  # where the verifier may not run in the loop


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
    verifier_processes: int = 2,
    **verl_kwargs: Any,
) -> dict[str, float]:
    """Score one response.

    Args:
        data_source, solution_str, ground_truth, extra_info: as verl passes them. `extra_info["question"]` (str) and
            `extra_info["tools"]` (a JSON string) feed the judge and may be absent.
        judge, verifier: a known name or `package.module:Class`, with their options as a dict or DictConfig.
        verifier_processes: processes for a verifier that `needs_process`, in each of verl's reward workers.
        verl_kwargs: `reward_router_address` ("host:port", where verl serves a reward model) replaces a judge's
            base_url=verl; `reward_model_tokenizer` is accepted and not used.

    Returns the keys REWARD_COLUMNS, always all of them and all floats:
        score: format + correctness, the outcome (toolrl: in [-3, 4]).
        parsable, has_think: 1.0 where `parsing` finds calls or an answer, and where the thought is closed and not blank,
            read in the verifier's dialect. Whether the calls are right does not matter; of several turns, all texts count.
        reasoning: the judge's score in [0, 1], NaN where there is none, so that nobody takes it for a zero.
        reasoning_valid: 1.0 where `reasoning` is a score.
        reasoning_failure: the `UnscoredReason` code, 0.0 where scored.
        reasoning_spread: the standard deviation of the judge's votes, or of a ranking the share of the rollout's
            comparisons that changed with the order; 0.0 where there are not several.
        outcome_reason: the main reason of the outcome as a number, see `verifiers.reasons`.
        outcome_valid: 0.0 where the machinery failed twice on this response: `score` is then the middle of the range.
        outcome_min, outcome_max: the lowest and the highest outcome that this row allows, for AWPO's success rate and its
            test for solved groups (toolrl: 0 and 1 where no call is expected).
        outcome_plus_reasoning: their sum, the outcome alone where there is no `reasoning`: what a filter of groups that
            are all alike should look at (`algorithm.filter_groups.metric`).

    An empty response has defined values (toolrl: score -3, or 0 where no call is expected; reasoning 0 by the
    embedding judge). A judge that raises counts as Unscored(error). ValueError for a missing or unreadable ground
    truth, naming data source and row, and for options that do not fit.
    """
    refuse_unknown(verl_kwargs, (*_OWN_KWARGS, *_VERL_KWARGS), "reward_kwargs")
    judge_options = _at_router(_options("judge_kwargs", judge_kwargs), verl_kwargs.get("reward_router_address"))
    scorer = _scorer(judge, judge_options, verifier, verifier_kwargs, verifier_processes)
    rollout = rollout_of(data_source, solution_str, ground_truth, extra_info)
    outcome = await _verify(scorer, rollout)
    limits = outcome.limits or scorer.verifier.outcome_range
    # Before the judge is waited for: the verifier has just read the texts.
    view = read_rollout(rollout, *scorer.verifier.reading)
    verdict = await _ask(scorer.judge, rollout)
    return _columns(view, outcome, limits, verdict)


def row_check(**reward_kwargs: Any) -> Callable[[str, Any, Mapping[str, Any] | None], None]:
    """A function of a row's data_source, ground_truth and extra_info that raises ValueError where no response could be scored.

    For checks before a run; see `Verifier.check_row`. Also `compute_score.row_check`.
    """
    name, options = _verifier_choice(reward_kwargs)
    verifier = make_verifier(name, **options)

    def check(data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None) -> None:
        rollout = rollout_of(data_source, "", ground_truth, extra_info)
        try:
            verifier.check_row(rollout)
        except ValueError as error:
            raise bad_row(rollout, error) from error

    return check


def preflight(**reward_kwargs: Any) -> None:
    """Check `reward_kwargs` at start-up: names, options, and that the judge has what it needs, its endpoint included.

    Raises ValueError or JudgeNotReadyError. Loads no weights; needs no event loop, and may be called inside of one.
    Also `compute_score.preflight`.
    """
    refuse_unknown(reward_kwargs, (*_OWN_KWARGS, *_VERL_KWARGS), "reward_kwargs")
    scorer = _make_scorer(
        reward_kwargs.get("judge", "embedding"),
        _options("judge_kwargs", reward_kwargs.get("judge_kwargs")),
        *_verifier_choice(reward_kwargs),
        reward_kwargs.get("verifier_processes", 2),
    )
    scorer.verifier.check()
    scorer.judge.check()
    _run(_ask_endpoint(scorer.judge))


def outcome_range(**reward_kwargs: Any) -> tuple[float, float]:
    """(R_min, R_max) of the outcomes that `reward_kwargs` give: what AWPO's `reward_min` and `reward_max` must be.

    Raises ValueError where the verifier or its options do not fit. Also `compute_score.outcome_range`.
    """
    refuse_unknown(reward_kwargs, (*_OWN_KWARGS, *_VERL_KWARGS), "reward_kwargs")
    name, options = _verifier_choice(reward_kwargs)
    low, high = make_verifier(name, **options).outcome_range
    return float(low), float(high)


def needs_group(**reward_kwargs: Any) -> bool:
    """Whether the judge ranks siblings, and so must be told a rollout's group (`judges.llm_group.Place` in `extra_info`).

    Raises ValueError where the judge or its options do not fit. Also `compute_score.needs_group`.
    """
    options = _options("judge_kwargs", reward_kwargs.get("judge_kwargs"))
    return make_judge(reward_kwargs.get("judge", "embedding"), **options).needs_group


compute_score.preflight = preflight
compute_score.outcome_range = outcome_range
compute_score.needs_group = needs_group
compute_score.row_check = row_check


def __getattr__(name: str) -> Any:
    """`compute_score_<verifier>` for each known verifier: `compute_score` where `verifier` need not be given."""
    verifier = name.removeprefix("compute_score_")
    if verifier == name or verifier not in KNOWN_VERIFIERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = functools.partial(compute_score, verifier=verifier)
    function.preflight = functools.partial(preflight, verifier=verifier)
    function.outcome_range = functools.partial(outcome_range, verifier=verifier)
    function.needs_group = needs_group
    function.row_check = functools.partial(row_check, verifier=verifier)
    return function


async def _ask_endpoint(judge: Judge) -> None:
    try:
        await asyncio.wait_for(judge.preflight(), _PREFLIGHT_S)
    except asyncio.TimeoutError:
        raise JudgeNotReadyError(
            f"the judge's endpoint did not answer its preflight within {_PREFLIGHT_S:.0f} s; see that it is up, or "
            "set judge_kwargs.preflight=false to start without asking it"
        ) from None
    finally:
        await judge.aclose()


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end in a thread of its own: the caller's may have a running loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(asyncio.run, work).result()


def _at_router(judge_options: dict[str, Any], address: str | None) -> dict[str, Any]:
    """The judge's options with verl's "host:port" as the URL, where they ask for it."""
    if address is None or judge_options.get("base_url") != "verl":
        return judge_options
    return {**judge_options, "base_url": f"http://{address}/v1"}


def _verifier_choice(reward_kwargs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    options = _options("verifier_kwargs", reward_kwargs.get("verifier_kwargs"))
    return reward_kwargs.get("verifier", "toolrl"), options


def _scorer(judge: str, judge_kwargs: Any, verifier: str, verifier_kwargs: Any, processes: int) -> _Scorer:
    """The running loop's scorer for this configuration."""
    arguments = (judge, _options("judge_kwargs", judge_kwargs), verifier, _options("verifier_kwargs", verifier_kwargs))
    return _scorers.get(options_key((*arguments, processes)), lambda: _make_scorer(*arguments, processes))


def _make_scorer(judge: str, judge_options: dict, name: str, options: dict, processes: int) -> _Scorer:
    require("reward_kwargs", "verifier_processes", processes, Annotated[int, Range(1, _MAX_PROCESSES)])
    verifier = make_verifier(name, **options)
    pool = VerifierPool(name, options, verifier.outcome_range, processes) if verifier.needs_process else None
    return _Scorer(verifier, make_judge(judge, **judge_options), pool)


def _options(key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"reward_kwargs: {key}={value!r} must be a mapping of option names to values")
    return plain(value)


async def _verify(scorer: _Scorer, rollout: Rollout) -> Outcome:
    try:
        return await (scorer.pool or scorer.verifier).verify_async(rollout)
    except SandboxUnavailable as error:
        _log_once("sandbox", "A response could not be judged, its outcome does not count: %s", error)
        return unjudged(scorer.verifier.outcome_range, "sandbox_unavailable")
    except ValueError as error:
        raise bad_row(rollout, error) from error


async def _ask(judge: Judge, rollout: Rollout) -> Verdict:
    """The judge's verdict; whatever else comes back, or is raised, is Unscored(error)."""
    try:
        verdict = await judge.score(rollout)
        if isinstance(verdict, (Scored, Unscored)):
            return verdict
        raise TypeError(f"score(rollout) must return one Scored or Unscored, got {verdict!r:.200}")
    except Exception as error:
        name = f"{type(judge).__module__}:{type(judge).__qualname__}"
        _log_once(name, "Judge %s failed; such rollouts are Unscored(error)", name, exc_info=True)
        return Unscored(UnscoredReason.ERROR, f"{type(error).__name__}: {error}")


def _log_once(key: str, message: str, *args: Any, exc_info: bool = False) -> None:
    if key not in _failures_logged:
        _failures_logged.add(key)
        logger.error(message + "; later failures of this kind are not logged", *args, exc_info=exc_info)


def _columns(view: RolloutView, outcome: Outcome, limits: tuple[float, float], verdict: Verdict) -> dict[str, float]:
    scored = isinstance(verdict, Scored)
    values = (
        outcome.outcome,
        outcome.format,
        outcome.correctness,
        view.well_formed,
        view.thinks_throughout,
        verdict.value if scored else float("nan"),
        scored,
        SCORED_CODE if scored else verdict.reason.code,
        (verdict.spread or 0.0) if scored else 0.0,
        reason_code(outcome.reason),
        outcome.valid,
        *limits,
        outcome.outcome + (verdict.value if scored else 0.0),
    )
    return {column: float(value) for column, value in zip(REWARD_COLUMNS, values, strict=True)}
