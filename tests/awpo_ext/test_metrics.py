"""What is logged: it is what the result says, and nothing is logged as 0 that was not measured."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics
from tests.awpo_ext.batches import NAN, Batch, batches, cases, many, run


def metrics_of(batch, config=AwpoConfig()):
    result = run(batch, config)
    columns = [torch.tensor(column, dtype=torch.float64) for column in (batch.outcome, batch.reasoning)]
    valid = torch.tensor(batch.valid, dtype=torch.bool)
    shape = (len(batch), config.signals)
    radius = clip_radius(result.gate, config)
    outcome_valid = torch.tensor(batch.outcome_valid, dtype=torch.bool)
    return awpo_metrics(
        result, columns[0], columns[1].reshape(shape), valid.reshape(shape), radius, config, outcome_valid
    )


def small(**columns):
    n = len(columns["outcome"])
    return Batch(**{"outcome_valid": [True] * n, "kl_penalty": [0.0] * n, "tokens": [1] * n, **columns})


@many
@given(cases())
def test_every_value_is_a_finite_number(case):
    assert all(math.isfinite(value) for value in metrics_of(*case).values())


@many
@given(batches(min_groups=1))
def test_gate_quantiles_are_ordered_between_its_ends(batch):
    m = metrics_of(batch)
    keys = ("min", "p10", "p25", "p50", "p75", "p90", "max")
    values = [m[f"awpo/gate/{key}"] for key in keys]
    assert all(higher - lower > -1e-12 for lower, higher in pairwise(values))
    assert values[0] - 1e-12 < m["awpo/gate/mean"] < values[-1] + 1e-12


def test_values_of_a_small_batch():
    metrics = metrics_of(
        small(
            outcome=[0.0, 1.0, 4.0, 4.0],
            reasoning=[[0.0], [1.0], [NAN], [0.5]],
            group=["a", "a", "b", "b"],
            valid=[[True], [True], [False], [True]],
        )
    )
    assert metrics["awpo/reasoning/valid_fraction"] == 0.75
    assert metrics["awpo/reasoning/mean"] == 0.5
    assert metrics["awpo/reasoning/frac_reward_zero_std"] == 0.0  # of group a alone: b has one score
    assert metrics["awpo/reasoning/signal_power"] == pytest.approx(1 / 3, abs=1e-5)  # +-1/sqrt(2), and 0 alone
    assert metrics["awpo/frac_reward_zero_std"] == 0.5
    assert metrics["awpo/closed/too_few_valid"] == 0.5
    assert metrics["awpo/outcome/mean"] == 2.25


def test_several_signals_have_a_name_each():
    batch = small(
        outcome=[0.0, 1.0],
        reasoning=[[0.0, 0.25], [1.0, NAN]],
        group=["a", "a"],
        valid=[[True, True], [True, False]],
    )
    metrics = metrics_of(batch, AwpoConfig(reasoning_key=["relevance", "grounding"]))
    assert metrics["awpo/reasoning/relevance/mean"] == 0.5
    assert metrics["awpo/reasoning/grounding/mean"] == 0.25
    assert metrics["awpo/reasoning/grounding/valid_fraction"] == 0.5
    assert "awpo/reasoning/mean" not in metrics


def test_what_was_not_measured_is_left_out():
    batch = small(outcome=[1.0, 2.0], reasoning=[[NAN], [NAN]], group=["a", "a"], valid=[[False], [False]])
    metrics = metrics_of(batch)
    assert metrics["awpo/reasoning/valid_fraction"] == 0.0
    assert "awpo/reasoning/mean" not in metrics and "awpo/reasoning/outcome_correlation" not in metrics
