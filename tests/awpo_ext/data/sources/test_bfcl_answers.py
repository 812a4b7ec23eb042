"""Unwrapping of BFCL's alternatives, compared with a slow reference that wraps plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.data.sources.bfcl_answers import NoAcceptableCall, first_call, unwrap
from awpo_ext.data.tools import normalise_tool

names = st.text("abcdef", min_size=1, max_size=3)
scalars = st.integers() | st.booleans() | st.text("xyz", min_size=1, max_size=4)
plain = scalars | st.lists(scalars, max_size=3) | st.dictionaries(names, scalars, max_size=2)
# A field of a wrapped dict is plain below: BFCL wraps one level only.
arguments = plain | st.dictionaries(names, plain, max_size=3) | st.lists(st.dictionaries(names, plain), max_size=3)


def wrap_fields(value):
    """BFCL's spelling of a plain value inside a list of alternatives."""
    if isinstance(value, dict):
        return {name: [field, "another"] for name, field in value.items()}
    if isinstance(value, list):
        return [wrap_fields(item) if isinstance(item, dict) else item for item in value]
    return value


@given(arguments)
def test_unwrap_undoes_the_wrapping(value):
    assert unwrap(wrap_fields(value), {}) == value


@given(st.dictionaries(names, arguments, max_size=4))
def test_first_call_takes_the_first_alternatives(parameters):
    tool = normalise_tool({"name": "f", "parameters": {"properties": {name: {} for name in parameters}}})
    answer = {"f": {name: [wrap_fields(value), "another"] for name, value in parameters.items()}}
    assert first_call(answer, [tool]).arguments == parameters


def make_tool(required, **properties):
    return normalise_tool({"name": "f", "parameters": {"properties": properties, "required": required}})


def test_an_optional_argument_is_left_out_only_if_that_is_the_first_alternative():
    tool = make_tool([], a={"type": "integer"}, b={"type": "integer"}, c={"type": "integer"})
    call = first_call({"f": {"a": ["", 1], "b": [2, ""], "c": []}}, [tool])
    assert call.arguments == {"b": 2}


def test_a_required_argument_is_never_left_out():
    tool = make_tool(["a", "b"], a={"type": "integer"}, b={"type": "string"})
    assert first_call({"f": {"a": ["", 25.0], "b": [""]}}, [tool]).arguments == {"a": 25.0, "b": ""}


def test_fields_of_dicts_follow_the_same_rules_and_deeper_dicts_are_plain():
    schema = {"type": "dict", "properties": {"x": {}, "y": {}}, "required": ["y"]}
    tool = make_tool(["d"], d=schema)
    answer = {"f": {"d": [{"x": ["", 1], "y": ["", 2], "z": [{"lat": 1.5}], "w": [["p", "q"]]}]}}
    assert first_call(answer, [tool]).arguments == {"d": {"y": 2, "z": {"lat": 1.5}, "w": ["p", "q"]}}
    assert unwrap({}, schema) == {}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"g": {}}, "does not offer"),
        ({"f": {}}, "required argument"),
        ({"f": {"a": []}}, "required argument"),
        ({"f": {"a": [1], "b": [2]}}, "does not have"),
        ({"f": {}, "g": {}}, "several tools"),
    ],
)
def test_an_answer_that_fits_no_call_is_refused(answer, says):
    with pytest.raises(NoAcceptableCall, match=says):
        first_call(answer, [make_tool(["a"], a={"type": "integer"})])


def test_an_unknown_argument_that_may_be_left_out_is():
    assert first_call({"f": {"a": [1], "b": [0.1, ""]}}, [make_tool(["a"], a={})]).arguments == {"a": 1}
