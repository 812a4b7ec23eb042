"""Java and JavaScript source text as values: argument literals, and whole calls `f(a=1, b="x")`.

Reads the literals that BFCL's Java and JavaScript rows ask for; nothing is ever evaluated. What is no such literal (a
variable, a constructor, a method call) stays the text it is, because BFCL compares it as a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from reward_models.parsing import ToolCall

# One text is scanned about five times, which must stay within milliseconds; a perfect answer has 326 characters at most.
MAX_CHARS = 4_096
MAX_DEPTH = 16
# Python refuses to convert thousands of digits, and no double has so many.
MAX_DIGITS = 400

_STRING = re.compile(r""""[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*\'""", re.DOTALL)
# The comma of `new HashMap<String, Object>` separates no arguments. Bounded, so that an unclosed one costs no rescan.
_GENERIC_TYPE = r"\bnew\s{1,9}[\w.]{1,99}\s{0,9}<[\w\s,.?<>\[\]]{0,199}>"
_MARK = re.compile(rf"{_STRING.pattern}|`[^`]*`|{_GENERIC_TYPE}|[()\[\]{{}}\"'`,;:]", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}

_NAME = re.compile(r"[\w.$]+")
_NAMED = re.compile(r"(?P<name>[^\W\d][\w$]*)\s*=(?!=)\s*(?P<value>.*)", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NEW_ARRAY_LIST = re.compile(r"new\s+ArrayList\s*<[\w\s,.?<>\[\]]*>")
_NEW_HASH_MAP = re.compile(r"new\s+HashMap\s*<[\w\s,.?<>\[\]]*>")
_NEW_JAVA_ARRAY = re.compile(r"new\s+[\w.]+")
_NEW_JS_ARRAY = re.compile(r"new\s+Array")


class NotALiteral(ValueError):
    """The text is not in the form that was asked for."""


def read_calls(text: str) -> tuple[ToolCall, ...]:
    """The calls of `[f(a=1), g.h(b="x")]`, the arguments as source text, a string's without its quotes.

    The square brackets may be missing. NotALiteral where the text is anything else: blank, words around the calls, an argument
    without a name or given twice, more than MAX_CHARS characters or MAX_DEPTH levels of brackets.
    """
    text = text.strip("`\n ")
    if not text:
        raise NotALiteral("blank")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return tuple(_read_call(piece) for piece in split(text, ","))


def read_java(text: str, kind: str, items: str = "any") -> Any:
    """The value of a Java literal of BFCL's type `kind`, with `items` in an array or list; else `text` itself.

    As BFCL has it, a long needs its `L` and a float its `f`, a double must have none, and an item of type `any` is its
    text. A map's value is what it looks like.
    """
    try:
        return _java(text, kind, items)
    except NotALiteral:
        return text


def read_javascript(text: str, kind: str, items: str = "any") -> Any:
    """The value of a JavaScript literal of BFCL's type `kind`, with `items` in an array; else `text` itself.

    A Bigint needs its `n`. What stands in an object, and an item that is itself an array or an object, is what it looks
    like.
    """
    # As BFCL does: spaces around a collection do not matter, even where it is a variable.
    text = text.strip() if kind in ("array", "dict") else text
    try:
        return _javascript(text, kind, items)
    except NotALiteral:
        return text


def split(text: str, separator: str) -> list[str]:
    """The stripped pieces between the separators outside of quotes and brackets; the last one may be followed by one.

    [] for a blank text. NotALiteral where a quote or a bracket does not close, and beyond the bounds. Linear.
    """
    pieces, start = [], 0
    for mark, depth, position in _marks(text):
        if mark == separator and depth == 0:
            pieces.append(text[start:position].strip())
            start = position + 1
    last = text[start:].strip()
    return [*pieces, last] if last else pieces


def _marks(text: str) -> Iterator[tuple[str, int, int]]:
    """(mark, depth, position) of each bracket and separator outside of quotes; a bracket's depth is the one outside."""
    if len(text) > MAX_CHARS:
        raise NotALiteral("too long")
    closing: list[str] = []
    for match in _MARK.finditer(text):
        mark = match[0]
        if mark in _CLOSING:
            yield mark, len(closing), match.start()
            closing.append(_CLOSING[mark])
            if len(closing) > MAX_DEPTH:
                raise NotALiteral("too deep")
        elif mark in (")", "]", "}"):
            if not closing or closing.pop() != mark:
                raise NotALiteral(f"an unmatched {mark}")
            yield mark, len(closing), match.start()
        elif mark in ('"', "'", "`"):
            raise NotALiteral("an unclosed quote")
        elif mark in (",", ";", ":"):
            yield mark, len(closing), match.start()
    if closing:
        raise NotALiteral(f"a missing {closing[-1]}")


def _blocks(text: str) -> tuple[str, str, list[str]]:
    """`new int[]{1, 2}` as ("new int", "[{", ["", "1, 2"]): the head, the brackets after it, and what they hold."""
    kinds, inside, edges = "", [], []
    for mark, depth, position in _marks(text):
        if depth == 0 and mark in "([{)]}":
            edges.append(position)
            if mark in _CLOSING:
                kinds += mark
    if not edges:
        raise NotALiteral("no brackets")
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        inside.append(text[left + 1 : right])
    between = [text[right + 1 : left] for right, left in zip(edges[1::2], [*edges[2::2], len(text)], strict=True)]
    if any(gap.strip() for gap in between):
        raise NotALiteral("words after a bracket")
    return text[: edges[0]].strip(), kinds, inside


def _read_call(text: str) -> ToolCall:
    name, kinds, inside = _blocks(text.rstrip(";"))
    if kinds != "(" or not _NAME.fullmatch(name):
        raise NotALiteral("no call")
    arguments: dict[str, Any] = {}
    for piece in split(inside[0], ","):
        named = _NAMED.fullmatch(piece)
        if named is None or named["name"] in arguments:
            raise NotALiteral("an argument without a name, or given twice")
        arguments[named["name"]] = _unquoted(named["value"])
    return ToolCall(name, arguments)


def _java(text: str, kind: str, items: str = "any") -> Any:
    if kind == "boolean":
        return _boolean(text)
    if kind in ("byte", "short", "integer"):
        return _integer(text)
    if kind == "long":
        return _integer(_without_suffix(text, "lL"))
    if kind == "float":
        return _float(_without_suffix(text, "fF"))
    if kind == "double":
        return _float(text)
    if kind == "Array":
        return _java_array(text, items)
    if kind == "ArrayList":
        return _java_list(text, items)
    if kind == "HashMap":
        return _java_map(text)
    raise NotALiteral(f"nothing to read in a {kind}")


def _java_array(text: str, items: str) -> list[Any]:
    head, kinds, inside = _blocks(text)
    if kinds != "[{" or inside[0].strip() or not _NEW_JAVA_ARRAY.fullmatch(head):
        raise NotALiteral("not new T[]{..}")
    return [_java_item(item, items) for item in split(inside[1], ",")]


def _java_list(text: str, items: str) -> list[Any]:
    """`new ArrayList<>(Arrays.asList(a, b))`, `new ArrayList<>() {{ add(a); add(b); }}`, or an empty one."""
    head, kinds, inside = _blocks(text)
    if not _NEW_ARRAY_LIST.fullmatch(head) or kinds not in ("(", "({"):
        raise NotALiteral("not new ArrayList<..>(..)")
    if not inside[0].strip():
        return [_java_item(added, items) for added in _statements(inside[1:], "add")]
    head, inner_kinds, inner = _blocks(inside[0])
    if kinds != "(" or head != "Arrays.asList" or inner_kinds != "(":
        raise NotALiteral("not Arrays.asList(..)")
    return [_java_item(item, items) for item in split(inner[0], ",")]


def _java_map(text: str) -> dict[str, Any]:
    """`new HashMap<>() {{ put("a", 1); put("b", 2); }}`, or an empty one."""
    head, kinds, inside = _blocks(text)
    if not _NEW_HASH_MAP.fullmatch(head) or kinds not in ("(", "({") or inside[0].strip():
        raise NotALiteral("not new HashMap<..>()")
    entries = [split(put, ",") for put in _statements(inside[1:], "put")]
    if any(len(entry) != 2 or not _STRING.fullmatch(entry[0]) for entry in entries):
        raise NotALiteral("put(..) needs a string and a value")
    kinds = ("boolean", "long", "float", "integer", "double")
    return {_unquoted(key): _first_fit(_java, value, kinds) for key, value in entries}


def _statements(body: list[str], method: str) -> list[str]:
    """What each `method(..);` of a double-brace body is given; [] where there is no body."""
    calls = [_blocks(statement) for block in body for statement in split(_inner_brace(block), ";")]
    if any((name, kinds) != (method, "(") for name, kinds, _ in calls):
        raise NotALiteral(f"a statement that is not {method}(..)")
    return [inside[0].strip() for _, _, inside in calls]


def _inner_brace(block: str) -> str:
    block = block.strip()
    return block[1:-1] if block.startswith("{") and block.endswith("}") else block


def _java_item(text: str, kind: str) -> Any:
    return _unquoted(text) if kind in ("String", "char") else read_java(text, kind)


def _javascript(text: str, kind: str, items: str | None = None) -> Any:
    if kind == "String":
        return _unquoted(text)
    if kind == "Boolean":
        return _boolean(text)
    if kind == "integer":
        return _integer(text)
    if kind == "Bigint":
        return _integer(_without_suffix(text, "n"))
    if kind == "float":
        return _float(text)
    if kind == "array":
        return _js_array(text, items)
    if kind == "dict":
        return _js_object(text)
    raise NotALiteral(f"nothing to read in a {kind}")


def _js_array(text: str, items: str | None) -> list[Any]:
    head, kinds, inside = _blocks(text)
    if not (kinds == "[" and not head) and not (kinds == "(" and _NEW_JS_ARRAY.fullmatch(head)):
        raise NotALiteral("not [..]")
    return [_js_item(item, items) for item in split(inside[0], ",")]


def _js_object(text: str) -> dict[str, Any]:
    head, kinds, inside = _blocks(text)
    if kinds != "{" or head:
        raise NotALiteral("not {..}")
    fields = {}
    for entry in split(inside[0], ","):
        colon = next((position for mark, depth, position in _marks(entry) if mark == ":" and depth == 0), None)
        if colon is None:
            raise NotALiteral("a field without a value")
        fields[_unquoted(entry[:colon].strip())] = _js_item(entry[colon + 1 :].strip(), None)
    return fields


def _js_item(text: str, kind: str | None) -> Any:
    if kind is None or text.startswith(("[", "{")):
        return _first_fit(_javascript, text, ("Boolean", "integer", "float", "array", "dict"))
    return read_javascript(text, kind)


def _first_fit(read: Callable[[str, str], Any], text: str, kinds: tuple[str, ...]) -> Any:
    """What the text looks like: the first of `kinds` that can be read, else the text without its quotes."""
    for kind in kinds:
        try:
            return read(text, kind)
        except NotALiteral:
            continue
    return _unquoted(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise NotALiteral("no boolean")
    return text == "true"


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
        raise NotALiteral("no integer")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        raise NotALiteral("no number")
    return float(text)


def _without_suffix(text: str, suffixes: str) -> str:
    if not text or text[-1] not in suffixes:
        raise NotALiteral(f"it must end with one of {suffixes}")
    return text[:-1]


def _unquoted(text: str) -> str:
    return text[1:-1] if _STRING.fullmatch(text) else text
