"""Verdict values: the range of a score, and codes that must not move."""

import math
import pickle

import pytest

from reward_models import Scored, Unscored, UnscoredReason


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_a_score_outside_of_the_unit_interval_is_refused(value):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Scored(value)


@pytest.mark.parametrize("value", [0, 1, 0.5, True])
def test_a_score_is_kept_as_float(value):
    assert type(Scored(value).value) is float


def test_codes_are_stable():
    assert {reason.value: reason.code for reason in UnscoredReason} == {
        "judge_disabled": 1,
        "timeout": 2,
        "refused": 3,
        "rate_limited": 4,
        "bad_verdict": 5,
        "budget": 6,
        "load_failed": 7,
        "error": 8,
        "no_evidence": 9,
    }


def test_a_reason_may_be_given_by_name_and_survives_pickling():
    verdict = Unscored("timeout", "30 s")
    assert verdict.reason is UnscoredReason.TIMEOUT
    assert pickle.loads(pickle.dumps(verdict)) == verdict


def test_an_unknown_reason_is_refused():
    with pytest.raises(ValueError, match="tired"):
        Unscored("tired")
