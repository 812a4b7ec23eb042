"""The dialects `toolrl` and `hermes`: calls as JSON between `<tool_call>` and `</tool_call>`.

A block ends where its JSON ends, so a tag inside a JSON string is text like any other.
"""

from __future__ import annotations

import re
from typing import Any

from reward_models.parsing.answers import check_answer, check_no_tag
from reward_models.parsing.body import Body, CallList, Outside, read_answer
from reward_models.parsing.source import Source
from reward_models.parsing.thoughts import strip_span
from reward_models.parsing.types import ParseCode, Problem, Unreadable

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_RESPONSE, _RESPONSE_END = "<response>", "</response>"
_BLOCK = re.compile(r"<(?:tool_call|response)>")
_LINE_BREAK = re.compile(r"[ \t\r]*\n[ \t\r]*")


def read_hermes(reader: Source, start: int) -> Body:
    """One JSON object `{"name", "arguments"}` in each block; the text around the blocks is the answer."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    position = start
    while (block := text.find(_OPEN, position)) >= 0:
        outside.add(position, block)
        value_start = reader.skip(block + len(_OPEN))
        value, end = _read_in_block(reader, block, value_start, calls.problems)
        position = reader.skip(end)
        if not text.startswith(_CLOSE, position):
            raise _broken(text, block, position)
        position += len(_CLOSE)
        calls.add(value, (value_start, end), ("arguments",))
    if not outside:
        return read_answer(reader, start, len(text))
    outside.add(position, len(text))
    return outside.body(calls)


def read_toolrl(reader: Source, start: int) -> Body:
    """A `<tool_call>` block with one JSON object `{"name", "parameters"}` a line, and/or a `<response>` block.

    Text that is not a tag is ignored around the blocks.
    """
    text, calls = reader.text, CallList()
    seen: set[str] = set()
    answer_span, position = None, start
    while block := _BLOCK.search(text, position):
        check_no_tag(text, position, block.start())
        if block.group() in seen:
            raise Unreadable(ParseCode.REPEATED_BLOCK, *block.span())
        seen.add(block.group())
        if block.group() == _OPEN:
            position = _read_lines(reader, block.start(), calls)
        else:
            end = text.find(_RESPONSE_END, block.end())
            if end < 0:
                raise Unreadable(ParseCode.UNCLOSED_BLOCK, block.start(), len(text))
            answer_span = strip_span(text, block.end(), end)
            position = end + len(_RESPONSE_END)
    check_no_tag(text, position, len(text))
    if not seen:
        raise Unreadable(ParseCode.NO_ACTION, start, len(text))
    answer = text[slice(*answer_span)] if answer_span else None
    if _OPEN not in seen:
        check_answer(answer or "", answer_span or (start, start), reader.tools.names)
    return Body(calls.calls, answer, answer_span, calls.problems)


def _read_lines(reader: Source, block: int, calls: CallList) -> int:
    """Read the block that opens at `block`; returns its end."""
    text = reader.text
    position = reader.skip(block + len(_OPEN))
    while True:
        value, end = _read_in_block(reader, block, position, calls.problems)
        if "\n" in text[position:end]:
            raise Unreadable(ParseCode.NOT_JSON, position, end)
        calls.add(value, (position, end), ("parameters",))
        position = reader.skip(end)
        if text.startswith(_CLOSE, position):
            return position + len(_CLOSE)
        line_break = _LINE_BREAK.match(text, end)
        if line_break is None:
            raise _broken(text, block, end)
        position = line_break.end()


def _read_in_block(reader: Source, block: int, start: int, problems: list[Problem]) -> tuple[Any, int]:
    try:
        return reader.read(start, problems)
    except Unreadable as error:
        if error.problem.code is ParseCode.NOT_JSON:
            raise _broken(reader.text, block, error.problem.end) from None
        raise


def _broken(text: str, block: int, position: int) -> Unreadable:
    """Why the block that opens at `block` is not read beyond `position`."""
    if text.find(_CLOSE, position) < 0 and text.find(_CLOSE, block) < 0:
        return Unreadable(ParseCode.UNCLOSED_BLOCK, block, len(text))
    return Unreadable(ParseCode.NOT_JSON, block, position)
