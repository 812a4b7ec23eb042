"""The mode `state` on BFCL's own classes and ground truths."""

import importlib
import importlib.util
import inspect
import json
from pathlib import Path

import pytest

from reward_models.parsing import ToolCall, render_response
from reward_models.sandbox.seccomp import supported
from reward_models.verifiers.tools.state import StateVerifier
from reward_models.verifiers.tools.state_truth import read_truth
from tests.reward_models.verifiers.tools.test_state import outcome, truth

pytestmark = pytest.mark.skipif(not supported(), reason="the sandbox needs Linux on x86_64 or aarch64")

_SOURCE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
BFCL_CLASSES = {
    "GorillaFileSystem": f"{_SOURCE}.gorilla_file_system:GorillaFileSystem",
    "MessageAPI": f"{_SOURCE}.message_api:MessageAPI",
    "TicketAPI": f"{_SOURCE}.ticket_api:TicketAPI",
    "TradingBot": f"{_SOURCE}.trading_bot:TradingBot",
    "TravelAPI": f"{_SOURCE}.travel_booking:TravelAPI",
    "TwitterAPI": f"{_SOURCE}.posting_api:TwitterAPI",
    "VehicleControlAPI": f"{_SOURCE}.vehicle_control:VehicleControlAPI",
}


def bfcl_rows(category):
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None:
        pytest.skip("bfcl-eval is not installed")
    data = Path(spec.origin).parent / "data"
    name = f"BFCL_v4_multi_turn_{category}.json"
    questions = [json.loads(line) for line in (data / name).read_text().splitlines()]
    answers = [json.loads(line) for line in (data / "possible_answer" / name).read_text().splitlines()]
    for question, answer in zip(questions, answers, strict=True):
        assert question["id"] == answer["id"]
        # MathAPI needs a package that bfcl-eval alone does not bring.
        if "MathAPI" not in question["involved_classes"]:
            yield question, answer["ground_truth"]


@pytest.mark.parametrize("category", ["base", "long_context", "miss_func", "miss_param"])
def test_bfcls_ground_truths_are_right_and_without_their_last_call_are_not(category):
    verifier = StateVerifier(classes=BFCL_CLASSES, sandbox={"workers": 2, "timeout_seconds": 60})
    right = dropped = unnoticed = 0
    for question, turns in list(bfcl_rows(category))[:60]:
        ground_truth = truth(turns, question["initial_config"], question["involved_classes"])
        if category == "long_context":
            ground_truth = truth(turns, question["initial_config"], question["involved_classes"], long_context=True)
        parsed = [[ToolCall(*named(call, question)) for call in turn] for turn in read_truth(ground_truth).turns]
        rendered = [render_response(calls, "hermes") if calls else "No tool can do that." for calls in parsed]
        scored = outcome(verifier, rendered, ground_truth)
        assert (scored.outcome, scored.reason) == (1.0, "exact"), question["id"]
        right += 1
        last = max(index for index, calls in enumerate(parsed) if calls)
        rendered[last] = render_response(parsed[last][:-1], "hermes") if parsed[last][1:] else "Done."
        dropped += 1
        unnoticed += outcome(verifier, rendered, ground_truth).parts["all_turns"]
    verifier.close()
    assert right == dropped == 60
    assert unnoticed == 0


def named(call, question):
    """A call of the ground truth with its positional arguments by name."""
    if not call.get("positional"):
        return call["name"], call["arguments"]
    for name in question["involved_classes"]:
        module, _, cls = BFCL_CLASSES[name].partition(":")
        method = getattr(getattr(importlib.import_module(module), cls), call["name"], None)
        if method is not None:
            bound = inspect.signature(method).bind(None, *call["positional"], **call["arguments"])
            return call["name"], dict(list(bound.arguments.items())[1:])
    raise AssertionError(call)
