"""Typed comparison: what Python's == takes for equal and what nests alternatives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.verifiers.compare import ANYTHING, Shape, bfcl_string, compare, compare_any
from reward_models.verifiers.expected import ExpectedObject

NUMBER = Shape(number=True)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, -1.5]), st.sampled_from(["", "a", "1"])
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)


def plain(value):
    """The value's JSON text: different for 1, 1.0, true and "1"."""
    return json.dumps(value, sort_keys=True)


@given(json_values, json_values)
def test_equal_means_the_same_json_text(given_value, wanted):
    assert compare(given_value, given_value) == "equal"
    assert (compare(given_value, wanted) == "equal") == (plain(given_value) == plain(wanted))
    assert (compare(given_value, wanted) == "equal") == (compare(wanted, given_value) == "equal")


@pytest.mark.parametrize(
    ("given_value", "wanted", "difference"),
    [
        (True, 1, "wrong_type"),
        (1, True, "wrong_type"),
        (False, 0, "wrong_type"),
        (0, None, "wrong_type"),
        (False, True, "wrong_value"),
        (1, 1.0, "wrong_type"),
        ("1", 1, "wrong_type"),
        (10**400, 10.0**300, "wrong_type"),
        ("A", "a", "wrong_value"),
        ([1, 2], [2, 1], "wrong_value"),
        ([1], [1, 1], "wrong_length"),
        ([True], [1], "wrong_type"),
        ((1, [2]), [1, [2]], "equal"),
        ([], {}, "wrong_type"),
        ({"a": 1}, {"b": 1}, "wrong_keys"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "equal"),
        ({"a": {"b": True}}, {"a": {"b": 1}}, "wrong_type"),
    ],
)
def test_differences(given_value, wanted, difference):
    assert compare(given_value, wanted) == difference


def test_a_number_is_compared_by_value():
    assert compare(1, 1.0, NUMBER) == compare(1.0, 1, NUMBER) == "equal"
    assert compare(True, 1.0, NUMBER) == compare("1", 1.0, NUMBER) == "wrong_type"
    assert compare(2, 1.0, NUMBER) == compare(10**400, 1.0, NUMBER) == "wrong_value"
    assert compare(float("nan"), 1.0, NUMBER) == compare(float("inf"), 10**400, NUMBER) == "wrong_value"
    # A float cannot tell the two apart, the comparison can.
    assert compare(2**53 + 1, float(2**53), NUMBER) == "wrong_value"


def test_the_shape_reaches_inside():
    shape = Shape(fields={"x": Shape(items=NUMBER)}, other_fields=NUMBER)
    assert compare({"x": [1], "y": 1}, {"x": [1.0], "y": 1.0}, shape) == "equal"
    assert compare({"x": [1]}, {"x": [1.0]}) == "wrong_type"


def test_alternatives():
    assert compare_any(2, (1, 2)) == "equal"
    assert compare_any(3, ("3", 1)) == "wrong_value"
    assert compare_any("x", (1, [1])) == "wrong_type"
    assert compare_any("x", ()) == "wrong_value"


def test_nested_alternatives():
    wanted = ExpectedObject({"a": (1, 2), "b": ("", "x")}, frozenset({"b"}))
    for given_value in ({"a": 1}, {"a": 2, "b": "x"}, {"a": 1, "b": ""}):
        assert compare(given_value, wanted) == "equal"
        assert compare([given_value], [wanted]) == "equal"
    assert compare({"b": "x"}, wanted) == compare({"a": 1, "c": 1}, wanted) == "wrong_keys"
    assert compare({"a": True}, wanted) == "wrong_type"
    assert compare([1], wanted) == "wrong_type"


def test_depth_is_bounded():
    deep = 1
    for _ in range(64):
        deep = [deep]
    assert compare(deep, deep) == "equal"
    assert compare([deep], [deep]) == compare({"a": deep}, {"a": deep}) == "value_too_deep"
    for _ in range(100_000):
        deep = [deep]
    assert compare(deep, deep) == "value_too_deep"


def test_strings_as_bfcl_compares_them():
    assert bfcl_string("San Francisco, C.A./US-'x'_*^") == 'sanfranciscocaus"x"'
    assert compare("A b", "ab", normalise=bfcl_string) == "equal"
    assert compare({"A b": 1}, {"ab": 1}, normalise=bfcl_string) == "wrong_keys"
    assert compare(["A b"], ["a.b"], ANYTHING, bfcl_string) == "equal"
