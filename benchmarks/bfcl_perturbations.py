"""Perfect answers to BFCL's AST rows, and systematic changes of them, as calls (name, arguments).

A Java or JavaScript argument is source text, as BFCL's decoders and function-calling models give it. The strings of a
Java array can be written in two ways: `new String[]{"-v"}` is Java, `new String[]{-v}` is what BFCL's checker accepts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Call = tuple[str, dict[str, Any]]
Schema = dict[str, Any]

_TO_OTHER_TYPES: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (int, "int -> str", str),
    (int, "int -> float", float),
    (bool, "bool -> int", int),
    (bool, "bool -> str", str),
    (float, "float -> int", int),
    (float, "float -> str", str),
    (str, "str -> list", lambda value: [value]),
    (list, "list -> tuple", tuple),
    (list, "list -> str", str),
    (dict, "dict -> list", lambda value: [value]),
    (dict, "dict -> str", json.dumps),
)
_OTHER_VALUES: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (str, "other case", str.swapcase),
    (str, "punctuation added", lambda text: f"{text[:1]}-{text[1:]}. "),
    (str, "punctuation removed", lambda text: "".join(c for c in text if c.isalnum())),
    (str, "quotes swapped", lambda text: text.translate({34: 39, 39: 34})),
    (str, "other string", lambda text: text + "x"),
    (str, "empty string", lambda text: ""),
    (int, "other number", lambda number: number + 1),
    (float, "other number", lambda number: number + 0.5),
    (bool, "other boolean", lambda flag: not flag),
    (list, "item dropped", lambda items: items[:-1]),
    (list, "item repeated", lambda items: [*items, *items[-1:]]),
    (list, "items reversed", lambda items: items[::-1]),
    (list, "empty list", lambda items: []),
    (dict, "field dropped", lambda fields: dict(list(fields.items())[:-1])),
    (dict, "field added", lambda fields: {**fields, "extra_field": 1}),
    (dict, "empty dict", lambda fields: {}),
)


def expected_values(accepted: list[Any], schema: Schema) -> list[Any]:
    """The acceptable values as a model would write them; "" (left out) is not among them."""
    return [_unwrap(value, schema) for value in accepted if value != ""]


def _unwrap(value: Any, schema: Schema) -> Any:
    items = schema.get("items", {}).get("type")
    if isinstance(value, dict) and schema.get("type") in ("dict", "HashMap"):
        return _first_fields(value)
    if isinstance(value, list) and items == "dict":
        return [_first_fields(item) if isinstance(item, dict) else item for item in value]
    return value


def _first_fields(fields: dict[str, Any]) -> dict[str, Any]:
    chosen = {}
    for key, accepted in fields.items():
        values = [value for value in (accepted if isinstance(accepted, list) else [accepted]) if value != ""]
        if values:
            chosen[key] = values[0]
    return chosen


def perfect_calls(entry: dict[str, Any], answers: list[dict[str, Any]]) -> list[Call]:
    """The first acceptable value of each argument; one that may only be left out is left out."""
    calls = []
    for answer in answers:
        ((name, accepted),) = answer.items()
        values = {key: expected_values(values, _schema(entry, name, key)) for key, values in accepted.items()}
        calls.append((name, {key: choices[0] for key, choices in values.items() if choices}))
    return calls


def _schema(entry: dict[str, Any], name: str, argument: str) -> Schema:
    tool = next(tool for tool in entry["function"] if tool["name"] == name)
    return tool["parameters"]["properties"].get(argument, {})


def perturbed(
    entry: dict[str, Any], answers: list[dict[str, Any]], language: str, real_java: bool
) -> Iterator[tuple[str, list[Call]]]:
    """(what was changed, calls) of one row, the perfect answer first, no calls twice.

    With `real_java` the strings of arrays are quoted.
    """
    seen = set()
    for what, calls in _variants(entry, answers, language, real_java):
        key = repr([(name, sorted(arguments.items())) for name, arguments in calls])
        if key not in seen:
            seen.add(key)
            yield what, calls


def _variants(
    entry: dict[str, Any], answers: list[dict[str, Any]], language: str, real_java: bool
) -> Iterator[tuple[str, list[Call]]]:
    calls = perfect_calls(entry, answers)
    variants = [("perfect", calls), *_other_lists(calls, entry)]
    for index, (name, arguments) in enumerate(calls):
        for what, changed in _other_calls(name, arguments, answers[index][name], entry):
            variants.append((what, [*calls[:index], changed, *calls[index + 1 :]]))
    for what, variant in variants:
        yield what, [(name, _as_source(entry, name, arguments, language, real_java)) for name, arguments in variant]
    if language != "python":
        yield from _other_sources(calls, entry, language, real_java)


def _other_lists(calls: list[Call], entry: dict[str, Any]) -> Iterator[tuple[str, list[Call]]]:
    if len(calls) > 1:
        yield "calls reversed", calls[::-1]
        yield "calls rotated", [*calls[1:], calls[0]]
    yield "call dropped", calls[:-1]
    yield "call repeated", [*calls, calls[-1]]
    yield "call replaced by a repetition", [*calls[:-1], calls[0]]
    yield "spurious call", [*calls, (entry["function"][0]["name"], {})]


def _other_calls(
    name: str, arguments: dict[str, Any], accepted: dict[str, Any], entry: dict[str, Any]
) -> Iterator[tuple[str, Call]]:
    yield "wrong name", (name + "_x", arguments)
    yield "name in other case", (name.swapcase(), arguments)
    if "." in name:
        yield "dots as underscores", (name.replace(".", "_"), arguments)
    for tool in entry["function"]:
        if tool["name"] != name:
            yield "name of another tool", (tool["name"], arguments)
    yield "extra argument", (name, {**arguments, "extra_argument": 1})
    for key, value in arguments.items():
        others = {other: arguments[other] for other in arguments if other != key}
        yield "argument dropped", (name, others)
        yield "argument renamed", (name, {**others, key + "_x": value})
        for alternative in expected_values(accepted[key], _schema(entry, name, key))[1:]:
            yield "alternative value", (name, {**others, key: alternative})
        for what, changed in _other_values(value):
            yield what, (name, {**others, key: changed})
    for key in accepted.keys() - arguments.keys():
        yield "optional argument given", (name, {**arguments, key: "x"})


def _other_values(value: Any) -> Iterator[tuple[str, Any]]:
    yield "value -> null", None
    for kind, what, change in (*_TO_OTHER_TYPES, *_OTHER_VALUES):
        if type(value) is kind:
            yield what, change(value)
    if isinstance(value, list) and value:
        for what, changed in _other_values(value[0]):
            yield f"item: {what}", [changed, *value[1:]]
    if isinstance(value, dict) and value:
        key = next(iter(value))
        for what, changed in _other_values(value[key]):
            yield f"field: {what}", {**value, key: changed}


def _as_source(
    entry: dict[str, Any], name: str, arguments: dict[str, Any], language: str, real_java: bool
) -> dict[str, Any]:
    if language == "python":
        return arguments
    if language == "javascript":
        return {key: javascript_source(value) for key, value in arguments.items()}
    known = {tool["name"] for tool in entry["function"]}
    schemas = {key: _schema(entry, name, key) if name in known else {} for key in arguments}
    return {key: java_source(value, schemas[key], real_java) for key, value in arguments.items()}


def _other_sources(
    calls: list[Call], entry: dict[str, Any], language: str, real_java: bool
) -> Iterator[tuple[str, list[Call]]]:
    """Changes of the source text itself, in a row of one call."""
    ((name, arguments),) = calls
    source = _as_source(entry, name, arguments, language, real_java)
    in_java = _as_source(entry, name, arguments, language, real_java=True)
    for key, text in source.items():
        for what, changed in (
            ("source: quoted", f'"{text}"'),
            ("source: spaces around", f" {text} "),
            ("source: suffix added", text + ("L" if language == "java" else "n")),
            ("source: suffix removed", text.rstrip("LnfF")),
            ("source: no string", arguments[key]),
            ("source: items without quotes", text.replace('"', "")),
            ("source: array items as Java strings", in_java[key]),
            ("source: bracket removed", text[:-1]),
        ):
            if changed != text:
                yield what, [(name, {**source, key: changed})]


def java_source(value: Any, schema: Schema, quoted: bool) -> str:
    """A value as a Java literal of the schema's type; a string is a variable's name or the text of a string.

    `quoted` says whether the strings in an array have quotes; those in a list or a map have them always.
    """
    kind = schema.get("type")
    if isinstance(value, (list, tuple)):
        in_list = kind == "ArrayList"
        items = ", ".join(_java_item(item, schema.get("items", {}).get("type"), quoted or in_list) for item in value)
        if not in_list:
            return f"new Object[]{{{items}}}"
        return f"new ArrayList<>(Arrays.asList({items}))" if items else "new ArrayList<>()"
    if isinstance(value, dict):
        puts = "".join(f" put({json.dumps(key)}, {_java_item(item, None, True)});" for key, item in value.items())
        return f"new HashMap<String, Object>() {{{{{puts} }}}}"
    return _scalar(value) + _java_suffix(value, kind)


def _java_item(value: Any, kind: str | None, quoted: bool) -> str:
    return json.dumps(value) if isinstance(value, str) and quoted else java_source(value, {"type": kind}, quoted)


def _java_suffix(value: Any, kind: str | None) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"long": "L", "float": "f"}.get(kind or "", "") if number else ""


def javascript_source(value: Any) -> str:
    """A value as a JavaScript literal; a string is a variable's name or the text of a string."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_js_item(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_js_item(item)}' for key, item in value.items())}}}"
    return _scalar(value)


def _js_item(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else javascript_source(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
