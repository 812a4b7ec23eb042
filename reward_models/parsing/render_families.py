"""Calls and an answer as the text of a family's dialect; `reward_models.parsing.render` reads the result back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from reward_models.parsing.nested_calls import MARK
from reward_models.parsing.tool_types import typed
from reward_models.parsing.types import ToolCall

Renderer = Callable[[Sequence[ToolCall], str | None], str]

# Dialects whose strings cannot hold every text: nothing in them is escaped.
WITHOUT_ESCAPES = ("qwen3_coder", "glm", "minimax", "minimax_m3", "gemma")

_GEMMA_QUOTE = '<|"|>'


def to_json(value: Any) -> str:
    """JSON as models write it: other letters than ASCII's as they are."""
    return json.dumps(value, ensure_ascii=False)


def _around(start: str, one: Callable[[ToolCall], str], end: str = "") -> Renderer:
    """The answer, then all calls between `start` and `end`."""

    def render(calls: Sequence[ToolCall], answer: str | None) -> str:
        block = start + "".join(one(call) for call in calls) + end if calls else ""
        return "\n".join(part for part in (answer, block) if part)

    return render


def _text(value: Any) -> str:
    """A value where formats have text only."""
    return value if isinstance(value, str) else to_json(value)


def _qwen3_coder(call: ToolCall) -> str:
    arguments = "".join(f"<parameter={key}>\n{_text(value)}\n</parameter>\n" for key, value in call.arguments.items())
    return f"<tool_call>\n<function={call.name}>\n{arguments}</function>\n</tool_call>\n"


def _glm(call: ToolCall) -> str:
    pairs = call.arguments.items()
    arguments = "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{_text(value)}</arg_value>\n" for key, value in pairs)
    return f"<tool_call>{call.name}\n{arguments}</tool_call>\n"


def _minimax(call: ToolCall) -> str:
    pairs = call.arguments.items()
    arguments = "".join(f'<parameter name="{key}">{_text(value)}</parameter>\n' for key, value in pairs)
    return f'<invoke name="{call.name}">\n{arguments}</invoke>\n'


def _minimax_m3(call: ToolCall) -> str:
    arguments = "".join(_element(key, value) for key, value in call.arguments.items())
    return f'{MARK}<invoke name="{call.name}">{arguments}{MARK}</invoke>\n'


def _element(name: str, value: Any) -> str:
    inner = _text(value)
    if isinstance(value, list | dict) and value and _fits_tags(value):
        items = value.items() if isinstance(value, dict) else (("item", item) for item in value)
        inner = "".join(_element(key, item) for key, item in items)
    return f"{MARK}<{name}>{inner}{MARK}</{name}>"


def _fits_tags(value: Any) -> bool:
    """Whether a value reads the same as tags without a schema; as JSON any list or object does."""
    if isinstance(value, dict):
        return all(key.isidentifier() and key != "item" and _fits_tags(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_fits_tags, value))
    return not isinstance(value, str) or typed(value, frozenset()) == (value, ())


def _kimi(call: ToolCall) -> str:
    arguments = to_json(call.arguments)
    return f"<|tool_call_begin|>functions.{call.name}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"


def _deepseek(call: ToolCall) -> str:
    return f"<｜tool▁call▁begin｜>{call.name}<｜tool▁sep｜>{to_json(call.arguments)}<｜tool▁call▁end｜>"


def _llama3(calls: Sequence[ToolCall], answer: str | None) -> str:
    objects = "; ".join(to_json({"name": call.name, "parameters": call.arguments}) for call in calls)
    return "\n".join(part for part in (answer, "<|python_tag|>" + objects if calls else "") if part)


def _gemma(call: ToolCall) -> str:
    return f"<|tool_call>call:{call.name}{_gemma_value(call.arguments)}<tool_call|>"


def _gemma_value(value: Any) -> str:
    if isinstance(value, str):
        return f"{_GEMMA_QUOTE}{value}{_GEMMA_QUOTE}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_gemma_key(key)}:{_gemma_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_gemma_value, value)) + "]"
    return to_json(value)


def _gemma_key(key: str) -> str:
    return key if key.isidentifier() else f"{_GEMMA_QUOTE}{key}{_GEMMA_QUOTE}"


def harmony(calls: Sequence[ToolCall], thought: str | None, answer: str | None) -> str:
    """The whole response: in this dialect the thought is a message like the others."""
    messages = [] if thought is None else [f"<|channel|>analysis<|message|>{thought}<|end|>"]
    if answer is not None:
        channel, end = ("commentary", "end") if calls else ("final", "return")
        messages.append(f"<|channel|>{channel}<|message|>{answer}<|{end}|>")
    messages += [
        f"<|channel|>commentary to=functions.{call.name} <|constrain|>json<|message|>{to_json(call.arguments)}<|call|>"
        for call in calls
    ]
    return "<|start|>assistant".join(messages)


FAMILIES: dict[str, Renderer] = {
    "qwen3_coder": _around("", _qwen3_coder),
    "glm": _around("", _glm),
    "minimax": _around("<minimax:tool_call>\n", _minimax, "</minimax:tool_call>"),
    "minimax_m3": _around(f"{MARK}<tool_call>\n", _minimax_m3, f"{MARK}</tool_call>"),
    "mistral": _around("", lambda call: f"[TOOL_CALLS]{call.name}[ARGS]{to_json(call.arguments)}"),
    "kimi": _around("<|tool_calls_section_begin|>", _kimi, "<|tool_calls_section_end|>"),
    "deepseek": _around("<｜tool▁calls▁begin｜>", _deepseek, "<｜tool▁calls▁end｜>"),
    "llama3": _llama3,
    "gemma": _around("", _gemma),
}
