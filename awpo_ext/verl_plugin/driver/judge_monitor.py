"""The judge's health in a run: warns once where it fails too often, or ends the run, and logs what its calls came to.

Failures come from the reward columns, so every judge has them. Tokens, costs and times come from judges that use
`reward_models.llm_client`, and only where Ray runs.
"""

import logging
import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from awpo_ext.config import AwpoConfig
from reward_models.llm_client.step_stats import StepCollector
from reward_models.types import UnscoredReason

logger = logging.getLogger(__name__)

_NAMES = {"attempts": "requests"}
_GROUPS = {"unscored_": "calls_unscored/", "failed_": "requests_failed/"}

UNTOLD = "untold"  # not valid, and the reward function has no column that says why
REASONS = (*(reason.value for reason in UnscoredReason), UNTOLD)
# No score was wanted, or there was nothing to judge: the judge did not fail.
NO_FAULT = ("judge_disabled", "no_evidence")
DOWN_SHARE, BACK_SHARE = 0.5, 0.25
_NAME_OF_CODE = {reason.code: reason.value for reason in UnscoredReason}
_LOOK_AT = {
    "timeout": "the judge's server answers too slowly: its load, judge_kwargs.timeout_s, deadline_s and max_concurrency",
    "refused": "the judge's server refuses: its log, the key in judge_kwargs.api_key_env, the quota, the context length",
    "rate_limited": "the server's rate limits; set judge_kwargs.requests_per_minute or tokens_per_minute below them",
    "bad_verdict": "what the model answers (awpo judge try), judge_kwargs.max_tokens and structured",
    "budget": "judge_kwargs.deadline_s, step_deadline_s and the limits: requests found no time to be sent",
    "load_failed": "the reward workers' log: what the judge needs could not be loaded",
    "error": "whether the judge's server is up, and the reward workers' log",
    UNTOLD: "your reward function, which marks scores as not valid without a column <reasoning_key>_failure",
}


class JudgeFailedError(RuntimeError):
    """The judge failed more often than `judge_stop_share` allows."""


@dataclass(frozen=True)
class Failures:
    """How many judgements there were, one for each rollout and signal, and how many gave no score, by reason."""

    judgements: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Of the judgements that the judge failed on, in [0, 1]; 0 where there were none."""
        failed = sum(count for reason, count in self.reasons.items() if reason not in NO_FAULT)
        return failed / self.judgements if self.judgements else 0.0

    def __add__(self, other: "Failures") -> "Failures":
        return Failures(self.judgements + other.judgements, self.reasons + other.reasons)

    def __str__(self) -> str:
        faults = [(reason, count) for reason, count in self.reasons.most_common() if reason not in NO_FAULT]
        return ", ".join(f"{reason} {count / self.judgements:.0%}" for reason, count in faults)


def count_failures(valid: torch.Tensor, failure: torch.Tensor) -> Failures:
    """Of a batch: `valid` `(N, K)` bool, `failure` `(N, K)` codes of UnscoredReason, read where not valid; NaN: untold."""
    codes = failure[~valid].tolist()
    return Failures(valid.numel(), Counter(_NAME_OF_CODE.get(code, UNTOLD) for code in codes))


def failure_metrics(failures: Failures) -> dict[str, float]:
    """Shares of a batch's judgements, always the same keys: verl takes the mean over a step's mini-batches."""
    if not failures.judgements:
        return {}
    metrics = {f"awpo/judge/failed/{reason}": failures.reasons[reason] / failures.judgements for reason in REASONS}
    return {"awpo/judge/failed_share": failures.share, **metrics}


def criteria_metrics(criteria: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """The mean of each part of the judge's score, `(N,)` with NaN where there is none, over the rollouts that have one."""
    found = {f"awpo/judge/criterion/{name}": float(values.nanmean()) for name, values in criteria.items()}
    return {name: mean for name, mean in found.items() if not math.isnan(mean)}


class JudgeWatch:
    """Adds up a step's batches, logs when the judge goes down and when it is back, and knows when to end the run.

    Args:
        stop_share: of the judgements of the last `stop_steps` steps, from which on `raise_if_failed` raises; above 1: never.
    """

    def __init__(self, stop_share: float, stop_steps: int) -> None:
        self._stop_share = stop_share
        self._last: deque[tuple[int, Failures]] = deque(maxlen=stop_steps)
        self._step = Failures()
        self._down = False

    def add(self, failures: Failures) -> None:
        self._step += failures

    def end_step(self, step: int) -> Failures:
        """The step's sum. A step without judgements, as before the first one, changes nothing."""
        of_step, self._step = self._step, Failures()
        if not of_step.judgements:
            return of_step
        self._last.append((step, of_step))
        if not self._down and of_step.share >= DOWN_SHARE:
            self._down = True
            worst = next(reason for reason, _ in of_step.reasons.most_common() if reason not in NO_FAULT)
            logger.error(
                "awpo-ext: THE JUDGE FAILS. Step %d: no score for %.0f %% of the judgements (%s). Training goes on, by "
                "the outcome alone where there is no score. Look at %s. awpo/judge/failed/* shows each step; "
                "+algorithm.awpo.judge_stop_share=0.5 would end such a run. This is said once, until the judge is back.",
                step,
                100 * of_step.share,
                of_step,
                _LOOK_AT[worst],
            )
        elif self._down and of_step.share <= BACK_SHARE:
            self._down = False
            logger.warning(
                "awpo-ext: the judge is back. Step %d: no score for %.0f %% of the judgements",
                step,
                100 * of_step.share,
            )
        return of_step

    def raise_if_failed(self) -> None:
        """JudgeFailedError where `stop_steps` steps have been seen and the share is reached over them."""
        if len(self._last) < self._last.maxlen:
            return
        total = sum((failures for _, failures in self._last), Failures())
        if total.share < self._stop_share:
            return
        steps = (
            f"step {self._last[-1][0]}" if len(self._last) == 1 else f"steps {self._last[0][0]} to {self._last[-1][0]}"
        )
        raise JudgeFailedError(
            f"the judge gave no score for {total.share:.0%} of {total.judgements} judgements in {steps} ({total}), and "
            f"algorithm.awpo.judge_stop_share={self._stop_share} with judge_stop_steps={self._last.maxlen} ends the run "
            "there. Mend the judge and resume from the last checkpoint, or raise judge_stop_share; without it the run "
            "goes on by the outcome alone"
        )


class JudgeSteps:
    """For one run; its methods are called by the trainer, in the order of a step."""

    def __init__(self, config: AwpoConfig, collector: StepCollector | None) -> None:
        self._watch = JudgeWatch(config.judge_stop_share, config.judge_stop_steps)
        self._collector = collector

    def begin_step(self) -> None:
        """Raises JudgeFailedError where the steps before were too bad to go on: they are logged by then."""
        self._watch.raise_if_failed()
        self.begin_validation()

    def begin_validation(self) -> None:
        if self._collector is not None:
            self._collector.begin()

    def add(self, valid: torch.Tensor, failure: torch.Tensor) -> dict[str, float]:
        """Metrics of one batch of the step, of which verl makes the step's; both `(N, K)`, as in `count_failures`."""
        failures = count_failures(valid, failure)
        self._watch.add(failures)
        return failure_metrics(failures)

    def end_step(self, step: int) -> dict[str, float]:
        """Metrics of the whole step, its validation included, and of the run."""
        failures = self._watch.end_step(step)
        if self._collector is None:
            return {}
        shares = {"judgements": failures.judgements, "failed_share": failures.share, "failed": dict(failures.reasons)}
        return ledger_metrics(*self._collector.collect(step, rollouts=shares))


def ledger_metrics(of_step: dict[str, float], of_run: dict[str, float]) -> dict[str, float]:
    """`Totals.summary` of a step and of the run, as flat metrics; {} where no call was ever made.

    Classes of failures that the run has not seen are left out; afterwards they are there in every step.
    """
    if not of_run["calls"]:
        return {}
    metrics = {}
    for prefix, summary in (("awpo/judge/", of_step), ("awpo/judge/run/", of_run)):
        for key, value in summary.items():
            group = next((group for group in _GROUPS if key.startswith(group)), None)
            if group is None:
                metrics[prefix + _NAMES.get(key, key)] = value
            elif of_run[key]:
                metrics[prefix + _GROUPS[group] + key.removeprefix(group)] = value
    return metrics
