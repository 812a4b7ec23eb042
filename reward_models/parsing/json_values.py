"""Strict JSON out of hostile text: bounded depth and numbers; repeated keys, NaN and lone surrogates are problems."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from reward_models.parsing.limits import MAX_CALLS, MAX_CONTAINERS, MAX_DEPTH, MAX_NUMBER_CHARS
from reward_models.parsing.types import ParseCode, Problem, Unreadable

_BLANKS = " \t\r\n"
_BLANK = frozenset(_BLANKS)
BLANK = re.compile(rf"[{_BLANKS}]*")
# A string (an open one runs to the end, so that it is not scanned again), a container without containers or escapes
# inside (most are, and one step is faster than four), or a single bracket.
_STRUCTURE = re.compile(
    r'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)|[\[{][^"\[\]{}]*(?:"[^"\\]*"[^"\[\]{}]*)*[\]}]|[\[\]{}]', re.DOTALL
)


class _Bad(ValueError):
    def __init__(self, code: ParseCode) -> None:
        super().__init__(code.value)
        self.code = code


def _number(text: str) -> float:
    value = _float(text)
    if math.isinf(value):
        raise _Bad(ParseCode.NOT_FINITE)
    return value


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER_CHARS:
        raise _Bad(ParseCode.NUMBER_TOO_LONG)
    return float(text)


def _int(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise _Bad(ParseCode.NUMBER_TOO_LONG)
    return int(text)


def _constant(name: str) -> float:
    raise _Bad(ParseCode.NOT_FINITE)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Bad(ParseCode.DUPLICATE_KEY)
    return value


_STRICT = json.JSONDecoder(parse_int=_int, parse_float=_number, parse_constant=_constant, object_pairs_hook=_object)
_LENIENT = json.JSONDecoder(parse_int=_int, parse_float=_float)


class JsonReader:
    """Reads values out of one text, each place once, however many dialects are tried.

    What makes the response INVALID is added to `problems` and reading goes on; what makes it UNPARSEABLE is raised.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._shallow = len(text) <= MAX_DEPTH or text.count("[") + text.count("{") <= MAX_DEPTH
        # No string of the text, as it is or after JSON's escapes, holds a lone surrogate.
        self.plain = text.isascii() or is_plain(text)
        self._encodable = self.plain and ("\\u" not in text or not ("\\ud" in text or "\\uD" in text))
        self._known: dict[int, tuple[Any, int, tuple[Problem, ...]] | Problem] = {}

    def read(self, start: int, problems: list[Problem]) -> tuple[Any, int]:
        """The value that starts at `start`, and its end. Raises Unreadable."""
        known = self._known.get(start)
        if known is None:
            known = self._known[start] = self.read_anew(start)
        if isinstance(known, Problem):
            raise Unreadable(known.code, known.start, known.end)
        value, end, found = known
        problems += found
        return value, end

    def read_items(self, start: int, problems: list[Problem]) -> tuple[list[tuple[Any, int, int]], int]:
        """The items of the array that opens at `start`, each with its span, and the array's end. Raises Unreadable."""
        items: list[tuple[Any, int, int]] = []
        position = self.skip(start + 1)
        while not self.text.startswith("]", position):
            if items:
                if not self.text.startswith(",", position):
                    raise Unreadable(ParseCode.NOT_JSON, start, position)
                position = self.skip(position + 1)
            if len(items) == MAX_CALLS:
                raise Unreadable(ParseCode.TOO_MANY_CALLS, start, position)
            value, end = self.read(position, problems)
            items.append((value, position, end))
            position = self.skip(end)
        return items, position + 1

    def skip(self, start: int) -> int:
        """Where the blanks from `start` on end."""
        # Not in the string of them: "" at the end of the text is in any string.
        return BLANK.match(self.text, start).end() if self.text[start : start + 1] in _BLANK else start

    def read_anew(self, start: int) -> tuple[Any, int, tuple[Problem, ...]] | Problem:
        """The value, its end and what makes it INVALID, or what makes it UNPARSEABLE; nothing is kept for the next dialect."""
        if not self._shallow and (problem := self._beyond_limits(start)):
            return problem
        codes = []
        try:
            value, end = _STRICT.raw_decode(self.text, start)
        except _Bad as error:
            codes.append(error.code)
        except json.JSONDecodeError as error:
            return Problem(ParseCode.NOT_JSON, start, max(start, error.pos))
        if codes:
            # Readable but for repeated keys and the like, or broken as well?
            try:
                value, end = _LENIENT.raw_decode(self.text, start)
            except _Bad as error:
                return Problem(error.code, start, len(self.text))
            except json.JSONDecodeError as error:
                return Problem(ParseCode.NOT_JSON, start, max(start, error.pos))
        if not (self._encodable or is_encodable(value)):
            codes.append(ParseCode.LONE_SURROGATE)
        return value, end, tuple([Problem(code, start, end) for code in codes]) if codes else ()

    def _beyond_limits(self, start: int) -> Problem | None:
        # Before decoding: json recurses in C, where a raised recursion limit means a crash.
        if not self.text.startswith(("[", "{"), start):
            return None
        depth = containers = 0
        for token in _STRUCTURE.finditer(self.text, start):
            first, end = token.span()
            mark = self.text[first]
            if mark == "[" or mark == "{":
                containers += 1
                if depth == MAX_DEPTH:
                    return Problem(ParseCode.TOO_DEEP, start, end)
                if containers > MAX_CONTAINERS:
                    return Problem(ParseCode.TOO_MANY_TOKENS, start, end)
                depth += end == first + 1
            elif mark != '"':
                depth -= 1
            if depth == 0:
                return None
        return None


def read_whole(text: str) -> tuple[Any, tuple[ParseCode, ...]]:
    """The one value that the text consists of, blanks around allowed, and what is wrong with it. Raises Unreadable."""
    if len(text) <= MAX_DEPTH and text.isascii() and "\\" not in text:
        # Too short for any limit, and without surrogates. What is wrong with it is said below.
        try:
            value, end = _STRICT.raw_decode(text)
            if end == len(text):
                return value, ()
        except ValueError:
            pass
    reader = JsonReader(text)
    found = reader.read_anew(reader.skip(0))
    if isinstance(found, Problem):
        raise Unreadable(found.code, found.start, found.end)
    value, end, problems = found
    if reader.skip(end) != len(text):
        raise Unreadable(ParseCode.NOT_JSON, 0, end)
    return value, tuple([problem.code for problem in problems])


def is_encodable(value: Any) -> bool:
    """Whether no string in a JSON value (or tuple) holds a lone surrogate."""
    return is_plain(json.dumps(value, ensure_ascii=False))


def is_plain(text: str) -> bool:
    """Whether the text holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
