"""Reward columns as reward functions may hand them over: what they mean is read, what they cannot mean is named."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver.columns import (
    criteria_columns,
    failure_columns,
    outcome_range_columns,
    outcome_valid_column,
    require_columns,
    score_columns,
    valid_columns,
)

ONE = ("reasoning",)


@pytest.mark.parametrize("value", [1, 1.0, True, np.float32(1), np.bool_(True), np.array(1), torch.tensor(1)])
def test_marks_that_mean_yes(value):
    assert valid_columns([{"v": value}], ["v"]).tolist() == [[True]]


@pytest.mark.parametrize("value", [None, math.nan, "False", "1", 0.5, 2, [1], {}])
def test_marks_that_mean_nothing_are_named(value):
    with pytest.raises(AwpoSetupError, match=r"column 'v' of the reward function is .* for rollout 1 of 2; allowed: 1"):
        valid_columns([{"v": 1}, {"v": value}], ["v"])
    with pytest.raises(AwpoSetupError, match="column 'v'"):
        outcome_valid_column([{"v": value}], "v")


def test_scores_are_read_where_they_are_valid_only():
    infos = [{"reasoning": value} for value in (0.25, None, "none", math.nan, np.float32(1))]
    valid = torch.tensor([[True], [False], [False], [False], [True]])
    scores = score_columns(infos, ONE, valid)
    assert scores[valid].tolist() == [0.25, 1.0] and scores[~valid].isnan().all()


@pytest.mark.parametrize("value", [None, "0.5", math.nan, math.inf, 1.7, -0.1, [0.5]])
def test_a_valid_score_that_is_none_is_named(value):
    with pytest.raises(AwpoSetupError, match=r"column 'reasoning' .* allowed: a score in \[0, 1\]"):
        score_columns([{"reasoning": value}], ONE, torch.tensor([[True]]))


def test_rounding_is_no_fault():
    assert score_columns([{"reasoning": 1 + 1e-7}], ONE, torch.tensor([[True]])).tolist() == [[1.0]]


def test_failures_are_codes_or_names():
    infos = [{"f": 2.0}, {"f": "timeout"}, {"f": None}, {"f": "gremlins"}, {}]
    codes = failure_columns(infos, ["f"])[:, 0]
    assert codes[:2].tolist() == [2.0, 2.0] and codes[2:].isnan().all()


def test_an_outcome_counts_where_no_column_says_otherwise():
    assert outcome_valid_column([{}, {"v": 0.0}, {"v": True}], "v").tolist() == [True, False, True]


def test_a_column_that_some_rollouts_lack_is_named():
    with pytest.raises(AwpoSetupError, match=r"column 'reasoning' is missing from the reward of 1 of 2 .*\['score'\]"):
        require_columns([{"reasoning": 0.1}, {"score": 1.0}], ONE)


def test_the_range_of_a_row_is_its_own():
    infos = [{"outcome_min": 0.0, "outcome_max": 1.0}, {}]
    assert outcome_range_columns(infos, -3.0, 4.0).tolist() == [[0.0, 1.0], [-3.0, 4.0]]
    for bad in ({"outcome_max": None}, {"outcome_min": math.nan}, {"outcome_min": 4.0, "outcome_max": 4.0}):
        with pytest.raises(AwpoSetupError, match="outcome_m"):
            outcome_range_columns([bad], -3.0, 4.0)


def test_the_parts_of_a_score_are_read_where_every_rollout_has_them():
    infos = [
        {"criterion_plan": 0.5, "criterion_rare": 1.0, "reasoning": 0.5},
        {"criterion_plan": math.nan, "reasoning": math.nan},
        {"criterion_plan": "none", "reasoning": 1.0},
    ]
    found = criteria_columns(infos)
    assert (
        list(found) == ["plan"]
        and found["plan"].tolist()[0] == 0.5
        and found["plan"].isnan().tolist()[1:] == [True] * 2
    )
    assert criteria_columns([]) == {}
