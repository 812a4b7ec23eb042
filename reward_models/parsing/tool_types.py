"""What a row's tools say about the types of arguments, for the dialects whose values are plain text.

Only types are read here: whether a value fits its schema is the verifiers' question (`reward_models.verifiers.schema`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from reward_models.parsing.json_values import read_whole
from reward_models.parsing.limits import MAX_NUMBER_CHARS
from reward_models.parsing.types import ParseCode, Unreadable

JSON_TYPES = {
    "dict": "object",
    "object": "object",
    "float": "number",
    "double": "number",
    "number": "number",
    "tuple": "array",
    "list": "array",
    "array": "array",
    "set": "array",
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "bool": "boolean",
    "boolean": "boolean",
    "null": "null",
}
Types = frozenset[str]  # names of JSON types; empty where anything goes
_ITEM = None  # in place of a field's name

ANYTHING: Types = frozenset()
STRING: Types = frozenset({"string"})
_NUMBERS: Types = frozenset({"integer", "number"})
_NO_ARGUMENTS: Mapping[str, Types] = {}
_CACHED_ROWS = 1024
_MAX_PLACES = 1024  # that are kept of one row
_MAX_DEPTH = 8
_MAX_SCHEMAS = 16
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")
_WORD = re.compile(r"\w+")
# As JSON has them, and as Python prints them: templates of untyped formats write `True` and `None` too.
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


class Place:
    """What the tools say of one value: its `types`, and by `inside` those of the values in it."""

    __slots__ = ("_known", "_root", "_schemas", "types")

    def __init__(self, types: Types, schemas: list[Any], root: Any, known: dict[Any, Place]) -> None:
        """`schemas` are those of the value, which may have alternatives, within the tool's parameters `root`."""
        self.types, self._schemas, self._root, self._known = types, schemas, root, known

    def inside(self, name: str) -> Place:
        """The place of a field; `item` is a field of that name, or any item of a list."""
        if not self._schemas:
            return NOWHERE
        found = self._known.get((self, name))
        if found is None:
            found = self._find(name)
            if name == "item" and not found._schemas:
                found = self._find(_ITEM)
            # Responses make up names, and recursive schemas have places without end.
            if (found._schemas or name == "item") and len(self._known) < _MAX_PLACES:
                self._known[self, name] = found
        return found

    def _find(self, name: str | None) -> Place:
        schemas = [inner for schema in self._schemas for inner in _inner(schema, name, self._root)][:_MAX_SCHEMAS]
        types = [_types(schema, self._root, 0) for schema in schemas]
        return Place(ANYTHING if None in types else frozenset().union(*types), schemas, self._root, self._known)


NOWHERE = Place(ANYTHING, [], None, {})


class ToolTypes:
    """The types of each tool's arguments by name; `names` are the tools' names."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._arguments = {tool: _arguments(given) for tool, given in parameters.items()}
        self._places: dict[Any, Place] = {}
        self.names = frozenset(parameters)

    def arguments(self, tool: str) -> Mapping[str, Types]:
        """The types of a tool's arguments by name. A name that is not there may be ANYTHING."""
        return self._arguments.get(tool, _NO_ARGUMENTS)

    def place(self, tool: str, argument: str) -> Place:
        """An argument's place."""
        found = self._places.get((tool, argument))
        if found is None:
            root, types = self._parameters.get(tool), self.arguments(tool).get(argument, ANYTHING)
            schemas = _inner(root, argument, root)
            found = Place(types, schemas, root, self._places)
            if schemas and len(self._places) < _MAX_PLACES:
                self._places[tool, argument] = found
        return found


def typed(text: str, types: Types) -> tuple[Any, Sequence[ParseCode]]:
    """The value that `text` stands for, and what is wrong with it where it is read as JSON.

    A string where the schema has nothing but strings; of other types the first that the text is. Text that is none
    of them stays text, for the schema check to refuse. Where no type is declared, the text is JSON or else a string.
    """
    if types == STRING:
        return text, ()
    stripped = text.strip()
    if stripped in _WORDS:
        word = _WORDS[stripped]
        kind = "null" if word is None else "boolean"
        return (word if kind in types or "string" not in types else text), ()
    digits = stripped.removeprefix("-")
    if digits.isascii() and digits.isdigit() and digits[0] != "0" and len(stripped) <= MAX_NUMBER_CHARS:
        return (int(stripped) if not types or types & _NUMBERS else text), ()
    return _json_or_text(text, stripped, types)


def json_value(text: str) -> tuple[Any, Sequence[ParseCode]]:
    """The JSON value that the text has to be, and what is wrong with it; text that is none is a BAD_VALUE."""
    try:
        return read_whole(text)
    except Unreadable as error:
        if error.problem.code is ParseCode.NOT_JSON:
            return text, (ParseCode.BAD_VALUE,)
        raise


def _json_or_text(text: str, stripped: str, types: Types) -> tuple[Any, Sequence[ParseCode]]:
    if not stripped.startswith(("{", "[", '"', "-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")):
        return text, ()
    try:
        value, codes = read_whole(stripped)
    except Unreadable as error:
        if error.problem.code is ParseCode.NOT_JSON or not types or "string" in types:
            return text, ()
        raise
    kind = _kind(value)
    if not types or kind in types or (kind == "integer" and "number" in types):
        return value, codes
    # A quoted string in place of another type, or a number for an integer: JSON, though not of the declared type.
    return (text, ()) if "string" in types else (value, codes)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "integer" if isinstance(value, int) else "number"


def tool_types(tools: str | Sequence[Mapping[str, Any]] | None) -> ToolTypes:
    """The types in a row's tools, given as JSON text or as a list of definitions, in OpenAI's or the flat form.

    What is no such list says nothing: then all types are free and no name is known. Whether tools are well formed is
    for the readers of data to say.
    """
    if not tools:
        return NO_TOOLS
    return _from_text(tools) if isinstance(tools, str) else _from_list(tools)


@lru_cache(maxsize=_CACHED_ROWS)
def _from_text(text: str) -> ToolTypes:
    try:
        return _from_list(json.loads(text))
    except (ValueError, RecursionError):
        return NO_TOOLS


def _from_list(definitions: Any) -> ToolTypes:
    parameters = {}
    for definition in definitions if isinstance(definitions, Sequence) else ():
        if isinstance(definition, Mapping) and isinstance(definition.get("function"), Mapping):
            definition = definition["function"]
        if isinstance(definition, Mapping) and isinstance(definition.get("name"), str):
            parameters[definition["name"]] = definition.get("parameters")
    return ToolTypes(parameters)


def _arguments(parameters: Any) -> dict[str, Types]:
    return {str(name): _types(schema, parameters, 0) or ANYTHING for name, schema in _properties(parameters).items()}


def _properties(parameters: Any) -> Mapping[str, Any]:
    if not isinstance(parameters, Mapping):
        return {}
    properties = parameters.get("properties")
    # ToolRL and xLAM write the properties without the schema around them.
    if not isinstance(properties, Mapping):
        properties = {} if isinstance(parameters.get("type"), str) else parameters
    return properties


def _inner(schema: Any, name: str | None, root: Mapping[str, Any], depth: int = 0) -> list[Any]:
    """The schemas of a field, or with _ITEM of the items, in a schema or any of its alternatives."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return []
    if name is _ITEM:
        found = [schema["items"]] if isinstance(schema.get("items"), Mapping) else []
    else:
        properties = _properties(schema) if schema is root else schema.get("properties")
        found = [properties[name]] if isinstance(properties, Mapping) and name in properties else []
    others = [_referred(schema["$ref"], root)] if isinstance(schema.get("$ref"), str) else []
    others += [part for key in _ALTERNATIVES if isinstance(schema.get(key), list) for part in schema[key]]
    return (found + [inner for part in others for inner in _inner(part, name, root, depth + 1)])[:_MAX_SCHEMAS]


def _types(schema: Any, root: Mapping[str, Any], depth: int) -> Types | None:
    """The types that a schema permits; None where it does not say."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    if isinstance(schema.get("$ref"), str):
        return _types(_referred(schema["$ref"], root), root, depth + 1)
    declared = schema.get("type")
    if declared is not None:
        names = [_type(name) for name in (declared if isinstance(declared, list) else [declared])]
        return None if None in names else frozenset(names) | ({"null"} if schema.get("nullable") is True else set())
    if isinstance(schema.get("enum"), list):
        return frozenset(kind for value in schema["enum"] for kind in [_kind_of_constant(value)])
    if "const" in schema:
        return frozenset({_kind_of_constant(schema["const"])})
    for key in _ALTERNATIVES:
        if isinstance(schema.get(key), list):
            parts = [_types(part, root, depth + 1) for part in schema[key]]
            known = [part for part in parts if part is not None]
            if key == "allOf":
                return frozenset.intersection(*known) if known else None
            return frozenset().union(*known) if len(known) == len(parts) and parts else None
    return None


def _type(name: Any) -> str | None:
    """A type's name in JSON schema; `List[int]` and `string, optional` go by their first word."""
    word = _WORD.match(str(name).strip())
    return JSON_TYPES.get(word.group().lower()) if word else None


def _kind_of_constant(value: Any) -> str:
    if value is None:
        return "null"
    return "boolean" if isinstance(value, bool) else _kind(value)


def _referred(reference: str, root: Any) -> Any:
    """What a reference within the parameters points to."""
    value = root
    for part in reference.split("/")[1:] if reference.startswith("#") else ():
        value = value.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(value, Mapping) else None
    return value if value is not root else None


NO_TOOLS = ToolTypes({})
