"""ToolRL's outcome with other maxima: the schedule over steps, the range, and options that do not fit."""

import pytest

from reward_models import Rollout
from reward_models.verifiers import make_verifier
from tests.reward_models.strategies import tagged
from tests.reward_models.verifiers.toolrl_cases import CALL, TRUTH, verify


def scheduled(step, response, **options):
    published = {"format_start": 2, "correctness_start": 2, "schedule_steps": 150}
    verifier = make_verifier("toolrl", **{**published, **options})
    outcome = verifier.verify(Rollout("", "", response, TRUTH, "test", extra_info={"global_steps": step}))
    low, high = verifier.outcome_range
    assert low <= outcome.outcome <= high
    return outcome.format, outcome.correctness


@pytest.mark.parametrize(("step", "maxima"), [(0, (2.0, 2.0)), (75, (1.5, 2.5)), (150, (1.0, 3.0)), (900, (1.0, 3.0))])
def test_a_linear_schedule_moves_weight_from_format_to_correctness(step, maxima):
    format_max, correctness_max = maxima
    assert scheduled(step, tagged("t", calls=[CALL])) == (format_max, correctness_max)
    assert scheduled(step, "nothing") == (0.0, -correctness_max)


@pytest.mark.parametrize(("step", "floor"), [(0, -2.0), (30, -1.6), (75, -1.0), (150, -1.0), (900, -1.0)])
def test_the_published_code_moves_the_floor_of_the_format_too(step, floor):
    right, wrong = tagged("t", calls=[CALL]), "nothing"
    assert scheduled(step, right, schedule_form="code") == scheduled(step, right)
    (low, correctness), (_, same) = scheduled(step, wrong, schedule_form="code"), scheduled(step, wrong)
    assert low == pytest.approx(floor) and correctness == same


def test_the_range_belongs_to_the_row_and_the_step():
    published = {"format_start": 2, "correctness_start": 2, "schedule_steps": 150, "schedule_form": "code"}
    code = make_verifier("toolrl", **published)

    def limits(step, truth, verifier=code):
        return verifier.verify(Rollout("", "", "", truth, "", {"global_steps": step})).limits

    no_call = tagged("t", response="r")
    assert code.outcome_range == (-4.0, 4.0)
    assert limits(0, TRUTH) == (-4.0, 4.0) and limits(75, TRUTH) == (-3.5, 4.0)
    assert limits(0, no_call) == (-2.0, 2.0) and limits(150, no_call) == (-1.0, 1.0)
    plain = make_verifier("toolrl")
    assert limits(None, TRUTH, plain) == (-3.0, 4.0) and limits(None, no_call, plain) == (0.0, 1.0)
    with pytest.raises(ValueError, match="schedule_form='x'"):
        make_verifier("toolrl", schedule_form="x")


def test_another_range_scales_the_same_score():
    response = tagged("t", calls=[CALL, {"name": "g", "parameters": {}}])
    published, scaled = verify(response), make_verifier("toolrl", correctness_max=1.0)
    outcome = scaled.verify(Rollout("", "", response, TRUTH, "test"))
    assert outcome.correctness == pytest.approx(published.correctness / 3)
    assert scaled.outcome_range == (-1.0, 2.0)


@pytest.mark.parametrize("step", [None, -1, "7", True])
def test_a_schedule_without_a_step_is_bad_data(step):
    with pytest.raises(ValueError, match=r"schedule_steps needs extra_info\['global_steps'\]"):
        scheduled(step, "nothing")


@pytest.mark.parametrize("options", [{"correctness_max": 0}, {"schedule_steps": 1.5}, {"format_max": "1"}])
def test_options_that_do_not_fit_are_named(options):
    (key,) = options
    with pytest.raises(ValueError, match=f"verifier 'toolrl': {key}="):
        make_verifier("toolrl", **options)
