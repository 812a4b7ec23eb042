"""The mode `state` on the agent loop's record: what ran is scored, whatever the texts say."""

import json

import pytest

from reward_models.sandbox import SandboxUnavailable
from reward_models.sandbox.seccomp import supported
from reward_models.types import Rollout
from reward_models.verifiers.tools.state import StateVerifier
from tests.reward_models.verifiers.tools.test_state import CLASSES, SANDBOX, truth

pytestmark = pytest.mark.skipif(not supported(), reason="the sandbox needs Linux on x86_64 or aarch64")


@pytest.fixture(scope="module")
def verifier():
    verifier = StateVerifier(classes=CLASSES, sandbox=SANDBOX)
    yield verifier
    verifier.close()


def executed(turns, calls):
    """A row with the agent loop's record."""
    record = [[{"name": name, "arguments": arguments} for name, arguments in turn] for turn in calls]
    return Rollout(
        "", "", "", truth(turns=[["pay(amount=2)"], []]), "test", {"turns": turns, "executed": json.dumps(record)}
    )


PAID, NOTHING = [("pay", {"amount": 2})], []


@pytest.mark.parametrize(
    ("turns", "calls", "score", "reason"),
    [
        (["[pay(amount=2)]", "No."], [PAID, NOTHING], 1.0, "exact"),
        (["anything at all", "No."], [PAID, NOTHING], 1.0, "exact"),
        (["[pay(amount=2)]", "No."], [NOTHING, NOTHING], 0.5, "not_executed"),
        (["[pay(amount=2)]", "No."], [PAID * 2, NOTHING], 0.5, "wrong_state"),
        (["[pay(amount=2)]", "No."], [[("pay", {"amount": "2"}), *PAID], NOTHING], 0.975, "extra_call"),
        (["[pay(amount=2)]", "No."], [[("pay", None), *PAID], NOTHING], 0.975, "extra_call"),
        (["[pay(amount=2)]", "No."], [[("pay", None)], NOTHING], 0.5, "wrong_state"),
        (["[pay(amount=2)]", "No."], [PAID, [("ls", {})]], 0.5, "called_a_tool"),
        (["[pay(amount=2)]", "[ls()]"], [PAID, NOTHING], 0.5, "not_executed"),
        (["[pay(amount=2)]", ""], [PAID, NOTHING], 0.5, "no_action"),
        (["[pay(amount=2)]"], [PAID], 0.5, "missing_turn"),
    ],
)
def test_the_agent_loops_record_is_what_is_scored(verifier, turns, calls, score, reason):
    scored = verifier.verify(executed(turns, calls))
    assert (scored.outcome, scored.reason) == (score, reason)


@pytest.mark.parametrize(
    "record", ["{", "3", "[[3]]", '[[{"name": "pay"}], []]', '[[{"name": 1, "arguments": {}}], []]', "[[]]", "[" * 5000]
)
def test_a_record_of_another_form_is_a_value_error(verifier, record):
    row = executed(["a", "b"], [NOTHING, NOTHING])
    with pytest.raises(ValueError, match="executed"):
        verifier.verify(Rollout("", "", "", row.ground_truth, "test", {**row.extra_info, "executed": record}))


def test_a_trajectory_whose_tools_failed_is_not_judged(verifier):
    row = executed(["a", "b"], [NOTHING, NOTHING])
    with pytest.raises(SandboxUnavailable, match="could not run"):
        verifier.verify(Rollout("", "", "", row.ground_truth, "test", {**row.extra_info, "tools_failed": True}))
