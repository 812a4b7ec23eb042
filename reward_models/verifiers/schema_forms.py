"""A tool's parameters in the forms that data sets write, as a JSON schema of the latest draft. Pure; compiles nothing."""

from __future__ import annotations

import re
from typing import Any

from reward_models.parsing.tool_types import JSON_TYPES

Schema = dict[str, Any]

_GENERIC = re.compile(r"(?P<outer>\w+)\s*[\[(](?P<inner>.*)[\])]")
_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
# What the boolean of draft 4 becomes: the bound that it makes exclusive.
_EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def parameters_schema(parameters: Schema) -> Schema:
    """A tool's parameters as an object schema, normalised at every depth.

    ToolRL and xLAM write the properties without the schema around them; a property may be *named* "type": then it is an
    object. `$schema` goes: an unknown one would have to be fetched, and all are read as the latest draft.
    """
    is_schema = isinstance(parameters.get("type"), str | list) or not parameters.keys().isdisjoint(
        ("properties", "$ref", *LISTS_OF_SCHEMAS)
    )
    if not is_schema and parameters and all(isinstance(value, dict | None) for value in parameters.values()):
        parameters = {"properties": parameters}
    schema = normalise_schema({key: value for key, value in parameters.items() if key != "$schema"})
    return {"type": "object", "properties": {}, **schema}


def parameters_of(definition: Schema) -> Schema:
    """The parameters as a tool's definition has them, {} where it has none; ValueError where they are not an object.

    OpenAI's `parameters`, Anthropic's `input_schema`, or MCP's `inputSchema`.
    """
    given = [definition[key] for key in ("parameters", "input_schema", "inputSchema") if definition.get(key)]
    if given and not isinstance(given[0], dict):
        raise ValueError(f"parameters must be an object, got {str(given[0])[:200]!r}")
    return given[0] if given else {}


def normalise_schema(schema: Schema) -> Schema:
    """The schema with JSON schema's type names, at every depth; what sources write in their own way goes or is repaired.

    Gone: BFCL's flag `optional`, a `required` that is no list, and nulls, which parquet fills structs with (a `default` of
    null stays where it is the only one). A type without a JSON counterpart (`any`) leaves the value free. Repaired: the
    boolean `exclusiveMinimum` and `exclusiveMaximum` of draft 4, the list in `items` of draft 7, OpenAPI's `nullable`. The
    keys keep their order. A property *named* `type` or `optional` is left alone.
    """
    result: Schema = {}
    for key, value in _without_nulls(schema).items():
        if key == "type":
            result.update(_type_schema(value))
        elif key in _MAPS_OF_SCHEMAS and isinstance(value, dict):
            result[key] = {name: _normalise_inner(inner) for name, inner in value.items() if inner is not None}
        elif key in LISTS_OF_SCHEMAS and isinstance(value, list):
            result[key] = [_normalise_inner(inner) for inner in value]
        elif key in _SCHEMAS:
            result[key] = _normalise_inner(value)
        elif key != "optional" and not (key == "required" and not isinstance(value, list)):
            result[key] = value
    return _latest_draft(result)


def _without_nulls(schema: Schema) -> Schema:
    nulls = [key for key, value in schema.items() if value is None]
    return schema if nulls in ([], ["default"]) else {key: schema[key] for key in schema if key not in nulls}


def _latest_draft(schema: Schema) -> Schema:
    for key, bound in _EXCLUSIVE.items():
        if isinstance(schema.get(key), bool):
            exclusive = schema.pop(key)
            if exclusive and bound in schema:
                schema[key] = schema.pop(bound)
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = [_normalise_inner(inner) for inner in schema.pop("items")]
        if "additionalItems" in schema:
            schema["items"] = _normalise_inner(schema.pop("additionalItems"))
    if schema.pop("nullable", False) is True and "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = list(dict.fromkeys([*kinds, "null"]))
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _normalise_inner(schema: Any) -> Any:
    return normalise_schema(schema) if isinstance(schema, dict) else schema


def _type_schema(name: Any) -> Schema:
    """A type's name as a JSON schema; empty (anything goes) where it has no JSON counterpart, such as `any`."""
    if isinstance(name, list):
        known = [JSON_TYPES[item] for item in map(str, name) if item in JSON_TYPES]
        return {"type": list(dict.fromkeys(known))} if known and len(known) == len(name) else {}
    text = str(name).split(", optional")[0].strip()
    generic = _GENERIC.fullmatch(text)
    if generic is None:
        return {"type": JSON_TYPES[text.lower()]} if text.lower() in JSON_TYPES else {}
    outer = _type_schema(generic["outer"])
    if outer.get("type") != "array":
        return outer
    # `Tuple[float, float]` is an array of numbers; `List[List[int]]` must not be cut at its inner comma.
    inner = generic["inner"]
    parts = {inner} if "[" in inner else {part.strip() for part in inner.split(",")}
    items = _type_schema(parts.pop()) if len(parts) == 1 else {}
    return {**outer, "items": items} if items else outer
