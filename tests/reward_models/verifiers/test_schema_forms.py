"""Tool schemas as data sets write them: repaired, or refused by the tool's name, and never in the middle of a run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.verifiers.schema import read_tools
from reward_models.verifiers.schema_forms import normalise_schema, parameters_schema


def tool(parameters, key="parameters"):
    return read_tools(json.dumps([{"name": "f", key: parameters}]))["f"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}),
        ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}),
        ({"exclusiveMaximum": True}, {}),
        ({"exclusiveMinimum": 0}, {"exclusiveMinimum": 0}),
        ({"items": [{"type": "int"}, {"type": "str"}]}, {"prefixItems": [{"type": "integer"}, {"type": "string"}]}),
        ({"items": [{}], "additionalItems": False}, {"prefixItems": [{}], "items": False}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"type": "string", "enum": None, "description": None}, {"type": "string"}),
        ({"type": "array", "items": None}, {"type": "array"}),
        ({"properties": {"a": {"type": "str"}, "b": None}}, {"properties": {"a": {"type": "string"}}}),
        ({"type": "string", "default": None}, {"type": "string", "default": None}),
        ({"type": "string", "default": None, "enum": None}, {"type": "string"}),
        ({"enum": ["a", None]}, {"enum": ["a", None]}),
    ],
)
def test_repairs_at_any_depth(written, read):
    assert normalise_schema(written) == read
    nested = {"properties": {"x": {"anyOf": [{"items": written}]}}}
    assert normalise_schema(nested) == {"properties": {"x": {"anyOf": [{"items": read}]}}}
    assert tool(nested) is not None


def test_repaired_schemas_mean_what_was_meant():
    made = tool(
        {
            "properties": {
                "above": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]},
                "maybe": {"type": "string", "enum": ["a"], "nullable": True},
            }
        }
    )
    right = {"above": 1, "pair": [1, "x"], "maybe": None}
    wrong = {"above": 0, "pair": ["x", 1], "maybe": "b"}
    assert not any(made.violates(name, value) for name, value in right.items())
    assert all(made.violates(name, value) for name, value in wrong.items())


@pytest.mark.parametrize(
    "flat",
    [
        {"city": {"type": "str", "description": "c"}, "lat": {"type": "float, optional", "default": "1.0"}},
        {"city": {"type": "str"}, "lat": {"type": "float"}, "zone": None},
        {"city": {"type": "str"}, "lat": {"type": "float"}, "type": {"type": "str"}},
    ],
)
def test_flat_parameters_are_wrapped(flat):
    schema = parameters_schema(flat)
    assert schema["type"] == "object" and {"city", "lat"} <= schema["properties"].keys()
    made = tool(flat)
    assert made.shape.field("lat").number and made.violates("city", 1) and not made.violates("lat", 1)


def test_what_is_a_schema_is_not_wrapped():
    for schema in ({"type": "object", "properties": {}}, {"$ref": "#/$defs/A", "$defs": {"A": {}}}, {"anyOf": [{}]}):
        assert parameters_schema(schema).get("properties") == {}


@pytest.mark.parametrize("key", ["parameters", "input_schema", "inputSchema"])
def test_where_the_schema_is(key):
    assert tool({"type": "object", "properties": {"a": {"type": "integer"}}}, key).violates("a", "x")


@pytest.mark.parametrize(
    "inner",
    [
        {"enum": "a"},
        {"$ref": "https://example.com/a.json"},
        {"pattern": "("},
        {"minimum": "0"},
        {"type": "array", "items": 5},
    ],
)
def test_what_cannot_be_repaired_names_the_tool(inner):
    with pytest.raises(ValueError, match="tool 'f'"):
        tool({"type": "object", "properties": {"x": inner}})


json_schemas = st.recursive(
    st.sampled_from(
        [None, True, {}, {"type": "integer"}, {"type": "any"}, {"enum": [None, 1]}, {"exclusiveMinimum": True}]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["string", "null"], None, "dict"]),
            "properties": st.dictionaries(st.sampled_from(["type", "items", "a"]), inner, max_size=2),
            "items": st.one_of(inner, st.lists(inner, max_size=2)),
            "required": st.sampled_from([["a"], True, None]),
            "minimum": st.sampled_from([0, None]),
            "nullable": st.booleans(),
        },
    ),
    max_leaves=6,
)


@given(json_schemas.filter(lambda schema: isinstance(schema, dict)))
def test_normalising_again_changes_nothing(schema):
    once = normalise_schema(schema)
    assert normalise_schema(once) == once
