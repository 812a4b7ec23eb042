"""Abstention: right when nothing is called and something is said."""

import pytest

from reward_models import Rollout
from reward_models.verifiers import make_verifier

NO_CALL = "<think> </think>\n<response>No tool fits.</response>"


def verify(response, truth=NO_CALL, **options):
    return make_verifier("irrelevance", **options).verify(Rollout("", "", response, truth, "", {}))


@pytest.mark.parametrize(
    "response",
    ["None of the tools can do this.", "<think>Hm.</think><response>No tool fits.</response>", "Nein, leider."],
)
def test_an_answer_is_right(response):
    outcome = verify(response)
    assert (outcome.format, outcome.correctness, outcome.reason) == (0.0, 1.0, "abstained")
    assert outcome.reasons == ("abstained",)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ('<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', "called_a_tool"),
        ('I cannot. <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', "called_a_tool"),
        ('<tool_call>\n{"name": "f", "argu', "unclosed_block"),
        ('<tool_call>\n{"name": "f"}\n</tool_call>', "bad_call"),
        ('{"name": "f", "arguments"', "not_json"),
        ("[f(a=", "not_python"),
        ("", "no_action"),
        (" \n", "no_action"),
        ("?!", "blank_answer"),
        ("<think>I should not call anything", "unclosed_think"),
        ("<think>No tool fits.</think>", "no_action"),
    ],
)
def test_garbage_is_no_abstention(response, reason):
    outcome = verify(response)
    assert (outcome.correctness, outcome.reason) == (0.0, reason)


def test_a_row_that_expects_calls_is_refused():
    with pytest.raises(ValueError, match=r"expects 1 call.*'strict' takes both"):
        verify("I cannot.", truth='[{"f": {"a": [1]}}]')


def test_options():
    assert verify("Paris.", dialect="toolrl").reason == "no_action"
    assert verify("Paris.", truth="[]").correctness == 1.0
    with pytest.raises(ValueError, match="verifier 'irrelevance': dialect='x'"):
        make_verifier("irrelevance", dialect="x")
