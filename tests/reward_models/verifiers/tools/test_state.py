"""The mode `state`: the state after each turn decides, samples share nothing, and BFCL's rule is the one that is kept."""

import asyncio
import json

import pytest

from reward_models.parsing import ToolCall, render_response
from reward_models.sandbox import SandboxUnavailable
from reward_models.sandbox.seccomp import supported
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier
from reward_models.verifiers.tools.state import MAX_CALLS, StateVerifier

pytestmark = pytest.mark.skipif(not supported(), reason="the sandbox needs Linux on x86_64 or aarch64")

SANDBOX = {"workers": 2, "timeout_seconds": 20, "cpu_seconds": 1, "memory_mb": 128}
CLASSES = {name: f"tests.reward_models.sandbox.state_tools:{name}" for name in ("Folders", "Account")}

CONFIG = {"Folders": {"folders": ["a", "b"]}, "Account": {"balance": 10.0, "owner": "me"}}
TURNS = [
    ["cd('a')", "mkdir(name='new')"],
    [{"name": "pay", "arguments": {"amount": 2.5}}],
    [],
    ["cd(name='..')", "ls()"],
]
RIGHT = ["[cd(name='a'), mkdir(name='new')]", "[pay(amount=2.5)]", "I cannot do that.", "[cd(name='..'), ls()]"]


@pytest.fixture(scope="module")
def verifier():
    verifier = make_verifier("state", classes=CLASSES, sandbox=SANDBOX)
    yield verifier
    verifier.close()


def truth(turns=TURNS, config=CONFIG, classes=("Folders", "Account"), **more):
    return json.dumps({"involved_classes": list(classes), "initial_config": config, "turns": turns, **more})


def rollout(turns, ground_truth=None):
    return Rollout("", "", "", ground_truth or truth(), "test", {"turns": turns})


def outcome(verifier, turns, ground_truth=None):
    return verifier.verify(rollout(turns, ground_truth))


def with_turn(index, text):
    return [*RIGHT[:index], text, *RIGHT[index + 1 :]]


def test_the_right_calls_are_right(verifier):
    scored = outcome(verifier, RIGHT)
    assert (scored.outcome, scored.reasons) == (1.0, ("exact",))
    assert scored.parts == {"all_turns": 1.0, "state": 1.0, "results": 1.0, "extra": 0.0}


def test_turns_may_have_several_steps_and_any_dialect(verifier):
    steps = [
        [render_response([ToolCall("cd", {"name": "a"})], "hermes"), "[mkdir(name='new')]", "Done."],
        [render_response([ToolCall("pay", {"amount": 2.5})], "openai"), "Paid."],
        ["No tool does that."],
        [render_response([ToolCall("cd", {"name": ".."}), ToolCall("ls", {})], "toolrl")],
    ]
    assert outcome(verifier, steps).outcome == 1.0


def test_turns_may_be_split_out_of_the_text(verifier):
    row = Rollout("", "", "<|turn|>".join(RIGHT), truth(), "test", {})
    assert verifier.verify(row).outcome == 1.0


def test_another_way_to_the_same_state_is_right(verifier):
    turns = with_turn(0, "[mkdir(name='x'), cd(name='a'), mkdir(name='new')]")
    wrong = outcome(verifier, turns, truth(turns=TURNS))
    assert "wrong_state" in wrong.reasons
    other = truth(turns=[["pay(amount=2.0)", "pay(amount=0.5)"]])
    scored = outcome(verifier, ["[pay(amount=0.5), pay(amount=2.0), get_balance()]"], other)
    assert (scored.parts["state"], scored.reason) == (1.0, "missing_result")


def test_a_wrong_state_stays_wrong_in_later_turns(verifier):
    scored = outcome(verifier, with_turn(0, "[cd(name='a'), mkdir(name='other')]"))
    assert (scored.outcome, scored.reason) == (0.25, "wrong_state")
    assert scored.parts["all_turns"] == 0.0


@pytest.mark.parametrize(
    ("given", "wanted", "right"),
    [
        ("keep(value=0.30000000000000004)", "keep(value=0.3)", True),
        ("keep(value=[{'a': 0.30000000000000004}])", "keep(value=[{'a': 0.3}])", True),
        ("keep(value=0.31)", "keep(value=0.3)", False),
        ("keep(value=True)", "keep(value=1)", False),
        ("keep(value=[0])", "keep(value=[False])", False),
        ("keep(value='1')", "keep(value=1)", False),
        ("keep(value=2.0)", "keep(value=2)", True),
        ("lose()", "lose()", True),
        ("lose()", "keep(value=0.3)", False),
    ],
)
def test_states_are_compared_by_type_and_with_the_tolerance(verifier, given, wanted, right):
    row = truth(turns=[[wanted]], config={}, classes=["Account"])
    assert outcome(verifier, [f"[{given}]"], row).reason == ("exact" if right else "wrong_state")


def test_the_float_tolerance_is_an_option():
    loose = StateVerifier(classes=CLASSES, sandbox=SANDBOX, float_tolerance=0.1)
    row = truth(turns=[["keep(value=1.0)"]], config={}, classes=["Account"])
    assert outcome(loose, ["[keep(value=1.05)]"], row).reason == "exact"
    assert outcome(loose, ["[keep(value=True)]"], row).reason == "wrong_state"
    loose.close()


def test_turns_larger_than_a_request_are_the_responses_fault(verifier):
    small = StateVerifier(classes=CLASSES, sandbox={**SANDBOX, "request_mb": 1})
    text = f"[keep(value={'x' * 60_000!r})]"
    row = truth(turns=[["keep(value=1)"]], config={}, classes=["Account"])
    assert outcome(small, [[text] * 20], row).reason == "too_large"
    assert outcome(small, [[text, "[keep(value=1)]"]], row).outcome > 0.9
    with pytest.raises(ValueError, match="request_mb=1"):
        outcome(small, ["[keep(value=1)]"], truth(turns=[[text[1:-1]] * 20], config={}, classes=["Account"]))
    small.close()


def test_a_wrong_private_attribute_does_not_count_but_a_missing_result_does(verifier):
    scored = outcome(verifier, with_turn(3, "[cd(name='..')]"))
    assert (scored.outcome, scored.reasons) == (0.75, ("missing_result",))
    assert scored.parts["results"] == 0.75


def test_a_result_of_an_earlier_turn_serves_later(verifier):
    turns = truth(turns=[["pay(amount=1)"], ["get_balance()"]])
    assert outcome(verifier, ["[pay(amount=1), get_balance()]", "[get_balance()]"], turns).parts["all_turns"] == 1.0
    scored = outcome(verifier, ["[pay(amount=1), get_balance()]", "[ls()]"], turns)
    assert scored.outcome == pytest.approx((0.95 + 1.0) / 2)


@pytest.mark.parametrize(
    ("index", "text", "reason"),
    [
        (0, "I did it.", "no_call"),
        (1, "[pay(amount=True)]", "wrong_state"),
        (1, "[pay(amount=100)]", "wrong_state"),  # raises
        (1, "[pay(2.5)]", "positional_argument"),
        (1, "[pay(amount=2.5)", "not_python"),
        (1, "", "no_action"),
        (1, "[no_such_tool()]", "wrong_state"),
        (1, "[_load_scenario(config={'folders': []})]", "wrong_state"),
        (1, "[__init__(balance=7.5)]", "wrong_state"),
        (2, "[get_balance()]", "called_a_tool"),
    ],
)
def test_why_a_turn_is_wrong(verifier, index, text, reason):
    scored = outcome(verifier, with_turn(index, text))
    assert scored.outcome < 1.0
    assert scored.reason == reason


def test_extra_calls_cost_and_can_be_free(verifier):
    spam = with_turn(1, "[pay(amount=2.5), ls(), ls(), ls(), ls()]")
    scored = outcome(verifier, spam)
    assert (scored.outcome, scored.reasons) == (pytest.approx((3 + 0.8) / 4), ("extra_call",))
    assert (scored.parts["all_turns"], scored.parts["extra"]) == (1.0, 4.0)
    free = StateVerifier(classes=CLASSES, sandbox=SANDBOX, extra_call_cost=0)
    assert outcome(free, spam).outcome == 1.0
    free.close()


def test_adding_a_call_never_raises_the_score(verifier):
    for index in range(len(RIGHT)):
        for extra in ("ls()", "get_balance()", "pay(amount=0)"):
            text = RIGHT[index]
            more = f"{text[:-1]}, {extra}]" if text.startswith("[") else f"[{extra}]"
            assert outcome(verifier, with_turn(index, more)).outcome < 1.0


@pytest.mark.parametrize(
    ("turns", "score", "reason"),
    [
        (RIGHT[:2], 0.5, "missing_turn"),
        ([*RIGHT, "And more."], 0.0, "too_many_turns"),
        ([], 0.0, "missing_turn"),
        (with_turn(0, ["[" + ", ".join(["ls()"] * 200) + "]"] * (MAX_CALLS // 200 + 1)), 0.0, "too_many_calls"),
        (with_turn(0, "[spin()]"), 0.0, "cpu_limit"),
        (with_turn(0, f"[keep(value={'[' * 60}{']' * 60}), keep(value=1)]"), 0.25, "wrong_state"),
        (with_turn(0, "[keep(value=1, levels=100)]"), 0.0, "job_raised"),  # a state too deep to be compared
    ],
)
def test_turns_that_do_not_fit(verifier, turns, score, reason):
    scored = outcome(verifier, turns)
    assert (scored.outcome, scored.reason) == (score, reason)


def test_samples_share_nothing(verifier):
    """`Folders.made` counts on the class: were it shared, the second sample's results would differ."""
    for _ in range(5):
        assert outcome(verifier, RIGHT).outcome == 1.0


def test_environment_variables_are_not_there(verifier, monkeypatch):
    monkeypatch.setenv("API_KEY", "secret")
    fresh = StateVerifier(classes=CLASSES, sandbox=SANDBOX)
    row = truth(turns=[["environment()"]], classes=["Account"])
    assert outcome(fresh, ["[environment()]"], row).outcome == 1.0
    trial = fresh.begin(rollout(["[environment()]"], row))
    assert trial.response.result().value[0]["results"] == [["returned", ["dict"]]]
    fresh.close()


def test_the_async_form_says_the_same(verifier):
    rows = [rollout(with_turn(1, f"[pay(amount={amount})]")) for amount in range(10)] + [rollout(RIGHT)]

    async def main():
        return await asyncio.gather(*map(verifier.verify_async, rows))

    assert asyncio.run(main()) == [verifier.verify(row) for row in rows]


@pytest.mark.parametrize(
    ("ground_truth", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must have the keys"),
        (truth(typo=1), "must have the keys"),
        (truth(turns=[]), "turns"),
        (truth(turns=[["f(g())"]]), r"f\(g\(\)\)"),
        (truth(turns=[["f(**{})"]]), "cannot be read"),
        (truth(turns=[["import os"]]), "import os"),
        (truth(turns=[["__import__('os').system('true')"]]), "__import__"),
        (truth(turns=[[3]]), "a call must be"),
        (truth(config=[]), "initial_config"),
        (truth(config={"Account": {"no_such_argument": 1}}), "no_such_argument"),
        (truth(classes=["os"]), "'os' is not among"),
        (truth(classes=[]), "involved_classes"),
        (truth(turns=[["spin()"]] + [[]] * 3), "cpu_limit"),
    ],
)
def test_a_bad_ground_truth_is_a_value_error(verifier, ground_truth, message):
    with pytest.raises(ValueError, match=message):
        outcome(verifier, ["[ls()]"], ground_truth)


def test_turns_of_the_wrong_form_are_a_value_error(verifier):
    with pytest.raises(ValueError, match="turns"):
        outcome(verifier, [[1]])


def test_check_finds_missing_classes_and_modules():
    StateVerifier(classes=CLASSES, sandbox=SANDBOX).check()
    with pytest.raises(ValueError, match="NoSuchClass"):
        StateVerifier(classes={"A": "tests.reward_models.sandbox.state_tools:NoSuchClass"}, sandbox=SANDBOX).check()
    with pytest.raises(SandboxUnavailable, match="no_such_module"):
        StateVerifier(classes={"A": "no_such_module:A"}, sandbox=SANDBOX).check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "classes"),
        ({"classes": {"A": "module.A"}}, "classes.A='module.A'"),
        ({"classes": CLASSES, "turn_separator": ""}, "turn_separator"),
        ({"classes": CLASSES, "extra_call_cost": 2}, "extra_call_cost=2"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_verifier("state", **options)
