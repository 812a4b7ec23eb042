"""The assignment against a brute-force reference, and the properties that make it a reward nobody can game."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.parsing import ToolCall
from reward_models.verifiers.compare import bfcl_string
from reward_models.verifiers.expected import ExpectedCall
from reward_models.verifiers.matching import MAX_SPURIOUS, Matcher
from reward_models.verifiers.schema import read_tools
from tests.reward_models.verifiers.match_strategies import (
    expected_calls,
    greedy_score,
    predicted_call,
    predicted_calls,
    right_call,
    slow_score,
    toolboxes,
    values,
)

ANY_ORDER, ORDERED = Matcher(), Matcher(ordered=True)


def match(expected, predicted, tools=None, matcher=ANY_ORDER):
    return matcher.match(expected, predicted, tools or {})


def want(name="f", optional=(), **arguments):
    return ExpectedCall(name, {key: (value,) for key, value in arguments.items()}, frozenset(optional))


def call(name="f", **arguments):
    return ToolCall(name, arguments)


@given(expected_calls(), predicted_calls, toolboxes, st.booleans())
def test_the_score_is_that_of_the_best_assignment(expected, predicted, tools, ordered):
    found = match(expected, predicted, tools, Matcher(ordered))
    assert found.score == pytest.approx(slow_score(expected, predicted, tools, ordered), abs=1e-12)
    assert 0.0 <= found.score <= 1.0
    assert (found.score == 1.0) == (found.codes == ("exact",))
    assert all(0.0 <= found.parts[name] <= 1.0 for name in ("name", "parameter_names", "values"))
    assert found.parts["missing"] == len(expected) - len(found.pairs)
    assert found.parts["extra"] == len(predicted) - len(found.pairs)
    assert all(expected[i].name == predicted[j].name for i, j in found.pairs)


@given(expected_calls(), predicted_calls, toolboxes)
def test_never_below_greedy_and_order_costs_at_most(expected, predicted, tools):
    best = match(expected, predicted, tools).score
    assert best >= greedy_score(expected, predicted, tools) - 1e-12
    assert best >= match(expected, predicted, tools, ORDERED).score - 1e-12


@given(expected_calls(), toolboxes, st.booleans(), st.data())
def test_a_perfect_answer_gets_the_maximum(expected, tools, ordered, data):
    answer = [right_call(c, tools, lambda o: data.draw(st.sampled_from(o)), data.draw(st.booleans())) for c in expected]
    if not ordered:
        answer = data.draw(st.permutations(answer))
    found = match(expected, answer, tools, Matcher(ordered))
    assert (found.score, found.codes) == (1.0, ("exact",))
    assert found.parts == {"name": 1.0, "parameter_names": 1.0, "values": 1.0, "missing": 0.0, "extra": 0.0}


@given(expected_calls(), predicted_calls, toolboxes, st.data())
def test_permuting_the_calls_changes_nothing(expected, predicted, tools, data):
    found = match(expected, predicted, tools)
    other = match(expected, data.draw(st.permutations(predicted)), tools)
    assert (other.score, other.parts, other.codes) == (found.score, found.parts, found.codes)
    assert match(data.draw(st.permutations(expected)), predicted, tools).score == found.score


@given(expected_calls(), predicted_calls, predicted_call, toolboxes, st.booleans(), st.data())
def test_a_spurious_call_never_raises_the_score(expected, predicted, spurious, tools, ordered, data):
    matcher = Matcher(ordered)
    before = match(expected, predicted, tools, matcher)
    place = data.draw(st.integers(0, len(predicted)))
    after = match(expected, [*predicted[:place], spurious, *predicted[place:]], tools, matcher)
    if place in {j for _, j in after.pairs}:
        return  # it was of use
    assert after.score <= before.score
    assert after.score < before.score or before.score == 0.0
    assert "extra_call" in after.codes


@given(expected_calls(), toolboxes, predicted_call)
def test_anything_beside_a_perfect_answer_costs(expected, tools, spurious):
    answer = [right_call(c, tools) for c in expected]
    assert match(expected, [*answer, spurious], tools).score < 1.0


@given(expected_calls(min_size=1), predicted_calls, toolboxes, st.booleans(), st.data())
def test_correcting_a_value_never_lowers_the_score(expected, predicted, tools, ordered, data):
    matcher = Matcher(ordered)
    right = [right_call(wanted, tools) for wanted in expected]
    near = data.draw(st.sampled_from(right))
    predicted = [*predicted, ToolCall(near.name, {name: data.draw(values) for name in near.arguments})]
    before = match(expected, predicted, tools, matcher)
    i, j = data.draw(st.sampled_from(before.pairs))
    for name in right[i].arguments.keys() & predicted[j].arguments.keys():
        corrected = list(predicted)
        corrected[j] = ToolCall(predicted[j].name, {**predicted[j].arguments, name: right[i].arguments[name]})
        after = match(expected, corrected, tools, matcher)
        was, now = (ANY_ORDER.pair(expected[i], p[j], tools.get(p[j].name)).loss for p in (predicted, corrected))
        assert after.score > before.score if now < was else after.score >= before.score


@given(expected_calls(), st.lists(predicted_call, min_size=1, max_size=4), toolboxes, st.data(), values)
def test_an_argument_nobody_wants_costs(expected, predicted, tools, data, value):
    j = data.draw(st.integers(0, len(predicted) - 1))
    padded = list(predicted)
    padded[j] = ToolCall(predicted[j].name, {**predicted[j].arguments, "padding": value})
    before, after = match(expected, predicted, tools).score, match(expected, padded, tools).score
    assert after < before or before == after == 0.0


def test_greedy_matching_would_lose_here():
    expected = [want(a=1, b=1), want(a=1, b=2)]
    predicted = [call(a=1, b=2), call(a=1, b=3)]  # in turn, the first expected call takes what only the second needs
    assert greedy_score(expected, predicted, {}) == pytest.approx(0.8)
    assert match(expected, predicted).score == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("expected", "predicted", "score", "codes"),
    [
        ([want(a=1)], [call(a=2)], 1 - 2 / 6, ("wrong_value",)),
        ([want(a=1)], [call(a="1")], 1 - 4 / 6, ("off_schema", "wrong_type")),
        ([want(a=1)], [call()], 1 - 2 / 4, ("missing_argument",)),
        ([want(a=1)], [call(a=1, b=1)], 1 - 2 / 8, ("extra_argument",)),
        ([want(a=1)], [call("g", a=1)], 0.0, ("missing_call", "extra_call")),
        ([want(a=1)], [call("nope", a=1)], 0.0, ("unknown_tool", "missing_call", "extra_call")),
        ([want(a=1)], [call(a=1), call(a=1)], 1 - 3 / 9, ("extra_call", "repeated_call")),
        ([want(a=1), want("g")], [call(a=1)], 1 - 1 / 7, ("missing_call",)),
        ([want(a=1), want("g")], [], 0.0, ("missing_call",)),
        ([], [call(a=1)], 0.0, ("extra_call",)),
        ([], [], 1.0, ("exact",)),
    ],
)
def test_scores_and_codes(expected, predicted, score, codes):
    tools = read_tools(
        '[{"name": "f", "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}}}, {"name": "g"}]'
    )
    found = match(expected, predicted, tools)
    assert found.score == pytest.approx(score)
    assert found.codes == codes


def test_the_decomposition():
    expected = [want(a=1, b=2), want("g", a=1), want("h")]
    found = match(expected, [call("g", a=1), call(a=1, b=3, c=4), call("g"), call("f")])
    assert found.pairs == ((0, 1), (1, 0))
    assert found.parts == {
        "name": 2 * 2 / 7,
        "parameter_names": 3 / 4,
        "values": 2 / 3,
        "missing": 1.0,
        "extra": 2.0,
    }


def test_ordered_calls():
    expected = [want("f"), want("g"), want("h")]
    assert match(expected, [call("f"), call("g"), call("h")], matcher=ORDERED).score == 1.0
    swapped = match(expected, [call("g"), call("f"), call("h")], matcher=ORDERED)
    assert swapped.score == pytest.approx(2 / 3)
    assert swapped.codes == ("missing_call", "extra_call", "wrong_order")
    assert match(expected, [call("g"), call("f"), call("h")]).score == 1.0


def test_one_for_one_point_zero_only_where_the_schema_says_number():
    expected = [want(a=1.0, b=1)]
    tools = read_tools(
        '[{"name": "f", "parameters": {"properties": {"a": {"type": "float"}, "b": {"type": "integer"}}, "type": "dict"}}]'
    )
    assert match(expected, [call(a=1, b=1)], tools).score == 1.0
    assert match(expected, [call(a=1.0, b=1.0)], tools).codes == ("wrong_type",)
    assert match(expected, [call(a=1, b=1)]).codes == ("wrong_type",)


def test_optional_arguments():
    expected = [ExpectedCall("f", {"a": (1,), "unit": ("", "km")}, frozenset({"unit"}))]
    assert match(expected, [call(a=1)]).score == match(expected, [call(a=1, unit="km")]).score == 1.0
    # Wrong is worth as much as an argument that nobody wants.
    wrong = match(expected, [call(a=1, unit="mile")]).score
    assert wrong == match(expected, [call(a=1, x="mile")]).score < 1.0
    number = read_tools(
        '[{"name": "f", "parameters": {"type": "object", "properties": {"unit": {"type": "integer"}}}}]'
    )
    assert match(expected, [call(a=1, unit="")]).score == 1.0
    assert match(expected, [call(a=1, unit="")], number).codes == ("off_schema", "wrong_type")
    blank = [ExpectedCall("f", {"unit": ("",)}, frozenset({"unit"}))]
    needed = read_tools(
        '[{"name": "f", "parameters": {"type": "dict", "properties": {"unit": {"type": "int"}}, "required": ["unit"]}}]'
    )
    assert match(blank, [call(unit="")], needed).score == match(blank, [call()], number).score == 1.0
    required = read_tools('[{"name": "f", "parameters": {"type": "object", "required": ["unit"]}}]')
    assert match(expected, [call(a=1)], required).codes == ("missing_argument",)


def test_the_expected_value_is_right_whatever_the_schema_says():
    tools = read_tools('[{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}]')
    assert match([want(a="x")], [call(a="x")], tools).score == 1.0
    assert match([want("not_a_tool", a=1)], [call("not_a_tool", a=1)], tools).score == 1.0


def test_strings_are_normalised_only_where_asked():
    expected, given_call = [want(city="San Francisco, CA")], [call(city="san francisco CA")]
    assert match(expected, given_call).codes == ("wrong_value",)
    assert match(expected, given_call, matcher=Matcher(normalise=bfcl_string)).score == 1.0


def test_spam_is_not_even_matched():
    expected = [want(a=1)]
    at_the_limit = [call(a=i) for i in range(MAX_SPURIOUS + 1)]
    assert 0.0 < match(expected, at_the_limit).score < 0.1
    spam = [call(a=i) for i in range(10_000)]
    started = time.process_time()
    found = match(expected, spam)
    assert time.process_time() - started < 0.05
    assert (found.score, found.codes, found.parts["extra"]) == (0.0, ("too_many_calls",), 10_000.0)
