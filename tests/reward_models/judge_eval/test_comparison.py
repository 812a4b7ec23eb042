"""Judges side by side: the better one is found, chance is not taken for one, other rows are refused."""

import json
import math

import numpy as np
import pytest

from reward_models.judge_eval.comparison import compare
from reward_models.judge_eval.measures import RowResult
from reward_models.judge_eval.report import Results, read_results
from reward_models.labelled import HONEST


def results(name, strength, seed, sources=40, missing=(), rows_hash="same"):
    rng, rows = np.random.default_rng(seed), []
    for number in range(sources):
        for kind in (HONEST, "swapped", "empty"):
            honest = kind == HONEST
            score = min(1.0, max(0.0, 0.5 + strength * (0.25 if honest else -0.25) + rng.normal() / 8))
            pair = None if honest else f"{number} {HONEST}"
            key, scored = f"{number} {kind}", number not in missing
            rows.append(RowResult(key, f"s{number}", kind, float(honest), pair, 50, score if scored else None, "error"))
    return Results(name, rows_hash, rows)


def test_the_better_judge_is_significantly_better():
    found = compare([results("poor", 0.1, 0), results("good", 1.0, 1)])
    by_measure = {test.measure: test for test in found.overall_tests}
    for measure in ("AUC", "pair accuracy", "Spearman"):
        assert by_measure[measure].significant and by_measure[measure].better == "good"
        assert by_measure[measure].difference.high < 0  # first minus second
    assert {test.measure for test in found.kind_tests if test.better == "good"} == {"swapped", "empty"}
    assert found.overall["AUC"]["good"].value > 0.9 > found.overall["AUC"]["poor"].value
    assert not by_measure["length"].significant and math.isnan(by_measure["length"].p)  # all of one length


def test_a_lower_ece_is_better():
    sharp, sure = results("sharp", 1.0, 0), results("sure", 1.0, 0)
    off = [RowResult(**{**vars(row), "score": row.score / 3}) for row in sure.rows]
    found = compare([Results("off", "same", off), sharp])
    ece = next(test for test in found.overall_tests if test.measure == "ECE")
    assert ece.difference.value > 0 and ece.better == "sharp"
    other = next(test for test in compare([sharp, Results("off", "same", off)]).overall_tests if test.measure == "ECE")
    assert other.better == "sharp" and other.difference.value < 0 < other.lead.low < other.lead.value


def test_equal_judges_do_not_differ():
    found = compare([*(results(name, 0.5, 0, sources=8) for name in "abc")])
    tests = found.overall_tests + found.kind_tests
    assert len(tests) == 3 * (5 + 2) and not any(test.significant for test in tests)


def test_rows_that_one_judge_did_not_score_are_left_out_for_all():
    found = compare([results("a", 1.0, 0, missing=(3,)), results("b", 1.0, 1, missing=(4, 5))])
    assert found.rows == 3 * 37 and found.left_out == 9


def test_without_common_rows_nothing_is_claimed():
    found = compare([results("a", 1.0, 0, missing=range(40)), results("b", 1.0, 1)])
    assert found.rows == 0 and not any(test.significant for test in found.overall_tests + found.kind_tests)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="'a' and 'b' were measured on different rows"):
        compare([results("a", 1, 0), results("b", 1, 0, rows_hash="other")])
    with pytest.raises(ValueError, match="one name"):
        compare([results("a", 1, 0), results("a", 1, 1)])
    with pytest.raises(ValueError, match="at least two"):
        compare([results("a", 1, 0)])


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 0}', '{"format": 1, "rows": [{}], "name": "a"}'])
def test_a_file_that_is_no_report_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: not a report"):
        read_results(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"b\.json: cannot be read"):
        read_results(tmp_path / "b.json")


def test_a_written_report_is_read_back(tmp_path):
    rows = results("a", 1.0, 0, sources=2, missing=(1,)).rows
    value = {"format": 1, "name": "a", "data": {"rows_hash": "h"}, "rows": [vars(row) for row in rows]}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert read_results(tmp_path / "a.json") == Results("a", "h", rows)
