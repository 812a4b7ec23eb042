"""Ground truths in every form that data sets write, and what a bad one raises."""

import json

import pytest

from reward_models import Rollout
from reward_models.verifiers.expected import ExpectedCall, ExpectedObject, parse_expected, read_expected

F = ExpectedCall("f", {"a": (1,), "b": ("x",)})


@pytest.mark.parametrize(
    "text",
    [
        '<think> </think>\n<tool_call>\n{"name": "f", "parameters": {"a": 1, "b": "x"}}\n</tool_call>',
        '<think>t</think><tool_call>\n{"name": "f", "parameters": {"a": 1, "b": "x"}}\n</tool_call><response>r</response>',
        '[{"f": {"a": [1], "b": ["x"]}}]',
        '{"f": {"a": [1], "b": ["x"]}}',
        '[{"type": "function", "id": "1", "function": {"name": "f", "arguments": "{\\"a\\": 1, \\"b\\": \\"x\\"}"}}]',
        '{"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": "x"}}}]}',
        ' [{"name": "f", "arguments": {"a": 1, "b": "x"}}]',
        '[{"name": "f", "parameters": {"a": 1, "b": "x"}}]',
    ],
)
def test_the_forms(text):
    assert parse_expected(text) == (F,)


@pytest.mark.parametrize("text", ["[]", '{"tool_calls": []}', "<think> </think>\n<response>No tool fits.</response>"])
def test_no_call_is_expected(text):
    assert parse_expected(text) == ()


def test_alternatives_and_optional_arguments():
    (call,) = parse_expected('[{"f": {"a": [1, 2], "unit": ["km", ""], "bare": 3, "none": []}}]')
    assert call == ExpectedCall("f", {"a": (1, 2), "unit": ("km", ""), "bare": (3,)}, frozenset({"unit"}))


def test_alternatives_nest_in_a_dict_and_in_the_dicts_of_a_list_and_no_deeper():
    inner = {"x": [1, ""], "deep": [{"y": [1]}]}
    (call,) = parse_expected(json.dumps([{"f": {"d": [inner], "l": [[inner, 5]], "ll": [[[1, 2]]]}}]))
    expected = ExpectedObject({"x": (1, ""), "deep": ({"y": [1]},)}, frozenset({"x"}))
    assert call.arguments["d"][0].fields["x"] == (1, "")
    assert call.arguments["d"][0].optional == {"x"}
    assert call.arguments["d"] == (expected,) and call.arguments["l"] == ([expected, 5],)
    assert call.arguments["ll"] == ([[1, 2]],)


@pytest.mark.parametrize(
    "answer", ["Use `v[v.size() - 1]`.", '{"answer": 42}', "👍", "```\nprint(1)", "[f(a=1)]", "a\n{}"]
)
def test_what_a_gold_answer_says_does_not_matter(answer):
    assert parse_expected(f"<think> </think>\n<response> {answer} </response>") == ()


def test_a_tool_may_be_called_name():
    assert parse_expected('[{"name": {"a": [1]}}]') == (ExpectedCall("name", {"a": (1,)}),)
    assert parse_expected('[{"function": {"a": [1]}}]') == (ExpectedCall("function", {"a": (1,)}),)


def test_the_row_s_possible_answer_comes_first():
    def row(**extra):
        return Rollout("", "", "", '[{"name": "g", "arguments": {}}]', "bfcl", extra)

    assert read_expected(row(possible_answer='[{"f": {"a": [1], "b": ["x"]}}]')) == (F,)
    assert read_expected(row(possible_answer="")) == read_expected(row(possible_answer=None)) == read_expected(row())
    assert read_expected(row())[0].name == "g"
    with pytest.raises(ValueError, match="possible_answer"):
        read_expected(row(possible_answer=[{"f": {}}]))


@pytest.mark.parametrize(
    "text",
    [
        "words",
        "<think>t</think>",
        "<tool_call>\n{}\n</tool_call>",
        "[1]",
        "[{}]",
        '[{"f": {}, "g": {}}]',
        '[{"f": [1]}]',
        '[{"name": "f", "arguments": [1]}]',
        '[{"name": "f", "arguments": "x"}]',
        '[{"f": {"a": [NaN]}}]',
        '[{"f": {"a": [1]}}',
        '{"tool_calls": 1}',
        "[" * 100_000,
        "<think> </think>\n<response></response>",
        "<think> </think>\n<response>the <tool_call> tag</response>",
        "<response>a</response><tool_call>\n{}\n</tool_call><response>b</response>",
        "<think>a </think> b</think>\n<response>x</response>",
    ],
)
def test_a_bad_ground_truth(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_expected(text)
