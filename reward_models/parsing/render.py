"""`render_response`: calls, thought and answer as the text of a dialect, the inverse of `parse_response`."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from reward_models.parsing.parse import DIALECTS, parse_response
from reward_models.parsing.render_families import FAMILIES, WITHOUT_ESCAPES, Renderer, harmony, to_json
from reward_models.parsing.thoughts import THINKING_FORMS
from reward_models.parsing.types import ToolCall


def render_response(
    calls: Sequence[ToolCall],
    dialect: str,
    thought: str | None = None,
    answer: str | None = None,
    *,
    tools: str | Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """The text that `parse_response(text, dialect, tools=tools)` reads as these calls, thought and answer.

    ValueError where there is no such text: neither calls nor an answer, both in `json` or `python`, a thought that
    holds its closing tag, white space around thought or answer, a tool name that is no dotted identifier in `python`,
    a string that reads as another type or holds a tag where values are text, arguments that are no finite JSON values or beyond
    a limit, and so on: the text is read back to make sure.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"dialect={dialect!r} is not known; known: {', '.join(DIALECTS)}")
    if dialect == "harmony":
        text = harmony(calls, thought, answer)
    else:
        body = _RENDERERS[dialect](calls, answer)
        text = _without_closing_tags(body, dialect) if thought is None else f"<think>{thought}</think>\n{body}"
    parsed = parse_response(text, dialect, tools=tools)
    if parsed.problems or (parsed.thought, parsed.calls, parsed.answer) != (thought, tuple(calls), answer):
        codes = ", ".join(problem.code.value for problem in parsed.problems) or "it reads differently"
        raise ValueError(
            f"dialect {dialect!r} has no text for these calls, thought and answer ({codes}): {text[:200]!r}"
        )
    return text


def _without_closing_tags(body: str, dialect: str) -> str:
    """The body with the closing tags of thoughts escaped in its strings: one alone would make a thought of what is before."""
    if dialect in WITHOUT_ESCAPES:
        return body
    for form in THINKING_FORMS:
        if form.closing in body:
            body = body.replace(form.closing, f"\\u{ord(form.closing[0]):04x}{form.closing[1:]}")
    return body


def _toolrl(calls: Sequence[ToolCall], answer: str | None) -> str:
    blocks = []
    if calls:
        blocks.append("<tool_call>\n" + "\n".join(_json_call(call, "parameters") for call in calls) + "\n</tool_call>")
    if answer is not None:
        blocks.append(f"<response>{answer}</response>")
    return "\n".join(blocks)


def _hermes(calls: Sequence[ToolCall], answer: str | None) -> str:
    blocks = [f"<tool_call>\n{_json_call(call, 'arguments')}\n</tool_call>" for call in calls]
    return "\n".join(blocks if answer is None else [answer, *blocks])


def _openai(calls: Sequence[ToolCall], answer: str | None) -> str:
    message: dict[str, Any] = {"role": "assistant", "content": answer}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": to_json(call.arguments)},
            }
            for number, call in enumerate(calls)
        ]
    return to_json(message)


def _json_list(calls: Sequence[ToolCall], answer: str | None) -> str:
    return _either("[" + ", ".join(_json_call(call, "arguments") for call in calls) + "]", calls, answer)


def _python(calls: Sequence[ToolCall], answer: str | None) -> str:
    return _either("[" + ", ".join(_python_call(call) for call in calls) + "]", calls, answer)


def _either(rendered: str, calls: Sequence[ToolCall], answer: str | None) -> str:
    return rendered if calls or answer is None else answer


def _json_call(call: ToolCall, key: str) -> str:
    return to_json({"name": call.name, key: call.arguments})


def _python_call(call: ToolCall) -> str:
    plain = {name: value for name, value in call.arguments.items() if _is_argument_name(name)}
    other = {name: value for name, value in call.arguments.items() if name not in plain}
    pieces = [f"{name}={value!r}" for name, value in plain.items()]
    return f"{call.name}({', '.join([*pieces, f'**{other!r}'] if other else pieces)})"


def _is_argument_name(name: str) -> bool:
    # Python writes other letters in their compatibility form, and __debug__ cannot be given.
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and name != "__debug__"


_RENDERERS: dict[str, Renderer] = {
    "toolrl": _toolrl,
    "hermes": _hermes,
    "openai": _openai,
    "json": _json_list,
    "python": _python,
    **FAMILIES,
}
