"""The dialect `gemma`: `call:name{key:value}` between special tokens (Gemma 4, FunctionGemma), and code fences (Gemma 3).

Strings stand between quote tokens, `<|"|>` or `<escape>`, which a decoder that skips special tokens drops: then a value is
what stands up to the next comma or bracket, typed by the tool's schema.
"""

from __future__ import annotations

import re
from typing import Any

from reward_models.parsing.body import Body, CallList, Outside, read_answer
from reward_models.parsing.json_values import is_plain
from reward_models.parsing.limits import MAX_DEPTH, MAX_VALUES
from reward_models.parsing.python_calls import read_calls
from reward_models.parsing.source import Source
from reward_models.parsing.thoughts import strip_span
from reward_models.parsing.tool_types import ANYTHING, typed
from reward_models.parsing.types import ParseCode, Problem, Unreadable

_CLOSING = {"<|tool_call>": "<tool_call|>", "<start_function_call>": "<end_function_call>", "": ""}
_BLOCK = re.compile(r"call:(?<!\wcall:)([^\W\d][\w.-]{0,127})(?=\{)|```(tool_code|tool_call|json)[ \t]*\n")
_QUOTE = re.compile(r'<\|"\|>|<escape>')
_KEY = re.compile(r"\s*([^\s<>{}\[\]:,][^<>{}\[\]:,]*):")
_BARE = re.compile(r"[^<>{}\[\],]*")
# A whole item whose value is a string without "<", or bare, up to the next: most are, and one step is faster than ten.
_PLAIN_ITEM = (
    r'[ \t\r\n]*(?:<\|"\|>([^<]*)<\|"\|>[ \t\r\n]*|([^<>{{}}\[\],\s][^<>{{}}\[\],]*))(?:,[ \t\r\n]*(?!{0})|(?={0}))'
)
_PLAIN_PAIR = re.compile(_KEY.pattern + _PLAIN_ITEM.format(r"\}"))
_PLAIN_VALUE = re.compile(_PLAIN_ITEM.format(r"\]"))
_PRINTED = re.compile(r"print\((.*)\)", re.DOTALL)
_API = "default_api."


def read_gemma(reader: Source, start: int) -> Body:
    """Calls in Gemma's own syntax, or in a fence: Python's after `tool_code`, JSON after `json`; text may be around."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    values, position = _Values(reader, calls), start
    while block := _BLOCK.search(text, position):
        if block[2]:
            outside.add(position, block.start())
            position = _read_fence(reader, block, calls)
            continue
        opening = next(token for token in _CLOSING if text.endswith(token, position, block.start()))
        first, closing = block.start() - len(opening), _CLOSING[opening]
        outside.add(position, first)
        arguments, position = values.arguments(block[1], block.end())
        position = reader.skip(position)
        if not text.startswith(closing, position):
            code = ParseCode.NOT_MARKUP if text.find(closing, position) >= 0 else ParseCode.UNCLOSED_BLOCK
            raise Unreadable(code, first, position)
        position += len(closing)
        calls.add_named(block[1], arguments, (first, position))
    if not outside:
        return read_answer(reader, start, len(text))
    outside.add(position, len(text))
    return outside.body(calls)


def _read_fence(reader: Source, block: re.Match[str], calls: CallList) -> int:
    text = reader.text
    if block[2] == "json":
        value, position = reader.read(reader.skip(block.end()), calls.problems)
        for item in value if isinstance(value, list) else [value]:
            calls.add(item, (block.start(), position), ("arguments", "parameters"))
        end = reader.skip(position)
    else:
        end = text.find("```", block.end())
        first, last = strip_span(text, block.end(), end if end >= 0 else len(text))
        printed = _PRINTED.fullmatch(text, first, last)
        found = read_calls(reader, *(strip_span(text, *printed.span(1)) if printed else (first, last)))
        calls.problems += found.problems
        for call in found.calls:
            calls.add_named(call.name.removeprefix(_API), call.arguments, call.span or (first, last))
    if end < 0 or not text.startswith("```", end):
        raise Unreadable(ParseCode.UNCLOSED_BLOCK, *block.span())
    return end + 3


class _Values:
    """Reads the values of one response's calls, which are bounded together."""

    def __init__(self, reader: Source, calls: CallList) -> None:
        self._text, self._tools, self._tool, self._calls = reader.text, reader.tools, "", calls
        self._skip, self._plain = reader.skip, reader.plain
        self._values = 0

    def arguments(self, tool: str, start: int) -> tuple[dict[str, Any], int]:
        """The arguments of a call of `tool` whose brace opens at `start`, and their end. Raises Unreadable."""
        self._types_of = self._tools.arguments(tool)
        return self.object(start, 0)

    def object(self, start: int, depth: int) -> tuple[dict[str, Any], int]:
        """The object whose brace opens at `start`, and its end. Raises Unreadable."""
        self._check_depth(start, depth)
        value: dict[str, Any] = {}
        position = self._skip(start + 1)
        while not self._text.startswith("}", position):
            pair = _PLAIN_PAIR.match(self._text, position) if self._plain else None
            key, position = (pair[1].strip(), position) if pair else self._key(start, position)
            if key in value:
                self._calls.problems.append(Problem(ParseCode.DUPLICATE_KEY, start, position))
            argument = key if depth == 0 else None
            if pair:
                value[key], position = self._plain_value(pair[2], pair[3], argument, position), pair.end()
            else:
                value[key], position = self._value(position, depth + 1, argument)
                position = self._after(start, position, "}")
        return value, position + 1

    def _list(self, start: int, depth: int) -> tuple[list[Any], int]:
        self._check_depth(start, depth)
        value: list[Any] = []
        position = self._skip(start + 1)
        while not self._text.startswith("]", position):
            if self._plain and (item := _PLAIN_VALUE.match(self._text, position)):
                value.append(self._plain_value(item[1], item[2], None, position))
                position = item.end()
                continue
            item, position = self._value(position, depth + 1, None)
            value.append(item)
            position = self._after(start, position, "]")
        return value, position + 1

    def _plain_value(self, string: str | None, bare: str | None, argument: str | None, start: int) -> Any:
        self._count(start)
        return string if bare is None else self._typed(argument, bare.strip(), start)

    def _value(self, start: int, depth: int, argument: str | None) -> tuple[Any, int]:
        start = self._skip(start)
        self._count(start)
        if self._text.startswith("{", start):
            return self.object(start, depth)
        if self._text.startswith("[", start):
            return self._list(start, depth)
        if quote := _QUOTE.match(self._text, start):
            string, end = self._string(quote)
            if quote.group() == "<escape>" and argument is not None:
                # FunctionGemma quotes every argument; the schema says which are strings.
                return self._typed(argument, string, start), end
            return string, end
        bare = _BARE.match(self._text, start)
        if not bare.group().strip():
            raise Unreadable(ParseCode.NOT_MARKUP, start, bare.end())
        return self._typed(argument, bare.group().strip(), start), bare.end()

    def _count(self, start: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise Unreadable(ParseCode.TOO_MANY_TOKENS, start, len(self._text))

    def _typed(self, argument: str | None, text: str, start: int) -> Any:
        # Within lists and objects no type is declared: no schema knows this name.
        value, codes = typed(text, self._types_of.get(argument or "", ANYTHING))
        if codes:
            self._calls.problems += [Problem(code, start, start + len(text)) for code in codes]
        return value

    def _string(self, quote: re.Match[str]) -> tuple[str, int]:
        end = self._text.find(quote.group(), quote.end())
        if end < 0:
            raise Unreadable(ParseCode.UNCLOSED_BLOCK, quote.start(), len(self._text))
        string = self._text[quote.end() : end]
        if not (self._plain or is_plain(string)):
            self._calls.problems.append(Problem(ParseCode.LONE_SURROGATE, quote.start(), end))
        return string, end + len(quote.group())

    def _key(self, start: int, position: int) -> tuple[str, int]:
        if quote := _QUOTE.match(self._text, position):
            key, end = self._string(quote)
            end = self._skip(end)
            if self._text.startswith(":", end):
                return key, end + 1
        elif key := _KEY.match(self._text, position):
            return key[1].strip(), key.end()
        raise Unreadable(ParseCode.NOT_MARKUP, start, position)

    def _after(self, start: int, position: int, closing: str) -> int:
        """Where the next item begins, or the closing bracket stands."""
        position = self._skip(position)
        if self._text.startswith(",", position):
            position = self._skip(position + 1)
            if not self._text.startswith(closing, position):
                return position
        elif self._text.startswith(closing, position):
            return position
        raise Unreadable(ParseCode.NOT_MARKUP, start, position)

    def _check_depth(self, start: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise Unreadable(ParseCode.TOO_DEEP, start, len(self._text))
