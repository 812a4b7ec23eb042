"""Weights, gates, and a range that nobody types."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.parsing import ToolCall, render_response
from reward_models.verifiers import Outcome, Verifier, make_verifier
from tests.reward_models.strategies import tag_soup

TRUTH = render_response([ToolCall("f", {"a": 1})], "toolrl", thought="t")
STRAY = TRUTH + " bye"
TOOLRL = {"dialect": "toolrl"}


class Broken(Verifier):
    """As if its machinery had failed."""

    outcome_range = (-1.0, 1.0)
    heavy = True

    def verify(self, rollout):
        return Outcome(0.0, 0.0, "worker_died", valid=False)


class Pointless(Broken):
    outcome_range = (1.0, 1.0)


BROKEN, POINTLESS = f"{__name__}:Broken", f"{__name__}:Pointless"


def composite(**options):
    return make_verifier("composite", **options)


def verify(verifier, response, truth=TRUTH):
    return verifier.verify(Rollout("", "", response, truth, "", {}))


def test_weights_are_what_a_perfect_answer_gets():
    verifier = composite(parts={"format": 1, "strict": 3})
    assert verifier.outcome_range == (0.0, 4.0)
    perfect = verify(verifier, TRUTH)
    assert (perfect.format, perfect.correctness, perfect.reason) == (
        1.0,
        3.0,
        "well_formed",
    ) or perfect.reason == "exact"
    assert perfect.parts == {"format": 1.0, "strict": 1.0}
    worst = verify(verifier, "")
    assert (worst.outcome, worst.reason, worst.parts) == (0.0, "no_action", {"format": 0.0, "strict": 0.0})
    wrong = verify(verifier, render_response([ToolCall("f", {"a": 2})], "toolrl", thought="t"))
    # strict: 1 for the format and 6 * (1 - 2 / 6) - 3 for the calls, of [-3, 4].
    assert wrong.correctness == pytest.approx(3 * (1 + 1 + 3) / 7)
    assert wrong.reason == "wrong_value" and set(wrong.reasons) == {"well_formed", "wrong_value"}


def test_no_correctness_without_format():
    options = {"parts": {"format": 1, "strict": 3}, "options": {"format": TOOLRL, "strict": TOOLRL}}
    open_, gated = composite(**options), composite(**options, gates={"strict": "format"})
    assert gated.outcome_range == open_.outcome_range == (0.0, 4.0)
    assert verify(open_, STRAY).correctness == pytest.approx(3 * 6 / 7)
    outcome = verify(gated, STRAY)
    assert (outcome.outcome, outcome.reason, outcome.parts) == (0.0, "gated", {"format": 0.0, "strict": 0.0})
    assert "stray_text" in outcome.reasons and "gated" in outcome.reasons
    assert verify(gated, TRUTH).outcome == 4.0
    # Nothing to gate: the reason says what is wrong.
    assert verify(gated, "").reason == "no_action"


@given(tag_soup, st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3), st.booleans())
def test_any_text_is_in_the_computed_range_and_a_perfect_one_at_its_end(response, weights, gate):
    verifier = composite(
        parts=dict(zip(["strict", "format", "toolrl"], weights, strict=True)),
        gates={"strict": "format"} if gate else {},
    )
    low, high = verifier.outcome_range
    assert low <= verify(verifier, response).outcome <= high
    assert verify(verifier, TRUTH).outcome == high


def test_a_gate_may_be_any_part_and_gates_do_not_cascade():
    verifier = composite(
        parts={"format": 1, "strict": 1, "toolrl": 1},
        options={"format": TOOLRL, "strict": TOOLRL},
        gates={"strict": "format", "toolrl": "strict"},
    )
    for response, shares in [(TRUTH, (1.0, 1.0, 1.0)), (STRAY, (0.0, 0.0, 0.0))]:
        assert tuple(verify(verifier, response).parts.values()) == shares


def test_heavy_and_invalid_parts():
    verifier = composite(parts={BROKEN: 2, "format": 1})
    assert verifier.heavy and not composite(parts={"format": 1}).heavy
    outcome = verify(verifier, TRUTH)
    assert not outcome.valid and outcome.correctness == 1.0 and outcome.reason == "worker_died"


def test_one_s_own_verifier_is_a_part_by_its_path():
    path = "reward_models.verifiers.format:FormatVerifier"
    verifier = composite(parts={path: 2}, options={path: {"dialect": "toolrl"}})
    assert verify(verifier, TRUTH).outcome == 2.0 and verifier.outcome_range == (0.0, 2.0)
    assert verify(verifier, STRAY).outcome == 0.0


def test_parts_may_come_from_omegaconf():
    omegaconf = pytest.importorskip("omegaconf")
    assert composite(**omegaconf.OmegaConf.create({"parts": {"format": 1.5}})).outcome_range == (0.0, 1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "names no verifier"),
        ({"parts": {"xml": 1}}, "verifier='xml' is not known"),
        ({"parts": {"format": 0}}, "parts.format=0 must be above 0"),
        ({"parts": {"format": -1}}, "parts.format=-1"),
        ({"parts": {"format": "1"}}, "parts.format='1'"),
        ({"parts": ["format"]}, "parts="),
        ({"parts": {"format": 1}, "options": {"strict": {}}}, "unknown key 'strict'"),
        ({"parts": {"format": 1}, "options": {"format": {"x": 1}}}, "unknown key 'x'"),
        ({"parts": {"format": 1}, "gates": {"strict": "format"}}, "unknown key 'strict'"),
        ({"parts": {"format": 1}, "gates": {"format": "format"}}, "gates.format='format' must be another"),
        ({"parts": {"format": 1}, "gates": {"format": "strict"}}, "gates.format='strict' must be another"),
        ({"parts": {POINTLESS: 1}}, "nothing can be earned"),
        ({"weights": {}}, "unknown key 'weights'"),
    ],
)
def test_options(options, message):
    with pytest.raises(ValueError, match=message):
        composite(**options)


def test_range_follows_the_weights():
    for weights in itertools.product((0.1, 0.2, 0.3), repeat=2):
        verifier = composite(parts=dict(zip(("format", "strict"), weights, strict=True)))
        assert verify(verifier, TRUTH).outcome == verifier.outcome_range[1] == pytest.approx(sum(weights))


def test_a_perfect_answer_gets_the_whole_weight_of_a_part_whose_row_allows_less():
    no_call = "<think>t</think>\n<response>No.</response>"
    rollout = Rollout("", "", no_call, no_call, "", {})
    outcome = make_verifier("composite", parts={"toolrl": 2.0, "strict": 1.0}).verify(rollout)
    assert outcome.outcome == 3.0 and outcome.parts["toolrl"] == 1.0
