"""Calls that an assistant's text holds: every dialect of `parsing`, and what only data sets write.

Those are Hermes' blocks as Python prints a dict, Glaive's `<functioncall>`, and ToolACE's `[Tool Name(argument=value)]`
with names that are no Python. A text that looks like a call and cannot be read is refused, never taken for an answer.
"""

import json
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.json_text import literal
from awpo_ext.data.tools import Tool
from reward_models.parsing import ParseCode, Status, ToolCall, parse_response
from reward_models.verifiers.call_forms import read_call

_BLOCK = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_GLAIVE = re.compile(r"<functioncall>(.*)", re.DOTALL)
_GLAIVE_CALL = re.compile(r"""\{\s*"name":\s*"([^"]+)",\s*"arguments":\s*'(.*)'\s*\}""", re.DOTALL)
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_JSON_WORDS = {"true": "True", "false": "False", "null": "None"}
_UNREADABLE = "a text that looks like a call and cannot be read"


@dataclass(frozen=True)
class Said:
    """What an assistant's text comes to: its calls, what it says besides, and its thought."""

    calls: tuple[ToolCall, ...]
    content: str
    thought: str = ""


def read_said(text: str, tools: Sequence[Tool], where: str) -> Said:
    """The text taken apart. OddRecord where it looks like a call that no form reads."""
    for read in (_read_glaive, _read_python_blocks, _read_named_calls):
        try:
            said = read(text, tools)
        except ValueError as error:
            raise OddRecord(_UNREADABLE, where, str(error)) from error
        if said is not None:
            return said
    parsed = parse_response(text, tools=tools)
    if parsed.status in (Status.VALID, Status.ABSTAINED):
        return Said(tuple(map(_plain, parsed.calls)), parsed.answer or "", parsed.thought or "")
    codes = [problem.code for problem in parsed.problems]
    if codes == [ParseCode.BLANK_ANSWER] or not text.strip():
        return Said((), text)
    named = ", ".join(code.value for code in codes)
    raise OddRecord(_UNREADABLE, where, f"{named}, {text[:120]!r}")


def _read_glaive(text: str, tools: Sequence[Tool]) -> Said | None:
    found = _GLAIVE.search(text)
    if found is None:
        return None
    body = found[1].strip()
    call = _GLAIVE_CALL.fullmatch(body)
    item = {"name": call[1], "arguments": call[2]} if call else literal(body)
    return Said((read_call(item),), text[: found.start()].strip())


def _read_python_blocks(text: str, tools: Sequence[Tool]) -> Said | None:
    """Hermes' blocks; None where there is none, or a block is of another family, such as one in XML."""
    blocks = _BLOCK.findall(text)
    if not blocks or not all(block.strip().startswith("{'") for block in blocks):
        return None
    return Said(tuple(read_call(literal(block)) for block in blocks), _BLOCK.sub("", text).strip())


def _read_named_calls(text: str, tools: Sequence[Tool]) -> Said | None:
    """`[Tool Name(argument=value), ..]`; None where the text does not start so with a tool of the record."""
    start = text.strip()
    if not start.startswith("[") or not any(start[1:].lstrip().startswith(f"{tool['name']}(") for tool in tools):
        return None
    aliases = _Aliases(tools)
    parsed = parse_response(aliases.python(start), "python")
    if parsed.status is not Status.VALID:
        raise ValueError(f"{', '.join(problem.code.value for problem in parsed.problems)}, {start[:120]!r}")
    return Said(tuple(_plain(aliases.call(call)) for call in parsed.calls), "")


class _Aliases:
    """Names of tools and arguments that Python does not take, and identifiers in their place."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        tool_names = [tool["name"] for tool in tools if not _is_name(tool["name"])]
        arguments = {name for tool in tools for name in tool["parameters"]["properties"]}
        self._alias: dict[str, str] = {}
        patterns = [_STRING]
        for names, then in ((tool_names, r"(?=\()"), ([n for n in arguments if not _is_name(n)], r"(?=\s*=)")):
            for name in sorted(names, key=len, reverse=True):
                self._alias[name] = f"alias_{len(self._alias)}"
                patterns.append(rf"(?<=[\[(,\s]){re.escape(name)}{then}")
        patterns.append(r"\b(?:true|false|null)\b(?=\s*[,)\]}])")
        self._pattern = re.compile("|".join(patterns))
        self._name = {alias: name for name, alias in self._alias.items()}

    def python(self, text: str) -> str:
        """The calls as Python would write them; strings stay as they are."""
        return self._pattern.sub(lambda found: {**_JSON_WORDS, **self._alias}.get(found[0], found[0]), text)

    def call(self, call: ToolCall) -> ToolCall:
        arguments: dict[str, Any] = {self._name.get(key, key): value for key, value in call.arguments.items()}
        return ToolCall(self._name.get(call.name, call.name), arguments)


def _plain(call: ToolCall) -> ToolCall:
    """The call with lists in place of Python's tuples, and without its place in the text."""
    return ToolCall(call.name, json.loads(json.dumps(call.arguments)))


def _is_name(name: str) -> bool:
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split("."))
