"""The mode `exec`: what calls return decides, spurious calls cost, and what cannot be judged is no wrong answer."""

import asyncio
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reward_models.sandbox import SandboxUnavailable
from reward_models.sandbox.seccomp import supported
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier
from reward_models.verifiers.tools.exec import MAX_VARIANTS, ExecVerifier

pytestmark = pytest.mark.skipif(not supported(), reason="the sandbox needs Linux on x86_64 or aarch64")

TOOLS = "tests.reward_models.sandbox.tools"
SANDBOX = {"workers": 2, "timeout_seconds": 20, "cpu_seconds": 1, "memory_mb": 128}


@pytest.fixture(scope="module")
def verifier():
    verifier = make_verifier("exec", tools_module=TOOLS, sandbox=SANDBOX)
    yield verifier
    verifier.close()


def call(name, /, **arguments):
    return {"name": name, "arguments": arguments}


def response(*calls):
    return "\n".join(f"<tool_call>\n{json.dumps(item)}\n</tool_call>" for item in calls)


def rollout(text, truth, **extra_info):
    return Rollout("", "", text, truth if isinstance(truth, str) else json.dumps(truth), "test", extra_info)


def outcome(verifier, calls, truth):
    return verifier.verify(rollout(response(*calls), truth))


def test_other_arguments_with_the_same_result_are_right(verifier):
    scored = outcome(verifier, [call("add", a=2, b=3)], [call("add", a=1, b=4)])
    assert (scored.outcome, scored.reason) == (1.0, "exact")
    assert scored.parts == {"obtained": 1.0, "spurious": 0.0, "raised": 0.0}


def test_another_tool_with_the_same_result_is_wrong(verifier):
    scored = outcome(verifier, [call("greet", name="x")], [call("touch", name="x")])
    assert (scored.outcome, scored.reason) == (0.0, "wrong_result")


def test_a_default_argument_may_be_written_out(verifier):
    assert (
        outcome(verifier, [call("area", base=3, height=4, unit="cm2")], [call("area", base=3, height=4)]).outcome == 1.0
    )


def test_floats_are_compared_with_a_tolerance_and_bools_are_no_numbers(verifier):
    assert outcome(verifier, [call("add", a=0.1, b=0.2)], [call("add", a=0.3, b=0)]).outcome == 1.0
    assert outcome(verifier, [call("add", a=0.1, b=0.21)], [call("add", a=0.3, b=0)]).outcome == 0.0
    assert outcome(verifier, [call("lookup", query=True)], [call("lookup", query=1)]).outcome == 0.0


def test_spurious_calls_cost(verifier):
    truth = [call("add", a=1, b=2)]
    scores = [outcome(verifier, [truth[0]] + [call("greet", name="x")] * spam, truth) for spam in (0, 1, 9)]
    assert [scored.outcome for scored in scores] == [1.0, pytest.approx(2 / 3), pytest.approx(2 / 11)]
    assert scores[2].reason == "extra_call"
    assert scores[2].parts["spurious"] == 9.0


def test_a_call_twice_earns_once(verifier):
    truth = [call("add", a=1, b=2), call("add", a=3, b=4)]
    assert outcome(verifier, [truth[0], truth[0]], truth).outcome == 0.5


def test_a_missing_call_costs(verifier):
    scored = outcome(verifier, [call("add", a=1, b=2)], [call("add", a=1, b=2), call("greet", name="x")])
    assert (scored.outcome, scored.reason) == (pytest.approx(2 / 3), "missing_call")


@pytest.mark.parametrize(
    ("predicted", "reason"),
    [
        (call("boom"), "call_raised"),
        (call("add", a=1), "call_raised"),  # an argument is missing
        (call("add", a=1, b=2, self=3), "call_raised"),
        (call("leave", status=0), "call_raised"),  # SystemExit
        (call("strange"), "call_raised"),  # returns a generator, which says nothing
        (call("hidden"), "unknown_tool"),  # a function of the module, but not offered
        (call("os.system", command="true"), "unknown_tool"),
        (call("__import__", name="os"), "unknown_tool"),
        (call("add", a=5, b=5), "wrong_result"),
        (call("spin"), "cpu_limit"),
        (call("add", a="x" * 60_000, b=1), "call_raised"),
    ],
)
def test_why_a_call_earns_nothing(verifier, predicted, reason):
    scored = outcome(verifier, [predicted], [call("add", a=1, b=2)])
    assert (scored.outcome, scored.reason) == (0.0, reason)


def test_code_that_never_ends_takes_the_whole_response(verifier):
    scored = outcome(verifier, [call("add", a=1, b=2), call("spin")], [call("add", a=1, b=2)])
    assert (scored.outcome, scored.reasons) == (0.0, ("cpu_limit",))


def test_a_tool_can_have_a_name_of_its_own(verifier):
    assert outcome(verifier, [call("math.factorial", n=1)], [call("math.factorial", n=0)]).outcome == 1.0


def test_every_acceptable_value_gives_an_acceptable_result(verifier):
    truth = [{"price": {"city": ["Boston", "NYC", "Berlin"]}}]  # one that the tool does not know, and two others
    for city, right in (("New York", 1.0), ("Berlin", 1.0), ("Boston", 0.0)):
        assert outcome(verifier, [call("price", city=city)], truth).outcome == right


def test_optional_arguments_and_nested_alternatives_are_filled_in(verifier):
    truth = [{"area": {"base": [3], "height": [4], "unit": ["", "cm2"]}}]
    assert outcome(verifier, [call("area", base=4, height=3)], truth).outcome == 1.0
    truth = [{"lookup": {"query": [{"name": ["a", "b"], "size": ["", 1]}]}}]
    assert outcome(verifier, [call("lookup", query={"name": "a"})], truth).outcome == 1.0


def test_combinations_of_acceptable_values_are_bounded(verifier):
    many = list(range(100))
    truth = [{"add": {"a": many, "b": many}}]
    assert outcome(verifier, [call("add", a=0, b=MAX_VARIANTS - 1)], truth).outcome == 1.0
    assert outcome(verifier, [call("add", a=98.5, b=99.5)], truth).outcome == 0.0


def test_an_acceptable_combination_beyond_the_bound_is_right_as_it_is_written(verifier):
    truth = json.dumps([{"add": {"a": [1, 2, 3, 4, 5], "b": [0, 10, 100, 1000]}}])
    for arguments in ({"a": 4, "b": 1000}, {"a": 5, "b": 0}, {"a": 5, "b": 1000}):
        assert outcome(verifier, [call("add", **arguments)], truth).reason == "exact"
    assert outcome(verifier, [call("add", a=5, b=52)], truth).reason == "wrong_result"
    raising = json.dumps([{"price": {"city": [*(f"x{n}" for n in range(20)), "NYC"]}}])
    assert outcome(verifier, [call("price", city="x1")], json.dumps([{"price": {"city": ["NYC", "x1"]}}])).outcome == 0
    with pytest.raises(ValueError, match="raises KeyError"):
        outcome(verifier, [call("price", city="NYC")], raising)


@pytest.mark.parametrize(
    ("text", "score", "reason"),
    [
        ("There is no tool for that.", 1.0, "abstained"),
        (response(call("add", a=1, b=2)), 0.0, "called_a_tool"),
        ("", 0.0, None),
    ],
)
def test_rows_without_a_call(verifier, text, score, reason):
    scored = verifier.verify(rollout(text, "[]"))
    assert scored.outcome == score
    assert reason in (None, scored.reason)


def test_an_answer_in_place_of_a_call(verifier):
    assert verifier.verify(rollout("I would rather not.", [call("add", a=1, b=2)])).reason == "no_call"


def test_an_unreadable_response_has_the_parsers_reason(verifier):
    scored = verifier.verify(rollout("<tool_call>\n{", [call("add", a=1, b=2)]))
    assert (scored.outcome, scored.reason) == (0.0, "unclosed_block")


def test_environment_variables_are_not_there(verifier, monkeypatch, tmp_path):
    monkeypatch.setenv("API_KEY", "secret")
    module = tmp_path / "reads_environment.py"
    module.write_text("import os\n__all__ = ['read']\ndef read(name):\n    return os.environ.get(name)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    other = ExecVerifier(tools_module="reads_environment", sandbox=SANDBOX)
    assert outcome(other, [call("read", name="API_KEY")], [call("read", name="NO_SUCH_NAME")]).outcome == 1.0
    assert os.environ["API_KEY"] == "secret"
    other.close()


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ([call("boom")], "'boom' raises KeyError"),
        ([call("hidden")], "'hidden' raises UnknownTool"),
        ([call("spin")], "cpu_limit"),
        ("neither", "."),
    ],
)
def test_a_bad_ground_truth_is_a_value_error(verifier, truth, message):
    with pytest.raises(ValueError, match=message):
        outcome(verifier, [call("add", a=1, b=2)], truth)


def test_a_ground_truth_that_runs_out_of_time_is_no_wrong_answer():
    verifier = ExecVerifier(tools_module=TOOLS, sandbox={"timeout_seconds": 0.5, "cpu_seconds": 60})
    with pytest.raises(SandboxUnavailable, match="out of time"):
        outcome(verifier, [call("add", a=1, b=2)], [call("spin", seconds=600)])
    scored = outcome(verifier, [call("spin", seconds=600)], [call("add", a=1, b=2)])
    assert (scored.outcome, scored.reason) == (0.0, "timeout")
    verifier.close()


def test_expected_results_are_computed_once_and_the_cache_is_bounded(monkeypatch):
    verifier = ExecVerifier(tools_module=TOOLS, sandbox=SANDBOX)
    monkeypatch.setattr("reward_models.verifiers.tools.sandboxed.CACHED_ROWS", 2)
    jobs = []
    submit = verifier.sandbox.submit
    monkeypatch.setattr(verifier.sandbox, "submit", lambda job, payload: jobs.append(payload) or submit(job, payload))
    for number in (1, 1, 2, 3, 1):
        outcome(verifier, [call("lookup", query="no")], [call("lookup", query=number)])
    expected = [payload["calls"][0]["arguments"]["query"] for payload in jobs]
    assert [query for query in expected if query != "no"] == [1, 2, 3, 1]
    assert len(verifier._expected) == 2
    verifier.close()


def test_the_async_form_says_the_same(verifier):
    truth = [call("add", a=1, b=2)]
    texts = [response(call("add", a=number, b=0)) for number in range(20)] + ["no", ""]

    async def main():
        return await asyncio.gather(*(verifier.verify_async(rollout(text, truth)) for text in texts))

    assert asyncio.run(main()) == [verifier.verify(rollout(text, truth)) for text in texts]


def test_a_cancelled_rollout_does_not_cancel_its_siblings(verifier):
    truth = [call("spin", seconds=0.5)]

    async def main():
        first, second = (
            asyncio.ensure_future(verifier.verify_async(rollout(response(call("spin", seconds=0)), truth)))
            for _ in range(2)
        )
        await asyncio.sleep(0.1)
        first.cancel()
        return await second

    assert asyncio.run(main()).outcome == 1.0


def test_a_row_names_one_of_the_allowed_modules():
    verifier = ExecVerifier(tools_module=[TOOLS, "json"], sandbox=SANDBOX)
    row = rollout(response(call("dumps", obj=[1])), [call("dumps", obj=[1])], tools_module="json")
    assert verifier.verify(row).outcome == 1.0
    with pytest.raises(ValueError, match="'subprocess'"):
        verifier.verify(rollout(response(call("run", args="ls")), [call("run", args="ls")], tools_module="subprocess"))
    verifier.close()


def test_check_finds_modules_without_tools_and_ones_that_are_missing():
    ExecVerifier(tools_module=TOOLS, sandbox=SANDBOX).check()
    with pytest.raises(ValueError, match="offers no tools"):
        ExecVerifier(tools_module="this", sandbox=SANDBOX).check()
    with pytest.raises(SandboxUnavailable, match="no_such_module"):
        ExecVerifier(tools_module="no_such_module", sandbox=SANDBOX).check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "tools_module"),
        ({"tools_module": [1]}, "tools_module"),
        ({"tools_module": "m", "float_tolerance": -1}, "float_tolerance=-1"),
        ({"tools_module": "m", "dialect": "klingon"}, "klingon"),
        ({"tools_module": "m", "sandbox": {"threads": 1}}, "threads"),
        ({"tools_module": "m", "sandbox": 3}, "sandbox=3"),
        ({"tools_module": "m", "timeout": 3}, "timeout"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_verifier("exec", **options)


calls = st.builds(lambda a, b: call("add", a=a, b=b), st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, min_size=1, max_size=4), st.lists(calls, min_size=1, max_size=4), st.randoms())
def test_properties(verifier, predicted, truth, random):
    scored = outcome(verifier, predicted, truth)
    low, high = verifier.outcome_range
    assert low <= scored.outcome <= high
    assert outcome(verifier, truth, truth).outcome == high
    shuffled = random.sample(predicted, len(predicted))
    assert outcome(verifier, shuffled, truth).outcome == scored.outcome
    spurious = [*predicted, call("greet", name="x")]
    assert outcome(verifier, spurious, truth).outcome < scored.outcome or scored.outcome == 0.0
