"""Reason numbers are logged: distinct, fixed, and there for every reason of the verifiers here."""

import pytest

from reward_models.parsing import ParseCode
from reward_models.verifiers import composite, irrelevance, strict, toolrl
from reward_models.verifiers.compare import Difference
from reward_models.verifiers.format import FormatCode
from reward_models.verifiers.matching import MatchCode
from reward_models.verifiers.reasons import REASON_CODES, UNLISTED, reason_code
from reward_models.verifiers.tools import pool


def test_numbers_are_distinct_and_exact_in_a_float_column():
    assert len(set(REASON_CODES.values())) == len(REASON_CODES) and UNLISTED not in REASON_CODES.values()
    assert all(0 < code < 2**20 for code in REASON_CODES.values())


@pytest.mark.parametrize(
    "codes", [ParseCode, MatchCode, FormatCode, toolrl.Reason, set(Difference) - {Difference.EQUAL}]
)
def test_every_code_has_a_number(codes):
    assert not {code.value for code in codes} - REASON_CODES.keys()


def test_every_other_reason_has_a_number():
    names = (
        composite.GATED,
        irrelevance.ABSTAINED,
        irrelevance.CALLED,
        strict.NO_CALL,
        pool.WORKER_DIED,
        pool.WORKER_HUNG,
    )
    assert UNLISTED not in map(reason_code, names)
    assert reason_code("one of your own") == UNLISTED


def test_numbers_stay():
    # Logged runs are read by these: add, never change.
    assert {
        name: reason_code(name) for name in ("exact", "abstained", "well_formed", "partial", "too_long", "gated")
    } == {
        "exact": 1,
        "abstained": 2,
        "well_formed": 3,
        "partial": 10,
        "too_long": 100,
        "gated": 304,
    }
