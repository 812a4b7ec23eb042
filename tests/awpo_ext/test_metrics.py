"""What is logged: it is what the result says, and nothing is logged as 0 that was not measured."""

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics, metric_name
from tests.awpo_ext.batches import NAN, Batch, batches, cases, many, rng_batch, run


def metrics_of(batch, config=AwpoConfig()):
    result = run(batch, config)
    columns = [torch.tensor(column, dtype=torch.float64) for column in (batch.outcome, batch.reasoning)]
    valid = torch.tensor(batch.valid, dtype=torch.bool)
    shape = (len(batch), config.signals)
    radius = clip_radius(result.gate, config, result.verified)
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
    if not any(batch.outcome_valid):
        assert not any(key.startswith("awpo/gate") for key in m)
        return
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


@given(cases(min_groups=1))
def test_what_was_not_verified_moves_no_metric_but_its_own_share(case):
    batch, config = case
    config = replace(config, whiten=False)
    verified = [i for i, valid in enumerate(batch.outcome_valid) if valid]
    with_, without = metrics_of(batch, config), metrics_of(batch.permuted(verified), config)
    del with_["awpo/outcome/valid_fraction"]
    without.pop("awpo/outcome/valid_fraction", None)
    assert with_ == pytest.approx(without, rel=1e-6, abs=1e-6)


def test_a_group_is_without_variance_when_its_outcomes_are_whatever_the_kl_penalty():
    batch = small(
        outcome=[-3.0] * 4, reasoning=[[0.5]] * 4, group=["a"] * 4, valid=[[True]] * 4, kl_penalty=[0.1, 0.2, 0.3, 0.4]
    )
    assert metrics_of(batch)["awpo/frac_reward_zero_std"] == 1.0


def test_leverage_is_the_judges_share_of_the_update():
    batch = small(
        outcome=[-3.0, 4.0, -3.0, -3.0], reasoning=[[1.0], [0.0], [0.0], [1.0]], group=list("aabb"), valid=[[True]] * 4
    )
    silent = metrics_of(batch, AwpoConfig(gate="none"))
    assert [silent[f"awpo/leverage/{key}"] for key in ("mean", "informative", "equal")] == [0.0, 0.0, 0.0]
    alone = metrics_of(batch, AwpoConfig(gate="always", integration="reasoning", difficulty="none"))
    # +-0.71 in both groups: in a the judge turns the outcome round (a step of twice its size), in b it is all there is
    assert alone["awpo/leverage/informative"] == pytest.approx(2.0, abs=1e-5)
    assert alone["awpo/leverage/equal"] == pytest.approx(0.5**0.5, abs=1e-5)
    assert alone["awpo/leverage/mean"] == pytest.approx(2.5**0.5, abs=1e-5)


@given(cases(min_groups=1))
def test_leverage_is_what_is_left_beside_the_outcome_only_update(case):
    batch, config = case
    config = replace(config, whiten=False)
    with_, without = run(batch, config).advantages, run(batch, replace(config, gate="none")).advantages
    if config.difficulty_target == "reasoning" or not (with_.abs() > 1e-6).any():
        return
    expected = float((with_ - without).square().sum() / with_.square().sum()) ** 0.5
    assert metrics_of(batch, config)["awpo/leverage/mean"] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.text(alphabet="sumaxintolvg_/", min_size=1, max_size=12))
def test_verl_averages_every_metric_but_the_gates_ends(key):
    batch = rng_batch(0, groups=2, size=2, signals=2)
    names = set(metrics_of(batch, AwpoConfig(reasoning_key=[key, f"{key}2"])))
    other = {name for name in names if re.search("max|min|sum|total", name.lower())}
    assert other == {"awpo/gate/max", "awpo/gate/min"}


def test_verl_reduces_by_those_words():
    utils = pytest.importorskip("verl.trainer.ppo.v1.utils", reason="needs verl")
    reduced = utils.MetricsAggregator()._get_aggregation_type
    for key in ("summary", "determinism", "maximality", "subtotal", "relevance", "timing_s", "x_lr"):
        assert reduced(f"awpo/reasoning/{metric_name(key)}/mean") == "weighted_avg"
    assert reduced("awpo/gate/max") == "max" and reduced("awpo/gate/min") == "min"
