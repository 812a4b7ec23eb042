"""The figures of benchmarks/readings.py on made-up readings, and the file of readings itself."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from reward_models.labelled import LabelledRollout, read_labelled
from reward_models.rollout_view import read_rollout
from tests.paths import ROOT
from tests.reward_models.scorers.helpers import honest_rollout

sys.path.insert(0, str(ROOT / "benchmarks"))
import readings


def row(number, group, a, b, step=0):
    about = {"reader_a": a, "reader_b": b, "group": group, "phase": "train", "step": step}
    return LabelledRollout(f"r{number}", f"s{group}", "rollout", (a + b) / 20, honest_rollout(number), None, about)


ROWS = [
    row(0, "x", 9, 8),
    row(1, "x", 2, 3),
    row(2, "x", 5, 4),
    row(3, "y", 8, 2),
    row(4, "y", 3, 6),
    row(5, "z", 1, 1),
]


def test_pairs_are_of_one_group_and_both_readers_agree_on_their_order():
    assert readings.pairs_within(ROWS, readings.readings(ROWS)) == [(0, 1), (0, 2), (2, 1)]


def test_a_judge_that_reads_like_the_readers_is_right_and_its_opposite_wrong():
    means = readings.readings(ROWS).mean(axis=1) / 10
    right, wrong = readings.figures(ROWS, means), readings.figures(ROWS, 1 - means)
    assert right["auc"].value == right["pair accuracy"].value == 1
    assert wrong["auc"].value == wrong["pair accuracy"].value == 0
    assert right["groups"] == 2 and right["groups above the noise floor"] == 0.5


def test_what_was_not_scored_is_left_out_and_counted():
    scores = np.array([0.9, np.nan, 0.4, 0.5, 0.5, 0.1])
    found = readings.figures(ROWS, scores)
    assert found["rows"] == 5 and found["unscored"] == 1 and found["pairs"] == 1


def test_agreement_counts_neighbours_and_sides():
    found = readings.agreement(ROWS)
    assert found["within two points"] == pytest.approx(4 / 6) and found["good (mean above 5)"] == 1


def test_the_readings_are_whole():
    rows = read_labelled(readings.ROLLOUTS)
    read = readings.readings(rows)
    assert len(rows) >= 100 and ((read >= 0) & (read <= 10)).all()
    assert all(item.label == pytest.approx(grades.mean() / 10) for item, grades in zip(rows, read, strict=True))
    assert all(item.provenance["why_a"] and item.provenance["why_b"] for item in rows)
    assert all(read_rollout(item.rollout).question for item in rows)
    assert replace(rows[0]) == rows[0] and len({item.provenance["group"] for item in rows}) > 20
