"""The trainer's hooks tell the judge's watch when a step begins and ends, and leave verl's own hooks their turn."""

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.guard.options import GuardOptions
from awpo_ext.record.options import RecordOptions
from awpo_ext.verl_plugin.driver.guarding import RunGuard
from awpo_ext.verl_plugin.driver.recording import RunRecorder
from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin


class Verl:
    """As much of verl's trainer as the hooks meet."""

    global_steps = 1

    def on_train_begin(self):
        self.seen.append("verl trains")

    def on_step_begin(self):
        self.seen.append("verl's step")

    def on_validate_begin(self):
        self.seen.append("verl validates")

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        metrics["verl"] = 1.0


class Trainer(AwpoTrainerMixin, Verl):
    def __init__(self, judge):
        self._judge, self.seen = judge, []
        self._recorder = RunRecorder(None, None, RecordOptions(enable=False))
        self._guard = RunGuard(GuardOptions(enable=False), None, None)


class Judge:
    def __init__(self):
        self.seen = []

    def begin_step(self):
        self.seen.append("step")

    def begin_validation(self):
        self.seen.append("validation")

    def end_step(self, step):
        self.seen.append(f"end {step}")
        return {"awpo/judge/calls": 3.0}


def run(trainer):
    metrics = {}
    trainer.on_train_begin()
    trainer.on_step_begin()
    trainer.on_validate_begin()
    trainer._compute_metrics(None, metrics, {}, 1, 0)
    return metrics


def test_steps_begin_and_end_and_what_came_before_is_step_0():
    judge = Judge()
    trainer = Trainer(judge)
    assert run(trainer) == {"verl": 1.0, "awpo/judge/calls": 3.0}
    assert judge.seen == ["end 0", "step", "validation", "end 1"]
    assert trainer.seen == ["verl trains", "verl's step", "verl validates"]


def test_a_run_without_awpo_is_left_alone():
    trainer = Trainer(None)
    assert run(trainer) == {"verl": 1.0}
    assert trainer.seen == ["verl trains", "verl's step", "verl validates"]
