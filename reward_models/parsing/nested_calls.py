"""The dialect `minimax_m3`: each argument in a tag of its own name, lists and objects as tags inside of it.

    ]<]minimax[>[<tool_call>
    ]<]minimax[>[<invoke name="f">]<]minimax[>[<a>1]<]minimax[>[</a>]<]minimax[>[<b>]<]minimax[>[<item>x]<]minimax[>[</item>
    ]<]minimax[>[</b>]<]minimax[>[</invoke>
    ]<]minimax[>[</tool_call>

The mark before each tag is a special token, and no value may hold it. A decoder that skips special tokens drops it: then a
value ends at the first closing tag of its name, and any other tag in it must be a list's or an object's, unless the
tool's schema says that the value is a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from reward_models.parsing.body import Body, CallList, Outside, read_answer
from reward_models.parsing.json_values import BLANK, is_encodable
from reward_models.parsing.limits import MAX_DEPTH, MAX_VALUES
from reward_models.parsing.source import Source
from reward_models.parsing.tool_types import STRING, Place, Types, typed
from reward_models.parsing.types import ParseCode, Problem, Unreadable

MARK = "]<]minimax[>["
_BLOCK = re.compile(rf"(?:{re.escape(MARK)})?<(?:minimax:)?tool_call>")
_CALL = re.compile(r'<invoke name="([^<>"]+)">')
_OPENING = re.compile(r"<([^<>/\s][^<>/\n]*)>")
_OPENING_OR_CLOSING = re.compile(r"</?[^\W\d][\w.-]*>")
# Without the mark, tags that no string may hold.
_OUTER = re.compile(r"</?(?:invoke|(?:minimax:)?tool_call)[ >]")
_CALL_END = "</invoke>"


# A whole tag without "<" in it, and the blanks after it, by the mark: most are, and one step is faster than five.
_PLAIN = {
    mark: re.compile(rf"{re.escape(mark)}<([^<>/\s][^<>/\n]*)>([^<]*){re.escape(mark)}</\1>{BLANK.pattern}")
    for mark in ("", MARK)
}


def read_minimax_m3(reader: Source, start: int) -> Body:
    """`<invoke name="name">` with a tag for each argument, in `<tool_call>`; the text around is the answer."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    elements = _Elements(reader, MARK if text.find(MARK, start) >= 0 else "", calls)
    position = start
    while block := _BLOCK.search(text, position):
        outside.add(position, block.start())
        closing = f"{elements.mark}</{block.group().rpartition('<')[2]}"
        position = elements.call(reader.skip(block.end()))
        while not text.startswith(closing, position):
            position = elements.call(position)
        position += len(closing)
    if not outside:
        return read_answer(reader, start, len(text))
    outside.add(position, len(text))
    return outside.body(calls)


class _Elements:
    """Reads the tags of one response, each after the `mark`."""

    def __init__(self, reader: Source, mark: str, calls: CallList) -> None:
        self.mark, self._plain = mark, _PLAIN[mark]
        self._reader, self._text, self._tools, self._calls = reader, reader.text, reader.tools, calls
        self._values = 0

    def call(self, start: int) -> int:
        """Read the call that opens at `start`; returns where the next tag begins."""
        opening = self._match(_CALL, start)
        if opening is None:
            raise self._broken(start, _CALL_END)
        problems = len(self._calls.problems)
        found, end = self._inside(opening.end(), _CALL_END, partial(self._tools.place, opening[1]), 0)
        arguments = self._object(found, start, end)
        if not (self._reader.plain or is_encodable(arguments)):
            self._calls.problems.append(Problem(ParseCode.LONE_SURROGATE, start, end))
        if len(self._calls.problems) > problems:  # told of the call, and not of each value
            self._calls.problems[problems:] = [Problem(it.code, start, end) for it in self._calls.problems[problems:]]
        self._calls.add_named(opening[1], arguments, (start, end))
        return self._reader.skip(end)

    def _inside(
        self, start: int, closing: str, place_of: Callable[[str], Place], depth: int
    ) -> tuple[list[tuple[str, Any]], int]:
        """The names and values of the tags up to the closing one, and its end. `place_of` gives what the tools say of each."""
        if depth >= MAX_DEPTH:
            raise Unreadable(ParseCode.TOO_DEEP, start, len(self._text))
        self._values += depth > 0  # a tag with tags in it takes twice as long
        text, plain_tag = self._text, self._plain.match
        found: list[tuple[str, Any]] = []
        position = self._reader.skip(start)
        closing = self.mark + closing
        while not text.startswith(closing, position):
            self._values += 1
            if self._values > MAX_VALUES:
                raise Unreadable(ParseCode.TOO_MANY_TOKENS, position, len(text))
            if plain := plain_tag(text, position):
                name, value = plain.groups()
                types = place_of(name).types
                found.append((name, value if types == STRING else self._leaf(value, types, *plain.span(2))))
                position = plain.end()
                continue
            opening = self._match(_OPENING, position)
            if opening is None:
                raise self._broken(position, closing)
            value, end = self._value(opening, place_of(opening[1]), depth)
            found.append((opening[1], value))
            position = self._reader.skip(end)
        return found, position + len(closing)

    def _value(self, opening: re.Match[str], place: Place, depth: int) -> tuple[Any, int]:
        """The value in the tag, and the end of its closing tag."""
        text, start, closing = self._text, opening.end(), f"</{opening[1]}>"
        types = place.types
        end = self._next_tag(start, closing, is_text=types == STRING)
        content = text[start:end]
        if text.startswith(self.mark + closing, end):
            return self._leaf(content, types, start, end), end + len(self.mark + closing)
        if content.strip():
            raise Unreadable(ParseCode.STRAY_TAG, end, min(len(text), end + len(self.mark) + 1))
        found, end = self._inside(end, closing, place.inside, depth + 1)
        if (not types or "array" in types) and found and all(name == "item" for name, _ in found):
            return [value for _, value in found], end
        return self._object(found, start, end), end

    def _leaf(self, content: str, types: Types, start: int, end: int) -> Any:
        """The value of a tag without tags in it; empty for a list and an object too."""
        if not content.strip() and types and "string" not in types:
            return [] if "array" in types else {} if "object" in types else content
        value, codes = typed(content, types)
        if codes:
            self._calls.problems += [Problem(code, start, end) for code in codes]
        return value

    def _next_tag(self, start: int, closing: str, is_text: bool) -> int:
        """Where a value ends at the latest: at the next tag, in a string without marks at its own closing one."""
        text = self._text
        if self.mark or is_text:
            end = text.find(self.mark or closing, start)
        else:
            tag = _OPENING_OR_CLOSING.search(text, start)
            end = tag.start() if tag else -1
        if end < 0:
            raise Unreadable(ParseCode.UNCLOSED_BLOCK, start, len(text))
        same = text.find(closing.replace("/", "", 1), start, end) if is_text and not self.mark else -1
        stray = _OUTER.search(text, start, end) if is_text and not self.mark else None
        if stray or same >= 0:
            raise Unreadable(ParseCode.STRAY_TAG, *(stray.span() if stray else (same, end)))
        return end

    def _object(self, found: list[tuple[str, Any]], start: int, end: int) -> dict[str, Any]:
        value = dict(found)
        if len(value) != len(found):
            self._calls.problems.append(Problem(ParseCode.DUPLICATE_KEY, start, end))
        return value

    def _match(self, pattern: re.Pattern[str], position: int) -> re.Match[str] | None:
        marked = self._text.startswith(self.mark, position)
        return pattern.match(self._text, position + len(self.mark)) if marked else None

    def _broken(self, start: int, closing: str) -> Unreadable:
        if self._text.find(closing, start) < 0:
            return Unreadable(ParseCode.UNCLOSED_BLOCK, start, len(self._text))
        return Unreadable(ParseCode.NOT_MARKUP, start, min(len(self._text), start + 1))
