"""Tool definitions: to one shape (name, description, JSON schema), and from there to the text of a prompt.

Sources spell types their own way (BFCL `dict` and `float`, ToolRL `List[int]` and `str, optional`); the verifiers'
`schema_forms` knows them.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from reward_models.verifiers.schema_forms import Schema, parameters_of, parameters_schema

Tool = dict[str, Any]

_FILLERS = frozenset(
    ("a", "an", "and", "as", "by", "for", "from", "in", "is", "it", "of", "on", "or", "that", "the", "this", "to")
)

# Two word characters before the stop and no lower case after it: neither "U.S. state" nor "e.g. this" is two sentences.
_SENTENCE_END = re.compile(r"(?<=[^\W\dA-Z][^\W_][.!?])\s+(?![a-z])|(?<=[\d)\]\"'%][.!?])\s+(?=[A-Z])|\n+")

# Limits of the compact form: a 135M-parameter model on a CPU reads about 200 tokens a second.
_MAX_DESCRIPTION = 65
_MAX_ARGUMENT = 36
_MAX_ENUM = 80
_MAX_DEFAULT = 20


def normalise_tool(tool: Tool) -> Tool:
    """A tool as {name, description, parameters}, the parameters an object schema; ValueError where they are no object."""
    return {
        "name": tool["name"],
        "description": tool.get("description", ""),
        "parameters": parameters_schema(parameters_of(tool)),
    }


def split_sentences(text: str) -> list[str]:
    """The text's sentences and lines. An abbreviation ("U.S.", "Mr.") and a decimal point end none."""
    return [part.strip() for part in _SENTENCE_END.split(text.strip())]


def first_sentence(text: str, limit: int) -> str:
    """The first sentence without its full stop, cut at a word and marked with `...` beyond `limit` characters."""
    return shorten(split_sentences(text)[0].rstrip("."), limit)


def shorten(text: str, limit: int) -> str:
    """The text cut at a word and marked with `...` where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0].rstrip(",;: ") + "..."


def _short_type(schema: Schema, depth: int = 0) -> str:
    if schema.get("enum"):
        values = [json.dumps(value, ensure_ascii=False) for value in schema["enum"]]
        text = "|".join(values)
        while len(text) > _MAX_ENUM and len(values) > 1:
            values.pop()
            text = "|".join([*values, "..."])
        return text
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return "|".join(kind)
    if kind == "array":
        inner = _short_type(schema.get("items", {}), depth + 1)
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    # Two levels say enough; deeper ones cost more tokens than a compact prompt has.
    if kind == "object" and schema.get("properties") and depth < 2:
        return "{" + _arguments(schema, depth + 1) + "}"
    return kind


def _arguments(schema: Schema, depth: int = 0) -> str:
    required = set(schema.get("required", ()))
    parts = []
    for name, inner in schema.get("properties", {}).items():
        part = f"{name}: {_short_type(inner, depth)}"
        # A nested object without a `required` list says nothing about which of its fields may be left out.
        if name not in required and (depth == 0 or required):
            default = json.dumps(inner["default"], ensure_ascii=False) if "default" in inner else "..."
            part += f" = {default if len(default) <= _MAX_DEFAULT else '...'}"
        parts.append(part)
    return ", ".join(parts)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.lower())) - _FILLERS


def compact_tool(tool: Tool) -> str:
    """A normalised tool as a signature, its description, and an indented line for each described argument.

    An optional argument shows `= default`, or `= ...` where the default is unknown or long. Descriptions are cut to
    their first sentence, and long ones further; `json_tool` is the form that leaves nothing out.
    """
    parameters = tool["parameters"]
    known = _words(tool["description"])
    lines = [f"{tool['name']}({_arguments(parameters)}) - {first_sentence(tool['description'], _MAX_DESCRIPTION)}"]
    for name, schema in parameters.get("properties", {}).items():
        doc = first_sentence(schema.get("description", "").removeprefix("The "), _MAX_ARGUMENT)
        # "base: base of the triangle" tells nothing new below "area of a triangle".
        if not _words(doc) <= known | _words(name):
            lines.append(f"  {name}: {doc}")
    return "\n".join(lines)


def json_tool(tool: Tool) -> str:
    """A normalised tool as one line of OpenAI's function JSON."""
    return json.dumps({"type": "function", "function": tool}, ensure_ascii=False)


TOOL_FORMATS = {"compact": compact_tool, "json": json_tool}


def render_tools(tools: Sequence[Tool], tool_format: str) -> str:
    """The tools of a prompt, one after the other, in one of TOOL_FORMATS."""
    return "\n".join(TOOL_FORMATS[tool_format](tool) for tool in tools)
