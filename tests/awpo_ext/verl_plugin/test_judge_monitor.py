"""The watch on the judge's failures: counted from columns, said once, and the end of a run that was told to end."""

import logging
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.driver.judge_monitor import (
    REASONS,
    JudgeFailedError,
    JudgeSteps,
    JudgeWatch,
    count_failures,
    criteria_metrics,
    failure_metrics,
    ledger_metrics,
)
from reward_models.llm_client.totals import Entry, Totals
from reward_models.types import UnscoredReason


def batch(*reasons):
    """(valid, failure), one signal; None is a score."""
    codes = [0 if reason is None else UnscoredReason(reason).code for reason in reasons]
    return torch.tensor([[reason is None] for reason in reasons]), torch.tensor(codes).double().unsqueeze(1)


def watch_steps(steps, share=math.inf, over=3):
    """What was logged, and the step before which the run ended, for steps of (failed, of how many)."""
    watch = JudgeWatch(share, over)
    for step, (failed, count) in enumerate(steps, start=1):
        try:
            watch.raise_if_failed()
        except JudgeFailedError as error:
            return step, str(error)
        watch.add(count_failures(*batch(*["timeout"] * failed, *[None] * (count - failed))))
        watch.end_step(step)
    return None, ""


def test_failures_are_counted_by_reason():
    failures = count_failures(*batch(None, "timeout", "timeout", "error", "judge_disabled", "no_evidence", None, None))
    assert failures.judgements == 8 and failures.share == 3 / 8
    assert str(failures) == "timeout 25%, error 12%"
    metrics = failure_metrics(failures)
    assert metrics["awpo/judge/failed/timeout"] == 0.25 and metrics["awpo/judge/failed/no_evidence"] == 0.125
    assert set(metrics) == {"awpo/judge/failed_share", *(f"awpo/judge/failed/{reason}" for reason in REASONS)}


def test_a_reward_function_without_reasons_is_counted_too():
    valid = torch.tensor([[True, False], [False, True]])
    failures = count_failures(valid, torch.full((2, 2), math.nan))
    assert failures.reasons == {"untold": 2} and failures.share == 0.5


def test_an_empty_batch_has_no_shares():
    nothing = count_failures(torch.zeros(0, 1, dtype=torch.bool), torch.zeros(0, 1))
    assert failure_metrics(nothing) == {} and nothing.share == 0.0


@given(st.lists(st.lists(st.sampled_from([None, *UnscoredReason]), min_size=1, max_size=6), min_size=1, max_size=5))
def test_verls_mean_over_mini_batches_is_the_steps_share(batches):
    counted = [count_failures(*batch(*reasons)) for reasons in batches]
    whole = sum(counted[1:], counted[0])
    sizes = [failures.judgements for failures in counted]
    for key, value in failure_metrics(whole).items():
        parts = [failure_metrics(failures)[key] for failures in counted]
        assert sum(part * size for part, size in zip(parts, sizes, strict=True)) / sum(sizes) == pytest.approx(value)
        assert not any(word in key for word in ("max", "min", "sum", "total"))  # of these verl takes no mean


def test_down_and_back_are_said_once_each(caplog):
    with caplog.at_level(logging.WARNING, logger="awpo_ext"):
        watch_steps([(0, 8), (8, 8), (8, 8), (3, 8), (1, 8), (0, 8), (5, 8), (0, 8)])
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR", "WARNING"]
    first, back, again, _ = (record.getMessage() for record in caplog.records)
    assert "Step 2: no score for 100 % of the judgements (timeout 100%)" in first
    assert "judge_kwargs.timeout_s" in first and "judge_stop_share" in first
    assert "Step 5" in back and "is back" in back and "Step 7" in again


def test_a_judge_that_is_off_is_not_down(caplog):
    watch = JudgeWatch(0.5, 1)
    watch.add(count_failures(*batch(*["judge_disabled"] * 4)))
    watch.end_step(1)
    watch.raise_if_failed()
    assert not caplog.records


def test_the_run_ends_at_the_share_over_the_steps_and_says_why():
    assert watch_steps([(8, 8)] * 9) == (None, "")
    assert watch_steps([(8, 8)] * 9, share=1.0, over=1)[0] == 2
    step, message = watch_steps([(0, 8), (8, 8), (8, 8), (8, 8)], share=0.6, over=3)
    assert step == 4
    for part in (
        "67% of 24 judgements in steps 1 to 3",
        "timeout 67%",
        "algorithm.awpo.judge_stop_share=0.6",
        "resume",
    ):
        assert part in message


@given(
    st.lists(st.tuples(st.integers(0, 6), st.just(6)), max_size=12),
    st.sampled_from([0.01, 0.25, 0.5, 0.75, 1.0]),
    st.integers(1, 4),
)
def test_it_ends_where_a_slow_reference_says(steps, share, over):
    expected = None
    for seen in range(over, len(steps)):
        failed, count = (sum(column) for column in zip(*steps[seen - over : seen], strict=True))
        if failed / count >= share:
            expected = seen + 1
            break
    assert watch_steps(steps, share, over)[0] == expected


class Collector:
    """A collector whose totals are given; knows what it was asked."""

    def __init__(self, totals):
        self.totals, self.begun, self.lines = totals, 0, []

    def begin(self):
        self.begun += 1

    def collect(self, step, **extra):
        self.lines.append({"step": step, **extra})
        return self.totals.summary(), self.totals.summary()


def test_a_step_of_the_trainer():
    totals = Totals()
    totals.add(Entry("answer", "server", attempts=3, failures={"timeout": 2}, prompt_tokens=7, latency_s=0.5))
    collector = Collector(totals)
    judge = JudgeSteps(AwpoConfig(judge_stop_share=0.5, judge_stop_steps=1), collector)
    judge.begin_step()
    judge.begin_validation()
    assert judge.add(*batch(None, None, "timeout", None))["awpo/judge/failed_share"] == 0.25
    judge.add(*batch("error", "error", "error", None))
    metrics = judge.end_step(1)
    assert metrics["awpo/judge/prompt_tokens"] == metrics["awpo/judge/run/prompt_tokens"] == 7
    assert metrics["awpo/judge/requests"] == 3 and metrics["awpo/judge/requests_failed/timeout"] == 2
    assert "awpo/judge/requests_failed/quota" not in metrics and metrics["awpo/judge/latency_p95_s"] == 0.5
    rollouts = {"judgements": 8, "failed_share": 0.5, "failed": {"error": 3, "timeout": 1}}
    assert collector.lines == [{"step": 1, "rollouts": rollouts}] and collector.begun == 2
    with pytest.raises(JudgeFailedError):
        judge.begin_step()


def test_a_judge_without_the_client_has_no_ledger_metrics():
    assert ledger_metrics(Totals().summary(), Totals().summary()) == {}
    judge = JudgeSteps(AwpoConfig(), None)
    judge.begin_step()
    assert judge.add(*batch(None))["awpo/judge/failed_share"] == 0.0 and judge.end_step(1) == {}


def test_each_part_of_a_score_has_its_mean_and_none_where_nothing_was_scored():
    criteria = {"plan": torch.tensor([0.5, torch.nan, 1.0]), "lost": torch.tensor([torch.nan])}
    assert criteria_metrics(criteria) == {"awpo/judge/criterion/plan": 0.75}
