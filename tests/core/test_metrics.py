"""What is logged: it is what the result says, and nothing is logged as 0 that was not measured."""

import math

import torch
from batches import batches
from hypothesis import given

from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics

CONFIG = AwpoConfig()


def metrics_of(outcome, reasoning, group, valid):
    result = awpo_advantages(outcome, reasoning, group, CONFIG, valid)
    columns = [torch.tensor(column, dtype=torch.float64) for column in (outcome, reasoning)]
    radius = clip_radius(result.gate, CONFIG)
    return awpo_metrics(result, *columns, torch.tensor(valid, dtype=torch.bool), radius)


@given(batches())
def test_every_value_is_a_finite_number(batch):
    assert all(math.isfinite(value) for value in metrics_of(**vars(batch)).values())


def test_values_of_a_small_batch():
    metrics = metrics_of(
        [0.0, 1.0, 4.0, 4.0], [0.0, 1.0, math.nan, 0.5], ["a", "a", "b", "b"], [True, True, False, True]
    )
    assert metrics["awpo/reasoning/valid_fraction"] == 0.75
    assert metrics["awpo/reasoning/mean"] == 0.5
    assert metrics["awpo/frac_reward_zero_std"] == 0.5
    assert metrics["awpo/closed/too_few_valid"] == 0.5
    assert metrics["awpo/outcome/mean"] == 2.25


def test_what_was_not_measured_is_left_out():
    metrics = metrics_of([1.0, 2.0], [math.nan, math.nan], ["a", "a"], [False, False])
    assert metrics["awpo/reasoning/valid_fraction"] == 0.0
    assert "awpo/reasoning/mean" not in metrics and "awpo/reasoning/outcome_correlation" not in metrics
