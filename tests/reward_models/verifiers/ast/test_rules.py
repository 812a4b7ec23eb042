"""Each rule of BFCL's AST checker by hand, for values as JSON and Python give them, and the deliberate differences."""

import pytest

from tests.reward_models.verifiers.ast.cases import (
    BOOLEAN,
    DICT,
    FLOAT,
    INTEGER,
    OK,
    STRING,
    TWO_TOOLS,
    array_of,
    code,
    codes,
    tool,
)


@pytest.mark.parametrize(
    ("schema", "accepted", "value", "expected"),
    [
        # Strings: without case, spaces and some punctuation, either quote.
        (STRING, ["April 1, 2024"], "april 1 2024", OK),
        (STRING, ["a-b_c/d.e*f^g"], "ABCDEFG", OK),
        (STRING, ["it's"], 'it"s', OK),
        (STRING, ["a:b"], "ab", "value_error"),
        (STRING, ["a"], 1, "type_error"),
        (STRING, ["a", ""], "", OK),
        (STRING, ["a"], "", "value_error"),
        ({"type": "any"}, ["a"], "A", OK),
        ({}, ["a"], "A", OK),
        # Numbers: an integer for a float, never the other way; a boolean is neither.
        (INTEGER, [1], 1, OK),
        (INTEGER, [1], 1.0, "type_error"),
        (INTEGER, [1], True, "type_error"),
        (INTEGER, [1], "1", "type_error"),
        (INTEGER, [1, 2], 3, "value_error"),
        (FLOAT, [1.0], 1, OK),
        (FLOAT, [1], 1.0, OK),
        (FLOAT, [1.0], True, "type_error"),
        (FLOAT, [1.0], 10**400, "value_error"),
        ({"type": "number"}, [0.5], 0.5, OK),
        (BOOLEAN, [True], True, OK),
        (BOOLEAN, [True], False, "value_error"),
        (BOOLEAN, [True], 1, "type_error"),
        # null is right only where it comes first among the answers.
        (STRING, [None], None, OK),
        (STRING, ["a", None], None, "type_error"),
        # A variable's name in place of a value is compared as it stands.
        (INTEGER, ["LIMIT"], "LIMIT", OK),
        (INTEGER, ["LIMIT"], "limit", "value_error"),
        (array_of("integer"), ["rows"], "rows", OK),
        (DICT, ["options"], "options", OK),
        # Nothing is right where there is no answer.
        (STRING, [], "a", "value_error"),
    ],
)
def test_scalar_arguments(schema, accepted, value, expected):
    assert code(schema, accepted, value) == expected


@pytest.mark.parametrize(
    ("schema", "accepted", "value", "expected"),
    [
        (array_of("string"), [["A b", "c"]], ["ab", "C"], OK),
        (array_of("string"), [["a", "b"]], ["b", "a"], "value_error"),
        (array_of("string"), [["a", "b"]], ["a"], "value_error"),
        (array_of("string"), [["a"], ["b"]], ["b"], OK),
        (array_of("string"), [["a"]], "a", "type_error"),
        (array_of("integer"), [[1, 2]], ["1", 2], "item_type_error"),
        (array_of("integer"), [[1]], [True], "item_type_error"),
        # No promotion inside of a list, but the type of the answer's own first item is right as well.
        (array_of("float"), [[1.0]], [1], "item_type_error"),
        (array_of("float"), [[1]], [1], OK),
        (array_of("integer"), [["X"]], ["x"], OK),
        # Types are checked one level deep, values all the way, without normalisation below the first level.
        (array_of("array"), [[["a"], [1]]], [["a"], [1.0]], OK),
        (array_of("array"), [[["a"]]], [["A"]], "value_error"),
        ({"type": "array"}, [[1, "a"]], [1, "a"], OK),
        # "" says that a list may be left out; the empty list counts as the same.
        (array_of("string"), [["a"], ""], [], OK),
        (array_of("string"), [["a"]], [], "value_error"),
        # A tuple is a list only where the tool asks for one.
        (array_of("float", "tuple"), [[1.0, 2.0]], (1.0, 2.0), OK),
        (array_of("float", "tuple"), [[1.0, 2.0]], [1.0, 2.0], OK),
        (array_of("float"), [[1.0, 2.0]], (1.0, 2.0), "type_error"),
    ],
)
def test_list_arguments(schema, accepted, value, expected):
    assert code(schema, accepted, value) == expected


@pytest.mark.parametrize(
    ("accepted", "value", "expected"),
    [
        ([{"k": ["A", "b"]}], {"k": "a"}, OK),
        ([{"k": ["A"]}, {"k": ["b"]}], {"k": "b"}, OK),
        ([{"k": ["a"]}], {"k": "c"}, "value_error"),
        ([{"k": ["a"]}], {}, "value_error"),
        ([{"k": ["a", ""]}], {}, OK),
        ([{"k": ["a"]}], {"k": "a", "z": 1}, "value_error"),
        ([{"k": [1]}], {"k": 1.0}, OK),
        ([{"k": [["A"]]}], {"k": ["A"]}, OK),
        ([{"k": [["A"]]}], {"k": ["a"]}, "value_error"),
        ([{"k": [{"n": "A"}]}], {"k": {"n": "A"}}, OK),
        ([{"k": [[1]]}], {"k": (1,)}, "value_error"),
        ([{"k": "A"}], {"k": "a"}, OK),  # a bare value, as in one of BFCL's answers
        (["", {}], {}, OK),
        ([{"k": ["a"]}], [["k", "a"]], "type_error"),
    ],
)
def test_dict_arguments(accepted, value, expected):
    assert code(DICT, accepted, value) == expected


@pytest.mark.parametrize(
    ("accepted", "value", "expected"),
    [
        ([[{"k": ["A"]}, {"k": ["b", ""]}]], [{"k": "a"}, {}], OK),
        ([[{"k": ["a"]}, {"k": ["b"]}]], [{"k": "b"}, {"k": "a"}], "value_error"),
        ([[{"k": ["a"]}]], [{"k": "a"}, {"k": "a"}], "value_error"),
        ([[{"k": ["a"]}]], ["a"], "item_type_error"),
        ([[{"k": ["a"]}], ""], [], OK),
        ([[{"k": ["a"]}], ""], ["a"], "value_error"),
    ],
)
def test_lists_of_dicts(accepted, value, expected):
    assert code(array_of("dict"), accepted, value) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"a": 1, "b": 2}, OK),
        ({"a": 1}, OK),
        ({"b": 2}, "missing_required"),
        ({"a": 1, "b": 2, "z": 0}, "unexpected_param"),
        ({"a": 1, "d": 4}, "unexpected_param"),  # the tool knows it, no answer gives it
    ],
)
def test_required_and_optional_arguments(arguments, expected):
    tools = [tool(required=["a"], a=INTEGER, b=INTEGER, d=INTEGER)]
    assert codes(tools, [{"f": {"a": [1], "b": [2, ""]}}], [("f", arguments)])[0] == expected


def test_an_argument_that_every_answer_gives_is_missed_even_where_the_tool_does_not_require_it():
    assert codes([tool(a=INTEGER)], [{"f": {"a": [1]}}], [("f", {})]) == ("missing_optional",)


def test_an_argument_that_the_tool_does_not_have_cannot_be_given():
    tools, answers = [tool(a=INTEGER)], [{"f": {"a": [1], "z": [5, ""]}}]
    assert codes(tools, answers, [("f", {"a": 1, "z": 5})]) == ("unexpected_param",)
    assert codes(tools, answers, [("f", {"a": 1})]) == (OK,)


PARALLEL = [{"f": {"a": [1]}}, {"g.h": {"a": ["x"]}}, {"f": {"a": [2]}}]


def test_calls_in_any_order():
    calls = [("f", {"a": 2}), ("f", {"a": 1}), ("g.h", {"a": "X"})]
    assert codes(TWO_TOOLS, PARALLEL, calls) == (OK,)


@pytest.mark.parametrize("calls", [[], [("f", {"a": 1})], [("f", {"a": 1})] * 4])
def test_another_number_of_calls(calls):
    assert codes(TWO_TOOLS, PARALLEL, calls) == ("wrong_count",)


def test_what_is_wrong_with_several_calls():
    calls = [("f", {"a": 1}), ("g.h", {"a": "y"}), ("f", {"a": 2})]
    assert codes(TWO_TOOLS, PARALLEL, calls) == ("no_match", "value_error")
    calls = [("f", {"a": 1}), ("f", {"a": 1}), ("f", {"a": 2})]
    assert codes(TWO_TOOLS, PARALLEL, calls) == ("no_match", "wrong_name")


def test_pairs_are_the_best_ones_not_the_first_that_fit():
    answers = [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}]
    for calls in ([("f", {"a": 1}), ("f", {"a": 2})], [("f", {"a": 2}), ("f", {"a": 1})]):
        assert codes(TWO_TOOLS, answers, calls) == (OK,)


def test_true_is_not_one_at_any_depth():
    assert code(DICT, [{"k": [1]}], {"k": True}) == "value_error"
    assert code(array_of("array"), [[[1]]], [[True]]) == "value_error"
    assert code(array_of("integer"), [[1], ""], [True]) == "value_error"
