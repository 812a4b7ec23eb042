"""What holds in every dialect, of every verifier that reads responses: the right calls get the most, and nothing else does."""

import json

from hypothesis import given
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.parsing import DIALECTS, ToolCall, render_response
from reward_models.verifiers import make_verifier
from reward_models.verifiers.expected import parse_expected
from reward_models.verifiers.schema import read_tools
from reward_models.verifiers.truth_check import check_truth
from tests.reward_models.parsing.strategies import plain_call_lists, soup, thoughts, tools_for

PROSE = st.sampled_from(["t", "I could <tool_call> or [f(a=1)].", "It is 4.", '{"name": "f", "arguments": {}}'])
VERIFIERS = {
    **{f"strict, {dialect}": ("strict", dialect, {"dialect": dialect}) for dialect in DIALECTS},
    **{f"strict auto, {dialect}": ("strict", dialect, {}) for dialect in DIALECTS},
    **{
        f"composite, {dialect}": ("composite", dialect, {"parts": {"strict": 2.0, "format": 1.0}})
        for dialect in DIALECTS
    },
    "toolrl": ("toolrl", "toolrl", {}),
}
MADE = {key: (make_verifier(name, **options), dialect) for key, (name, dialect, options) in VERIFIERS.items()}


def faults(calls):
    """The calls with one fault each."""
    first, *rest = calls
    yield [ToolCall(f"{first.name}x", first.arguments), *rest]
    yield [*calls, ToolCall("spurious", {})]
    yield [*calls, first]
    yield [ToolCall(first.name, {**first.arguments, "zz": 1}), *rest]
    for name, value in first.arguments.items():
        others = {key: other for key, other in first.arguments.items() if key != name}
        yield [ToolCall(first.name, others), *rest]
        yield [ToolCall(first.name, {**others, name: [value, "x"]}), *rest]
    if rest:
        yield rest


def truth_of(calls, dialect):
    return (
        render_response(calls, "toolrl", "t")
        if dialect == "toolrl"
        else json.dumps([{"name": call.name, "arguments": call.arguments} for call in calls])
    )


@given(key=st.sampled_from(list(MADE)), calls=plain_call_lists, thought=thoughts, data=st.data())
def test_the_right_calls_get_the_maximum_and_wrong_ones_never_do(key, calls, thought, data):
    verifier, dialect = MADE[key]
    tools = tools_for(calls)
    truth = truth_of(calls, dialect)
    assert check_truth(parse_expected(truth), read_tools(json.dumps(tools))) == ()

    def outcome(given_calls, thought):
        text = render_response(given_calls, dialect, thought, tools=tools_for(given_calls))
        return verifier.verify(Rollout("", json.dumps(tools), text, truth, "", {})).outcome

    low, high = verifier.outcome_range
    thought = thought if dialect != "toolrl" else "t"
    assert outcome(calls, thought) == high
    assert low <= outcome(data.draw(st.sampled_from(list(faults(calls)))), thought) < high


@given(
    dialect=st.sampled_from(DIALECTS),
    calls=plain_call_lists,
    pair=st.tuples(PROSE, PROSE),
    wrong=st.booleans(),
    expected=st.booleans(),
)
def test_the_verdict_does_not_depend_on_what_the_thought_says(dialect, calls, pair, wrong, expected):
    tools, truth = tools_for(calls), truth_of(calls, "json") if expected else "[]"
    said = next(faults(calls)) if wrong else calls

    def outcome(thought):
        text = render_response(said, dialect, thought, tools=tools)
        return MADE[f"strict, {dialect}"][0].verify(Rollout("", json.dumps(tools), text, truth, "", {}))

    assert outcome(pair[0]) == outcome(pair[1])


@given(
    dialect=st.sampled_from(DIALECTS),
    calls=plain_call_lists,
    reader=st.sampled_from(["auto", "hermes", "qwen3_coder", "json", "python"]),
)
def test_a_call_in_any_dialect_is_no_abstention_in_another(dialect, calls, reader):
    tools = tools_for(calls)
    text = render_response(calls, dialect, tools=tools)
    rollout = Rollout("", json.dumps(tools), text, "[]", "", {})
    assert make_verifier("irrelevance", dialect=reader).verify(rollout).outcome == 0.0
    assert make_verifier("strict", dialect=reader).verify(rollout).correctness == -3.0


@given(text=soup, key=st.sampled_from(list(MADE)), calls=plain_call_lists)
def test_no_text_gets_more_than_the_right_one(text, key, calls):
    verifier, dialect = MADE[key]
    outcome = verifier.verify(Rollout("", "", text, truth_of(calls, dialect), "", {}))
    low, high = outcome.limits or verifier.outcome_range
    assert low <= outcome.outcome < high
