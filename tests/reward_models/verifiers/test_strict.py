"""The strict mode on texts: ranges, reasons, and the properties of the matching seen through a response."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.parsing import ToolCall, parse_response, render_response
from reward_models.verifiers import make_verifier
from reward_models.verifiers.expected import ExpectedObject, parse_expected
from reward_models.verifiers.schema import read_tools
from tests.reward_models.strategies import tag_soup
from tests.reward_models.verifiers.match_strategies import (
    expected_calls,
    predicted_call,
    predicted_calls,
    right_call,
    tool_texts,
)

TRUTH = '[{"name": "f", "arguments": {"a": 1, "b": "x"}}]'
RIGHT = [ToolCall("f", {"a": 1, "b": "x"})]
NO_CALL = "<think> </think>\n<response>No tool fits.</response>"
DIALECTS = ["toolrl", "hermes", "openai", "json"]
STRICT = make_verifier("strict")


def text(calls, dialect="toolrl"):
    return render_response(calls, dialect, thought="Because.")


def verify(response, truth=TRUTH, tools="", verifier=STRICT, **extra):
    return verifier.verify(Rollout("", tools, response, truth, "", extra))


def bfcl_truth(expected):
    """The expected calls as BFCL's possible answers; an optional argument needs its ""."""

    def plain(value):
        if not isinstance(value, ExpectedObject):
            return value
        return {
            name: [plain(v) for v in accepted] + ([""] if name in value.optional else [])
            for name, accepted in value.fields.items()
        }

    return json.dumps(
        [
            {
                call.name: {
                    name: [plain(value) for value in accepted] + ([""] if name in call.optional else [])
                    for name, accepted in call.arguments.items()
                }
            }
            for call in expected
        ]
    )


@pytest.mark.parametrize("dialect", [*DIALECTS, "python"])
def test_a_perfect_answer(dialect):
    outcome = verify(text(RIGHT, dialect))
    assert (outcome.format, outcome.correctness, outcome.reason) == (1.0, 3.0, "exact")
    assert outcome.reasons == ("exact", "well_formed")
    assert outcome.parts["score"] == outcome.parts["name"] == outcome.parts["values"] == 1.0
    assert STRICT.outcome_range == (-3.0, 4.0)


@given(expected_calls(min_size=1), tool_texts(), st.sampled_from(DIALECTS))
def test_a_perfect_answer_gets_the_maximum_in_every_dialect(expected, tools, dialect):
    truth = bfcl_truth(expected)
    # Read back: a "" among the values makes the argument optional.
    answer = [right_call(call, read_tools(tools)) for call in parse_expected(truth)]
    assert verify(text(answer, dialect), truth, tools).outcome == 4.0


@given(expected_calls(min_size=1), predicted_calls, predicted_call, tool_texts(), st.data())
def test_spam_and_order_on_texts(expected, predicted, spurious, tools, data):
    predicted = [*predicted, right_call(expected[0], read_tools(tools))]
    truth = bfcl_truth(expected)
    low, high = STRICT.outcome_range
    before = verify(text(predicted), truth, tools)
    assert low <= before.outcome <= high and low <= before.correctness
    shuffled = verify(text(data.draw(st.permutations(predicted))), truth, tools)
    assert (shuffled.outcome, shuffled.parts, shuffled.reasons) == (before.outcome, before.parts, before.reasons)
    unknown = ToolCall("no_such_tool", spurious.arguments)
    assert verify(text([*predicted, unknown]), truth, tools).outcome <= before.outcome


@given(tag_soup, st.sampled_from([TRUTH, NO_CALL]))
def test_any_text_is_in_range(response, truth):
    outcome = verify(response, truth)
    assert -3.0 <= outcome.outcome <= 4.0 and outcome.valid
    assert outcome.reason == outcome.reasons[0]
    assert (outcome.reason in ("exact", "abstained")) == (outcome.outcome == 4.0)
    if not parse_response(response).calls:
        assert outcome.correctness == (3.0 if truth is NO_CALL and outcome.parts["score"] == 1.0 else -3.0)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "no_action"),
        ("Paris.", "no_call"),
        ("<think>t</think><response>Paris.</response>", "no_call"),
        ("<tool_call>", "unclosed_block"),
        ('{"name": "f", "arguments": {"a": 1, "b": "x"}', "not_json"),
        ('{"name": "f", "arguments": [1]}', "bad_call"),
        ('{"name": "f", "arguments": {"a": 1, "a": 1, "b": "x"}}', "duplicate_key"),
    ],
)
def test_no_readable_call_where_one_is_expected(response, reason):
    outcome = verify(response)
    assert (outcome.correctness, outcome.reason, outcome.parts) == (-3.0, reason, {"score": 0.0})


def test_where_no_call_is_expected():
    right = verify("<think>t</think><response>Paris.</response>", NO_CALL)
    assert (right.format, right.correctness, right.reason) == (1.0, 3.0, "abstained")
    assert verify("Paris.", NO_CALL).outcome == 4.0
    called = verify(text(RIGHT), NO_CALL)
    assert (called.format, called.correctness, called.reason) == (1.0, -3.0, "called_a_tool")
    garbage = verify("<tool_call>", NO_CALL)
    assert (garbage.format, garbage.correctness, garbage.reason) == (0.0, -3.0, "unclosed_block")


def test_a_lost_format_is_the_reason_where_the_calls_are_right():
    outcome = verify(text(RIGHT) + " done", verifier=make_verifier("strict", dialect="toolrl"))
    assert (outcome.format, outcome.correctness, outcome.reason) == (0.0, 3.0, "stray_text")
    assert outcome.reasons == ("stray_text", "exact")


def test_the_dialect_may_be_prescribed():
    verifier = make_verifier("strict", dialect="toolrl")
    assert verify(text(RIGHT), verifier=verifier).outcome == 4.0
    assert verify(text(RIGHT, "json"), verifier=verifier).outcome == -3.0


def test_alternatives_of_the_row_and_its_tools():
    tools = json.dumps([{"name": "f", "parameters": {"type": "dict", "properties": {"a": {"type": "float"}}}}])
    possible = '[{"f": {"a": [1.0, 2.0], "b": ["", "x"]}}]'
    truth = '<think> </think>\n<tool_call>\n{"name": "f", "parameters": {"a": 1.0}}\n</tool_call>'
    answer = text([ToolCall("f", {"a": 2})])
    assert verify(answer, truth, tools, possible_answer=possible).outcome == 4.0
    assert verify(answer, truth, tools).reason == "wrong_value"
    assert (
        verify(answer, truth, tools, make_verifier("strict", schema=False), possible_answer=possible).reason
        == "wrong_type"
    )


def test_ordered_and_bfcl_strings():
    truth = '[{"f": {"a": ["New York"]}}, {"g": {}}]'
    answer = text([ToolCall("g", {}), ToolCall("f", {"a": "new-york"})])
    assert verify(answer, truth).outcome < 4.0
    assert verify(answer, truth, verifier=make_verifier("strict", strings="bfcl")).outcome == 4.0
    ordered = verify(answer, truth, verifier=make_verifier("strict", strings="bfcl", ordered=True))
    assert ordered.outcome < 4.0 and "wrong_order" in ordered.reasons


def test_the_range_is_the_configured_one():
    verifier = make_verifier("strict", format_max=0.1, correctness_min=0.0, correctness_max=0.7)
    assert verifier.outcome_range == (0.0, 0.1 + 0.7)
    assert verify(text(RIGHT), verifier=verifier).outcome == verifier.outcome_range[1]
    assert verify("", verifier=verifier).outcome == 0.0


def test_bad_rows_raise():
    with pytest.raises(ValueError, match="tool 'f'"):
        verify(text(RIGHT), tools='[{"name": "f", "parameters": {"type": "object", "required": 1, "properties": 5}}]')
    # A bad row is one whatever the response is.
    with pytest.raises(ValueError, match="tool 'f'"):
        verify("", tools='[{"name": "f", "parameters": {"type": "object", "properties": 5}}]')
    with pytest.raises(ValueError, match="expected ToolRL's tagged text"):
        verify("", truth="words")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "xml"}, "dialect='xml'"),
        ({"strings": "loose"}, "strings='loose'.*exact, bfcl"),
        ({"ordered": 1}, "ordered=1"),
        ({"schema": None}, "schema=None"),
        ({"format_max": -1}, "format_max=-1"),
        ({"correctness_min": 3.0}, "correctness_min=3.0 must be below"),
        ({"correctness_max": float("nan")}, "correctness_max=nan"),
        ({"penalty": 1}, "unknown key 'penalty'"),
    ],
)
def test_options(options, message):
    with pytest.raises(ValueError, match=message):
        make_verifier("strict", **options)


def test_check_passes_where_all_is_installed():
    STRICT.check()
