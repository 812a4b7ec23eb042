"""The found cases, and a short run of the fuzzer; a million inputs under AWPO_TEST_PROFILE=deep."""

import os

import pytest

from tests.fuzz.fuzz_parsing import Target, fuzz, read_corpus

INPUTS = 1_000_000 if os.environ.get("AWPO_TEST_PROFILE") == "deep" else 20_000


def test_the_found_cases_stay_closed():
    target = Target()
    for dialect, text in read_corpus():
        target.run(dialect, text)
    assert target.inputs >= 30
    assert target.failures == []


@pytest.mark.parametrize("of", ["parsing", "strict"])
@pytest.mark.timeout(3600)
def test_random_inputs_break_nothing(of):
    summary = fuzz(INPUTS, of=of)
    assert summary["inputs"] >= INPUTS
    # Times are the script's to judge: tests run on busy machines.
    assert summary["failures"] == []
