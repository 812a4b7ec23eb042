"""Tool definitions: type names, and the compact and JSON forms."""

import json

import pytest

from awpo_ext.data.tools import compact_tool, first_sentence, json_tool, normalise_tool, render_tools
from reward_models.verifiers.schema_forms import normalise_schema


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("dict", {"type": "object"}),
        ("float", {"type": "number"}),
        ("tuple", {"type": "array"}),
        ("any", {}),
        ("str, optional", {"type": "string"}),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}),
        ("list(str)", {"type": "array", "items": {"type": "string"}}),
        ("Tuple[float, float]", {"type": "array", "items": {"type": "number"}}),
        ("Tuple[int, str]", {"type": "array"}),
        ("List[List[float]]", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("List[Union[int, float]]", {"type": "array"}),
        ("Callable[[float], float]", {}),
        (["string", "null"], {"type": ["string", "null"]}),
    ],
)
def test_type_names(name, schema):
    assert normalise_schema({"type": name}) == schema


def test_only_schemas_are_rewritten_not_properties_of_the_same_name():
    schema = {
        "type": "dict",
        "properties": {
            "type": {"type": "float", "optional": True, "enum": [1.0]},
            "optional": {"type": "array", "items": {"type": "dict", "properties": {"x": {"type": "tuple"}}}},
        },
    }
    assert normalise_schema(schema) == {
        "type": "object",
        "properties": {
            "type": {"type": "number", "enum": [1.0]},
            "optional": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "array"}}}},
        },
    }


def area_tool():
    return normalise_tool(
        {
            "name": "area",
            "description": "Calculate the area. Fast.",
            "parameters": {
                "type": "dict",
                "properties": {
                    "base": {"type": "integer", "description": "The side that lies below."},
                    "area": {"type": "integer", "description": "The area."},
                    "unit": {"type": "string", "enum": ["cm", "m"], "default": "cm"},
                    "note": {"type": "string"},
                    "at": {"type": "array", "items": {"type": "dict", "properties": {"x": {"type": "float"}}}},
                },
                "required": ["base", "area", "at"],
            },
        }
    )


def test_the_compact_form():
    assert compact_tool(area_tool()) == (
        'area(base: integer, area: integer, unit: "cm"|"m" = "cm", note: string = ..., at: {x: number}[])'
        " - Calculate the area\n  base: side that lies below"
    )


def test_the_json_form_loses_nothing():
    assert json.loads(json_tool(area_tool())) == {"type": "function", "function": area_tool()}


def test_a_long_enum_and_a_long_description_are_cut():
    tool = normalise_tool(
        {"name": "f", "description": "word " * 50, "parameters": {"properties": {"x": {"enum": ["value"] * 50}}}}
    )
    assert "|..." in compact_tool(tool)
    assert len(compact_tool(tool)) < 300


def test_tools_stand_one_after_the_other():
    tool = {"name": "f", "parameters": {"type": "dict", "properties": {}}}
    assert render_tools([normalise_tool(tool)] * 2, "compact") == "f() - \nf() - "


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One"),
        ("The name of the U.S. president. More.", "The name of the U.S. president"),
        ("Version 3.5 of it. More.", "Version 3.5 of it"),
        ("Ask Mr. X about it", "Ask Mr. X about it"),
        ("", ""),
        ("A long sentence of many words", "A long sentence..."),
    ],
)
def test_first_sentence(text, first):
    assert first_sentence(text, 18 if first.endswith("...") else 60) == first
