"""verl's reward function: a verifier's outcome and a judge's reasoning score as fixed columns.

    reward.custom_reward_function.path=pkg://reward_models.reward
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.judge=embedding
    +reward.custom_reward_function.reward_kwargs.verifier=strict

It does not mix the two: `score`, which verl takes as the reward, is the outcome. The mixing is the estimator's.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from reward_models.judges import Judge, make_judge
from reward_models.judges.preflight import ask_endpoint
from reward_models.llm_client.tally import counting
from reward_models.options import OneOf, Options, Range, plain
from reward_models.per_loop import PerLoop, options_key
from reward_models.reward_columns import columns_of, parts_of
from reward_models.rollout_view import read_rollout
from reward_models.sandbox import SandboxUnavailable
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict
from reward_models.verifiers import KNOWN_VERIFIERS, Outcome, Verifier, make_verifier
from reward_models.verifiers.base import unjudged
from reward_models.verifiers.tools.pool import VerifierPool
from reward_models.verl_row import bad_row, rollout_of

logger = logging.getLogger(__name__)

_VERL_KWARGS = ("reward_router_address", "reward_model_tokenizer")  # verl adds them where it serves a reward model
_OPTIONS = "a mapping of option names to values"


@dataclass(frozen=True)
class _Scorer:
    verifier: Verifier
    judge: Judge
    pool: VerifierPool | None  # where the verifier may not run in the loop
    opened: bool  # whether prompts end in an open thought


@dataclass(frozen=True)
class RewardKwargs(Options, owner="reward_kwargs"):
    """What `reward.custom_reward_function.reward_kwargs` may hold.

    judge, verifier: a known name or `package.module:Class`, with their options as a dict or DictConfig.
    thinking: how all readers take a response without any tag of a thought, see `parse_response`; a row's own comes first.
    verifier_processes: processes for a verifier that `needs_process`, in each of verl's reward workers.
    """

    judge: Any = "embedding"
    judge_kwargs: Annotated[Mapping[str, Any], _OPTIONS] = field(default_factory=dict)
    verifier: Any = "toolrl"
    verifier_kwargs: Annotated[Mapping[str, Any], _OPTIONS] = field(default_factory=dict)
    thinking: Annotated[str, OneOf(("auto", "opened"))] = "auto"
    verifier_processes: Annotated[int, Range(1, 256)] = 2

    def __post_init__(self) -> None:
        for key in ("judge_kwargs", "verifier_kwargs"):
            given = getattr(self, key)
            object.__setattr__(self, key, {} if given is None else plain(given))
        super().__post_init__()

    def make_judge(self) -> Judge:
        return make_judge(self.judge, **self.judge_kwargs)

    def make_verifier(self) -> Verifier:
        return make_verifier(self.verifier, **self.verifier_kwargs)

    def scorer(self) -> _Scorer:
        return _scorers.get(options_key(vars(self)), self.make)

    def make(self) -> _Scorer:
        verifier, pool = self.make_verifier(), None
        if verifier.needs_process:
            pool = VerifierPool(self.verifier, self.verifier_kwargs, verifier.outcome_range, self.verifier_processes)
        return _Scorer(verifier, self.make_judge(), pool, "opened" in (self.thinking, verifier.reading[1]))


_scorers, _scorers_as_given = PerLoop[_Scorer](), PerLoop[_Scorer]()
_failures_logged: set[str] = set()


class RewardFunction:
    """A verifier and a judge as the function that verl calls; `defaults` are reward_kwargs that need not be given.

    verl awaits its result where `inspect.iscoroutinefunction` says so. Before Python 3.12 that asks for a function, or for
    an object with a function's attributes, so this has those of `__call__`.
    """

    def __init__(self, **defaults: Any) -> None:
        self._defaults = defaults
        call = type(self).__call__
        self.__name__ = "_".join(["compute_score", *map(str, defaults.values())])
        self.__code__, self.__defaults__, self.__kwdefaults__ = call.__code__, call.__defaults__, call.__kwdefaults__
        self.__annotations__ = call.__annotations__
        self.__signature__ = inspect.signature(self.__call__)

    async def __call__(
        self,
        data_source: str,
        solution_str: str,
        ground_truth: str,
        extra_info: Mapping[str, Any] | None = None,
        **reward_kwargs: Any,
    ) -> dict[str, float | str]:
        """Score one response.

        Args:
            data_source, solution_str, ground_truth, extra_info: as verl passes them. `extra_info["question"]` (str) and
                `extra_info["tools"]` (a JSON string) feed the judge and may be absent.
            reward_kwargs: the keys of `RewardKwargs`, and what verl adds where it serves a reward model: with
                `reward_router_address` ("host:port") in place of a judge's base_url=verl; `reward_model_tokenizer` is
                not used.

        Returns the keys of REWARD_COLUMNS, always all of them and all floats but the text `details`:
            score: format + correctness, the outcome (toolrl: in [-3, 4]).
            format, correctness: the verifier's two parts of it.
            parsable, has_think: 1.0 where `parsing` finds calls or an answer, and where the thought is closed and not blank,
                read in the verifier's dialect, whether the calls are right or not; of several turns, all texts count.
            reasoning: the judge's score in [0, 1], NaN where there is none, so that nobody takes it for a zero.
            reasoning_valid: 1.0 where `reasoning` is a score.
            reasoning_failure: the `UnscoredReason` code, 0.0 where scored.
            reasoning_spread: the standard deviation of the judge's votes, or of a ranking the share of the rollout's
                comparisons that changed with the order; 0.0 where there are not several.
            outcome_reason: the main reason of the outcome as a number, see `verifiers.reasons`.
            outcome_valid: 0.0 where the machinery failed twice on this response: `score` is then the middle of the range.
            format_min, format_max, correctness_min, correctness_max: what the row allows of each part, for outcome components.
            outcome_min, outcome_max: the lowest and the highest outcome that this row allows, for AWPO's success rate and its
                test for solved groups (toolrl: 0 and 1 where no call is expected).
            outcome_plus_reasoning: their sum, the outcome alone where there is no `reasoning`: what a filter of groups that
                are all alike should look at (`algorithm.filter_groups.metric`).
            details: reasons, parts, calls and the judge's words as JSON, see `details.py`. verl takes no mean of a text.

        A judge whose score has parts adds a column `criterion_<name>` for each, in [0, 1], NaN where there is no score.

        An empty response has defined values (toolrl: score -3, or 0 where no call is expected; reasoning 0 by the
        embedding judge). A judge that raises counts as Unscored(error). ValueError for a missing or unreadable ground
        truth, naming data source and row, and for options that do not fit.
        """
        scorer = self._scorer(reward_kwargs)
        rollout = rollout_of(data_source, solution_str, ground_truth, extra_info, scorer.opened)
        outcome = await _verify(scorer, rollout)
        limits = outcome.limits or scorer.verifier.outcome_range
        form = outcome.format_limits or scorer.verifier.format_range
        # Before the judge is waited for: the verifier has just read the texts.
        view = outcome.view or read_rollout(rollout, *scorer.verifier.reading)
        with counting() as tally:
            verdict = await _ask(scorer.judge, rollout)
        columns = columns_of(outcome, limits, form, view, verdict, tally.tokens if tally.calls else None)
        return columns | parts_of(verdict, scorer.judge.criteria) if scorer.judge.criteria else columns

    def row_check(self, **reward_kwargs: Any) -> Callable[[str, Any, Mapping[str, Any] | None], None]:
        """A function of a row's data_source, ground_truth and extra_info: ValueError where no response could be scored.

        For checks before a run; see `Verifier.check_row`.
        """
        verifier = self._read(reward_kwargs).make_verifier()

        def check(data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None) -> None:
            rollout = rollout_of(data_source, "", ground_truth, extra_info)
            try:
                verifier.check_row(rollout)
            except ValueError as error:
                raise bad_row(rollout, error) from error

        return check

    def preflight(self, **reward_kwargs: Any) -> None:
        """Check `reward_kwargs` at start-up: names, options, and that the judge has what it needs, its endpoint included.

        Raises ValueError or JudgeNotReadyError. Loads no weights; needs no event loop, and may be called inside of one.
        """
        scorer = self._read(reward_kwargs).make()
        scorer.verifier.check()
        scorer.judge.check()
        ask_endpoint(scorer.judge)

    def outcome_range(self, **reward_kwargs: Any) -> tuple[float, float]:
        """(R_min, R_max) of the outcomes that `reward_kwargs` give: what AWPO's `reward_min` and `reward_max` must be.

        Raises ValueError where the verifier or its options do not fit.
        """
        low, high = self._read(reward_kwargs).make_verifier().outcome_range
        return float(low), float(high)

    def component_ranges(self, **reward_kwargs: Any) -> dict[str, tuple[float, float]]:
        """Columns that may be outcome components (AWPO's `reward_components`) -> what they can be, (lowest, highest).

        Raises ValueError where the verifier or its options do not fit.
        """
        verifier = self._read(reward_kwargs).make_verifier()
        return {
            "score": verifier.outcome_range,
            "format": verifier.format_range,
            "correctness": verifier.correctness_range,
        }

    def needs_group(self, **reward_kwargs: Any) -> bool:
        """Whether the judge ranks siblings, and so must be told a rollout's group (`siblings.Place` in `extra_info`).

        Raises ValueError where the judge or its options do not fit.
        """
        return self._read(reward_kwargs).make_judge().needs_group

    def _scorer(self, given: Mapping[str, Any]) -> _Scorer:
        """The running loop's scorer of these options, which are read once and not with every response."""
        # A served model's tokenizer is not used, and may be slow to compare.
        own = {**self._defaults, **given, "reward_model_tokenizer": None}
        return _scorers_as_given.get(options_key(own), lambda: self._read(own).scorer())

    def _read(self, given: Mapping[str, Any]) -> RewardKwargs:
        address = given.get("reward_router_address")
        own = {key: value for key, value in given.items() if key not in _VERL_KWARGS}
        kwargs = RewardKwargs.read({**self._defaults, **own})
        if address is not None and kwargs.judge_kwargs.get("base_url") == "verl":
            return replace(kwargs, judge_kwargs={**kwargs.judge_kwargs, "base_url": f"http://{address}/v1"})
        return kwargs


compute_score = RewardFunction()
preflight, outcome_range = compute_score.preflight, compute_score.outcome_range
component_ranges = compute_score.component_ranges
needs_group, row_check = compute_score.needs_group, compute_score.row_check


def __getattr__(name: str) -> RewardFunction:
    """`compute_score_<verifier>` for each known verifier: `compute_score` where `verifier` need not be given."""
    verifier = name.removeprefix("compute_score_")
    if verifier == name or verifier not in KNOWN_VERIFIERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return RewardFunction(verifier=verifier)


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
