"""What the trainer does about the judge in each step: watches its failures, takes its ledger's sums, gives both as metrics.

The failures come from the reward columns, so every judge has them; tokens, costs and times come from judges that use
`reward_models.judges.client`, and only where Ray runs.
"""

import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.judge_watch import JudgeWatch, count_failures, failure_metrics
from reward_models.judges.client.job_steps import StepCollector

_NAMES = {"attempts": "requests"}
_GROUPS = {"unscored_": "calls_unscored/", "failed_": "requests_failed/"}


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
