"""A row of BFCL as rules: from its tool definitions and possible answers to `AstCall`s, for each of the languages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from reward_models.verifiers.ast.literals import read_java, read_javascript
from reward_models.verifiers.ast.rules import Argument, AstCall, Values, comparison, item_types

CACHED_ROWS = 1024

_PYTHON_TYPES = {
    **dict.fromkeys(("string", "str", "any"), str),
    **dict.fromkeys(("integer", "int"), int),
    **dict.fromkeys(("float", "number", "double"), float),
    **dict.fromkeys(("boolean", "bool"), bool),
    **dict.fromkeys(("array", "list", "tuple"), list),
    **dict.fromkeys(("dict", "object"), dict),
}
_JAVA_TYPES = {
    **dict.fromkeys(("String", "char", "any"), str),
    **dict.fromkeys(("byte", "short", "integer", "long"), int),
    **dict.fromkeys(("float", "double"), float),
    **dict.fromkeys(("Array", "ArrayList"), list),
    "boolean": bool,
    "HashMap": dict,
}
_JAVASCRIPT_TYPES = {
    **dict.fromkeys(("String", "any"), str),
    **dict.fromkeys(("integer", "Bigint"), int),
    "float": float,
    "Boolean": bool,
    "array": list,
    "dict": dict,
}


@dataclass(frozen=True)
class Language:
    """The type names that a category's tools use, and how its argument texts are read; `read` is None in Python."""

    types: Mapping[str, type]
    read: Callable[[str, str, str], Any] | None


LANGUAGES = {
    "python": Language(_PYTHON_TYPES, None),
    "java": Language(_JAVA_TYPES, read_java),
    "javascript": Language(_JAVASCRIPT_TYPES, read_javascript),
}


@lru_cache(maxsize=CACHED_ROWS)
def read_row(tools: str, answers: str, language: str, underscores: bool = False) -> tuple[AstCall, ...]:
    """The expected calls of a row.

    `tools` is a JSON list of BFCL's (or OpenAI's) tool definitions, `answers` of its possible answers
    [{tool: {argument: [values]}}], `language` a key of LANGUAGES. With `underscores` the expected names have `_` for
    each `.`. ValueError where a text is not in that form, an answer's tool is not there, or a type is not BFCL's.
    """
    definitions: dict[str, Mapping[str, Any]] = {}
    for tool in _json_list(tools, "tools", "tool definitions"):
        tool = tool.get("function", tool) if isinstance(tool, dict) else {}
        if (
            not isinstance(tool, dict)
            or not isinstance(tool.get("name"), str)
            or not _is_schema(tool.get("parameters"))
        ):
            raise ValueError(f"a tool definition needs 'name' and 'parameters', got {str(tool)[:200]!r}")
        definitions.setdefault(tool["name"], tool["parameters"])
    expected = _json_list(answers, "ground truth", "possible answers [{tool: {argument: [values]}}]")
    if not expected:
        raise ValueError("the ground truth has no call; rows that expect none are for the verifier 'irrelevance'")
    return tuple(_read_call(answer, definitions, LANGUAGES[language], underscores) for answer in expected)


def _is_schema(parameters: Any) -> bool:
    if not isinstance(parameters, dict):
        return False
    properties, required = parameters.get("properties", {}), parameters.get("required", [])
    return isinstance(properties, dict) and isinstance(required, list) and all(map(_is_dict, properties.values()))


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _json_list(text: str, what: str, form: str) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the row's {what} must be a JSON list of {form}: {error}, got {text[:200]!r}") from error
    if not isinstance(value, list):
        raise ValueError(f"the row's {what} must be a JSON list of {form}, got {text[:200]!r}")
    return value


def _read_call(
    answer: Any, definitions: Mapping[str, Mapping[str, Any]], language: Language, underscores: bool
) -> AstCall:
    if not isinstance(answer, dict) or len(answer) != 1 or not isinstance(next(iter(answer.values())), dict):
        raise ValueError(f"a possible answer must be {{tool: {{argument: [values]}}}}, got {str(answer)[:200]!r}")
    ((name, accepted),) = answer.items()
    if name not in definitions:
        raise ValueError(f"the answer calls {name!r}, the row's tools are {sorted(definitions)}")
    schemas = definitions[name].get("properties", {})
    arguments = {
        argument: _read_argument(schemas[argument], values, language, f"{name}({argument})")
        for argument, values in accepted.items()
        if argument in schemas
    }
    return AstCall(
        name=name.replace(".", "_") if underscores else name,
        required=tuple(definitions[name].get("required", ())),
        arguments=arguments,
        must_give=tuple(argument for argument, values in accepted.items() if not Values.read(values).optional),
    )


def _read_argument(schema: Mapping[str, Any], accepted: Any, language: Language, where: str) -> Argument:
    values = Values.read(accepted)
    kind = schema.get("type", "any")
    own_type = _type(kind, language, where)
    answer_type = next((type(value) for value in values.plain if value != ""), None)
    items = schema["items"].get("type", "any") if own_type is list and isinstance(schema.get("items"), dict) else None
    item_type = None if items is None else _type(items, language, where)
    return Argument(
        type=own_type,
        answer_type=answer_type,
        item_types=None if items is None else item_types(item_type, values),
        from_tuple=kind == "tuple",
        accepts=comparison(values, own_type, item_type, variable=answer_type not in (None, own_type)),
        read=None if language.read is None else partial(language.read, kind=kind, items=items or "any"),
    )


def _type(kind: Any, language: Language, where: str) -> type:
    if not isinstance(kind, str) or kind not in language.types:
        raise ValueError(f"{where}: the type {kind!r} is none of BFCL's: {', '.join(sorted(language.types))}")
    return language.types[kind]
