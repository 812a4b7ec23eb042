"""The dialects with a call in tags and each argument's value as plain text: `qwen3_coder`, `glm`, `minimax`, `deepseek`.

One grammar for all: calls, within a wrapper or without, of arguments, of text. A value ends at its first closing tag, and no
tag of its own format may be in it: there the parsers of engines and loops disagree about where it ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reward_models.parsing.body import Body, CallList, Outside, read_answer
from reward_models.parsing.json_values import BLANK, is_encodable
from reward_models.parsing.source import Source
from reward_models.parsing.tool_types import ANYTHING, STRING, json_value, typed
from reward_models.parsing.types import ParseCode, Problem, Unreadable


@dataclass(frozen=True)
class Markup:
    """How a format writes calls.

    `block` matches what opens a wrapper or a bare call, `wrappers` gives each wrapper's closing tag. `call` and
    `argument` match an opening tag, with the name as group 1 and blanks after the tag of `call`; group 2 of `argument`,
    where there is one, says "true" for a string and "false" for JSON. `within` matches what no value may hold.
    `line_breaks`: one after the opening and one before the closing tag are no part of a value.
    """

    block: re.Pattern[str]
    wrappers: dict[str, str]
    call: re.Pattern[str]
    call_end: str
    argument: re.Pattern[str]
    argument_end: str
    within: re.Pattern[str]
    line_breaks: bool = False

    @cached_property
    def plain_argument(self) -> re.Pattern[str]:
        """A whole argument whose value, the last group, has no "<"; the blanks after it too."""
        return re.compile(rf"{self.argument.pattern}([^<]*){re.escape(self.argument_end)}{BLANK.pattern}")

    @cached_property
    def plain_call(self) -> re.Pattern[str]:
        """What follows the opening tag of a call with plain arguments only: most are, and they are read in one step."""
        return re.compile(rf"(?:{self.plain_argument.pattern})*{re.escape(self.call_end)}")


_QWEN = Markup(
    block=re.compile(r"<(?:seed:)?tool_call>|<function="),
    wrappers={"<tool_call>": "</tool_call>", "<seed:tool_call>": "</seed:tool_call>"},
    call=re.compile(r"<function=([^<>\s]+)>[ \t\r\n]*"),
    call_end="</function>",
    argument=re.compile(r"<parameter=([^<>\n]+)>"),
    argument_end="</parameter>",
    within=re.compile(r"</?(?:function|parameter)[=>]"),
    line_breaks=True,
)
_GLM = Markup(
    block=re.compile("<tool_call>"),
    wrappers={},
    call=re.compile(r"<tool_call>\s*([^<>{}\[\]\s\"']+)[ \t\r\n]*"),
    call_end="</tool_call>",
    argument=re.compile(r"<arg_key>([^<>]+)</arg_key>\s*<arg_value>"),
    argument_end="</arg_value>",
    within=re.compile(r"</?(?:tool_call|arg_key|arg_value)>"),
)
_MINIMAX = Markup(
    block=re.compile(r"<(?:minimax:tool_call|function_calls|tool_calls?)>|<invoke name="),
    wrappers={f"<{name}>": f"</{name}>" for name in ("minimax:tool_call", "function_calls", "tool_calls", "tool_call")},
    call=re.compile(r'<invoke name="([^<>"]+)">[ \t\r\n]*'),
    call_end="</invoke>",
    # The attribute is left of DeepSeek's form by a decoder that skips the token `｜DSML｜`.
    argument=re.compile(r'<parameter name="([^<>"]+)"(?: string="(true|false)")?>'),
    argument_end="</parameter>",
    within=re.compile(r"</?(?:invoke|parameter)[ >]"),
)
DSML = Markup(
    block=re.compile("<｜DSML｜(?:function|tool)_calls>"),
    wrappers={f"<｜DSML｜{name}>": f"</｜DSML｜{name}>" for name in ("function_calls", "tool_calls")},
    call=re.compile(r'<｜DSML｜invoke name="([^<>"]+)">[ \t\r\n]*'),
    call_end="</｜DSML｜invoke>",
    argument=re.compile(r'<｜DSML｜parameter name="([^<>"]+)"(?: string="(true|false)")?>'),
    argument_end="</｜DSML｜parameter>",
    within=re.compile("</?｜DSML｜"),
)


def read_qwen3_coder(reader: Source, start: int) -> Body:
    """`<function=name>` with `<parameter=key>`, in `<tool_call>` or bare; the text around is the answer."""
    return read_markup(reader, start, _QWEN)


def read_glm(reader: Source, start: int) -> Body:
    """`<tool_call>name` with `<arg_key>` and `<arg_value>`; the text around is the answer."""
    return read_markup(reader, start, _GLM)


def read_minimax(reader: Source, start: int) -> Body:
    """`<invoke name="name">` with `<parameter name="key">`, in a wrapper or bare; the text around is the answer."""
    return read_markup(reader, start, _MINIMAX)


def read_markup(reader: Source, start: int, markup: Markup) -> Body:
    """Any number of calls as `markup` writes them."""
    text, calls, outside = reader.text, CallList(), Outside(reader.text)
    position = start
    while block := markup.block.search(text, position):
        outside.add(position, block.start())
        closing = markup.wrappers.get(block.group())
        if closing is None:
            position = _read_call(reader, block.start(), markup, calls)
            continue
        position = reader.skip(_read_call(reader, reader.skip(block.end()), markup, calls))
        while not text.startswith(closing, position):
            position = reader.skip(_read_call(reader, position, markup, calls))
        position += len(closing)
    if not outside:
        return read_answer(reader, start, len(text))
    outside.add(position, len(text))
    return outside.body(calls)


def _read_call(reader: Source, start: int, markup: Markup, calls: CallList) -> int:
    """Read the call that opens at `start`; returns its end."""
    text = reader.text
    opening = markup.call.match(text, start)
    if opening is None:
        raise _broken(text, start, markup.call_end)
    if plain := markup.plain_call.match(text, opening.end()):
        found, end = markup.plain_argument.findall(text, opening.end(), plain.end()), plain.end()
    else:
        found, end = _arguments(reader, start, opening.end(), markup)
    name, arguments, codes = opening[1], {}, []
    types_of, line_breaks, declares = reader.tools.arguments(name), markup.line_breaks, markup.argument.groups > 1
    for groups in found:
        key, value = groups[0].strip(), groups[-1]
        if line_breaks:
            value = value.removeprefix("\n").removesuffix("\n")
        if key in arguments:
            codes.append(ParseCode.DUPLICATE_KEY)
        if declares and groups[1]:
            if groups[1] == "false":
                value, problems = json_value(value)
                codes += problems
        elif (types := types_of.get(key, ANYTHING)) != STRING:
            value, problems = typed(value, types)
            codes += problems
        arguments[key] = value
    if not (reader.plain or is_encodable(arguments)):
        codes.append(ParseCode.LONE_SURROGATE)
    if codes:
        calls.problems += [Problem(code, start, end) for code in codes]
    calls.add_named(name, arguments, (start, end))
    return end


def _arguments(reader: Source, start: int, position: int, markup: Markup) -> tuple[list[tuple[Any, ...]], int]:
    """What `plain_argument` finds, for any values: the groups of each argument and its text, and the call's end."""
    text, found = reader.text, []
    while not text.startswith(markup.call_end, position):
        argument = markup.argument.match(text, position)
        end = text.find(markup.argument_end, argument.end()) if argument else -1
        if argument is None or end < 0:
            raise _broken(text, start, markup.call_end)
        if stray := markup.within.search(text, argument.end(), end):
            raise Unreadable(ParseCode.STRAY_TAG, *stray.span())
        found.append((*argument.groups(), text[argument.end() : end]))
        position = reader.skip(end + len(markup.argument_end))
    return found, position + len(markup.call_end)


def _broken(text: str, start: int, closing: str) -> Unreadable:
    """Why the block that opens at `start` is not read."""
    if text.find(closing, start) < 0:
        return Unreadable(ParseCode.UNCLOSED_BLOCK, start, len(text))
    return Unreadable(ParseCode.NOT_MARKUP, start, min(len(text), start + 1))
