"""The dialects with JSON between special tokens: `mistral`, `kimi`, `deepseek`, `llama3`.

A decoder that skips special tokens leaves a name right before its JSON, or JSON alone; that is read as well.
"""

from __future__ import annotations

import re

from reward_models.parsing.body import Body, CallList, Outside, read_answer
from reward_models.parsing.markup_calls import DSML, read_markup
from reward_models.parsing.python_calls import read_calls
from reward_models.parsing.source import Source
from reward_models.parsing.types import ParseCode, ToolCall, Unreadable

# Bounded, so that a long run of such characters is not tried from each of its places.
_TOOL_NAME = r"[^\W\d][\w.-]{0,127}"

_MISTRAL_TOKEN = "[TOOL_CALLS]"
_MISTRAL_CALL = re.compile(rf"({_TOOL_NAME})(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?\s*(?=\{{)")
_CALL_ID_CHARS = 9

_KIMI_SECTION, _KIMI_SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_KIMI_BLOCK = re.compile(r"<\|tool_calls_section_begin\|>|<\|tool_call_begin\|>")
_KIMI_CALL = re.compile(
    rf"<\|tool_call_begin\|>\s*(?:functions\.)?({_TOOL_NAME})(?::\d+)?\s*<\|tool_call_argument_begin\|>"
)
_KIMI_CALL_END = "<|tool_call_end|>"
_KIMI_PLAIN = re.compile(rf"functions\.({_TOOL_NAME}):\d+\s*(?=\{{)")

_DEEPSEEK_SECTION, _DEEPSEEK_SECTION_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_DEEPSEEK_CALL = re.compile(
    rf"<｜tool▁call▁begin｜>\s*(?:function<｜tool▁sep｜>({_TOOL_NAME})\s*```json\s|({_TOOL_NAME})<｜tool▁sep｜>)\s*"
)
_DEEPSEEK_FENCE_END, _DEEPSEEK_CALL_END = "```", "<｜tool▁call▁end｜>"

_PYTHON_TAG = "<|python_tag|>"
_LLAMA_FUNCTION = re.compile(r"<function=([^<>\s]+)>\s*(?=\{)")
_LLAMA_FUNCTION_END = "</function>"


def read_mistral(reader: Source, start: int) -> Body:
    """`[TOOL_CALLS]` before a list of calls in JSON, or before each `name[ARGS]{..}`; text may come first."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    position = text.find(_MISTRAL_TOKEN, start)
    if position < 0:
        # Without its tokens: a list of calls, or name{..} at the start.
        position = start
        if not (_MISTRAL_CALL.match(text, start) or text.startswith("[{", start)):
            return read_answer(reader, start, len(text))
    outside.add(start, position)
    while position < len(text):
        tokens_end = (
            reader.skip(position + len(_MISTRAL_TOKEN)) if text.startswith(_MISTRAL_TOKEN, position) else position
        )
        if text.startswith("[", tokens_end):
            items, position = reader.read_items(tokens_end, calls.problems)
            for value, first, last in items:
                calls.add(value, (first, last), ("arguments", "parameters"))
            if not items:
                raise Unreadable(ParseCode.NO_ACTION, tokens_end, position)
        elif call := _MISTRAL_CALL.match(text, tokens_end):
            value, position = reader.read(call.end(), calls.problems)
            calls.add_named(_without_call_id(call[1], reader), value, (tokens_end, position))
        else:
            break
        position = reader.skip(position)
    if position < len(text):
        raise Unreadable(ParseCode.NOT_MARKUP, position, len(text))
    return outside.body(calls)


def _without_call_id(name: str, reader: Source) -> str:
    # `name[CALL_ID]abcdefghi[ARGS]{..}` without its tokens: only the row's tools tell where the name ends.
    shorter = name[:-_CALL_ID_CHARS]
    return shorter if name not in reader.tools.names and shorter in reader.tools.names else name


def read_kimi(reader: Source, start: int) -> Body:
    """`functions.name:0` and JSON arguments between special tokens, in a section; text may be around."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    if not _KIMI_BLOCK.search(text, start):
        return _read_plain_kimi(reader, start)
    position = start
    while block := _KIMI_BLOCK.search(text, position):
        outside.add(position, block.start())
        in_section = block.group() == _KIMI_SECTION
        position = reader.skip(block.end()) if in_section else block.start()
        position = _read_kimi_call(reader, position, calls)
        while in_section and not text.startswith(_KIMI_SECTION_END, position):
            position = _read_kimi_call(reader, position, calls)
        position += len(_KIMI_SECTION_END) if in_section else 0
    outside.add(position, len(text))
    return outside.body(calls)


def _read_kimi_call(reader: Source, start: int, calls: CallList) -> int:
    call = _KIMI_CALL.match(reader.text, start)
    if call is None:
        raise _broken(reader.text, start, _KIMI_CALL_END)
    return _read_arguments(reader, call[1], call.start(), call.end(), (_KIMI_CALL_END,), calls)


def _read_plain_kimi(reader: Source, start: int) -> Body:
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    position = start
    while call := _KIMI_PLAIN.search(text, position):
        outside.add(position, call.start())
        value, position = reader.read(call.end(), calls.problems)
        calls.add_named(call[1], value, (call.start(), position))
    if not outside:
        return read_answer(reader, start, len(text))
    outside.add(position, len(text))
    return outside.body(calls)


def read_deepseek(reader: Source, start: int) -> Body:
    """V3 and R1 (a fence of JSON after `function` and the name), V3.1 (name and JSON), V3.2 and later (DSML)."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    position = start
    while (block := text.find(_DEEPSEEK_SECTION, position)) >= 0:
        outside.add(position, block)
        position = _read_deepseek_call(reader, reader.skip(block + len(_DEEPSEEK_SECTION)), calls)
        while not text.startswith(_DEEPSEEK_SECTION_END, position):
            position = _read_deepseek_call(reader, position, calls)
        position += len(_DEEPSEEK_SECTION_END)
    if not outside:
        return read_markup(reader, start, DSML)
    outside.add(position, len(text))
    return outside.body(calls)


def _read_deepseek_call(reader: Source, start: int, calls: CallList) -> int:
    call = _DEEPSEEK_CALL.match(reader.text, start)
    if call is None:
        raise _broken(reader.text, start, _DEEPSEEK_CALL_END)
    ends = (_DEEPSEEK_FENCE_END, _DEEPSEEK_CALL_END) if call[1] else (_DEEPSEEK_CALL_END,)
    return _read_arguments(reader, call[1] or call[2], call.start(), call.end(), ends, calls)


def read_llama3(reader: Source, start: int) -> Body:
    """JSON objects with `;` between, after `<|python_tag|>` or alone; `<function=name>{..}</function>`; `tool.call(a=1)`.

    Text may come before the token and after its objects, and around `<function=name>`.
    """
    text, tagged = reader.text, not reader.text.startswith("{", start)
    if tagged:
        function = _LLAMA_FUNCTION.search(text, start)
        tag = text.find(_PYTHON_TAG, start)
        if function and not 0 <= tag < function.start():
            return _read_llama_functions(reader, start)
        if tag < 0:
            return read_answer(reader, start, len(text))
        outside = Outside(text)
        outside.add(start, tag)
        start = reader.skip(tag + len(_PYTHON_TAG))
        if not text.startswith("{", start):
            found, body = read_calls(reader, start, len(text)), outside.body(CallList())
            return body._replace(calls=[_without_call(call) for call in found.calls], problems=found.problems)
    else:
        outside = Outside(text)
    calls, position = CallList(), start
    while True:
        value, end = reader.read(position, calls.problems)
        calls.add(value, (position, end), ("arguments", "parameters"))
        position = reader.skip(end)
        if position == len(text):
            return outside.body(calls)
        if tagged and text.find("{", position) < 0 and not text.startswith(";", position):
            outside.add(position, len(text))
            return outside.body(calls)
        if not text.startswith((";", _PYTHON_TAG), position):
            raise Unreadable(ParseCode.NOT_JSON, start, position)
        position = reader.skip(position + (1 if text[position] == ";" else len(_PYTHON_TAG)))


def _read_llama_functions(reader: Source, start: int) -> Body:
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    position = start
    while function := _LLAMA_FUNCTION.search(text, position):
        outside.add(position, function.start())
        position = _read_arguments(reader, function[1], *function.span(), (_LLAMA_FUNCTION_END,), calls)
    outside.add(position, len(text))
    return outside.body(calls)


def _without_call(call: ToolCall) -> ToolCall:
    # Llama's built-in tools are called as `brave_search.call(query="..")`.
    name = call.name.removesuffix(".call")
    return ToolCall(name or call.name, call.arguments, call.span)


def _read_arguments(
    reader: Source, name: str, start: int, value_start: int, ends: tuple[str, ...], calls: CallList
) -> int:
    """Read the JSON arguments of a call that opens at `start`, and the tokens after them; returns where the next begins."""
    text = reader.text
    try:
        value, position = reader.read(reader.skip(value_start), calls.problems)
    except Unreadable as error:
        raise _broken(text, start, ends[-1]) if error.problem.code is ParseCode.NOT_JSON else error from None
    for end in ends:
        position = reader.skip(position)
        if not text.startswith(end, position):
            raise _broken(text, start, ends[-1])
        position += len(end)
    calls.add_named(name, value, (start, position))
    return reader.skip(position)


def _broken(text: str, start: int, closing: str) -> Unreadable:
    """Why the call that opens at `start` is not read."""
    if text.find(closing, start) < 0:
        return Unreadable(ParseCode.UNCLOSED_BLOCK, start, len(text))
    return Unreadable(ParseCode.NOT_MARKUP, start, min(len(text), start + 1))
