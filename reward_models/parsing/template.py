"""Which dialect and which thinking form a model's chat template has, found by rendering one call and reading it back.

For `awpo data`, `doctor` and recipes, before anything is trained: a template whose calls no dialect reads would make every
right answer worth the lowest reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reward_models.parsing.parse import DIALECTS, parse_response
from reward_models.parsing.render_families import to_json
from reward_models.parsing.thoughts import THINKING_FORMS, opened_form
from reward_models.parsing.types import Status, ToolCall

_TOOL = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "A city."},
            "days": {"type": "integer", "description": "How many."},
        },
        "required": ["city"],
    },
}
_CALL = ToolCall("get_weather", {"city": "San José", "days": 3})
# Mistral's templates want nine letters or digits, Kimi's write the id in place of the name.
_IDS = ("functions.get_weather:0", "call00001")
_HARMONY = "<|channel|>analysis<|message|>"
# What the first dialects of the table share with others comes last: bare JSON is in llama3 as well.
_ORDER = (
    "hermes",
    *(name for name in DIALECTS if name not in ("hermes", "openai", "json", "python")),
    "json",
    "python",
)


@dataclass(frozen=True)
class TemplateReading:
    """What a chat template says about the responses of its model.

    `dialect` is the one that reads the template's own call, None where none does; then `problem` says why, and
    `example` is the text that was tried. `thinking` is the option for `parse_response`: "opened" where the generation
    prompt ends in an open thought. `form` is the name of the thinking form, None where the template has none.
    """

    dialect: str | None
    thinking: str
    form: str | None
    example: str
    problem: str = ""


def read_template(tokenizer: Any) -> TemplateReading:
    """Read the template of `tokenizer`, any object with transformers' `apply_chat_template`. Never raises for a template."""
    prompt = _render(tokenizer, [_USER], generation=True)
    form = opened_form(prompt or "")
    thinking = "opened" if form else "auto"
    name = form.name if form else _form_of(tokenizer, prompt or "")
    text, problem = _call_text(tokenizer)
    if text is None:
        return TemplateReading(None, thinking, name, "", problem)
    for dialect in _ORDER:
        parsed = parse_response(text, dialect, tools=[_TOOL])
        if parsed.status is Status.VALID and parsed.calls == (_CALL,):
            return TemplateReading(dialect, thinking, name, text)
    problem = f"no dialect reads the call that the template writes: {text[:300]!r}; try vllm:<parser> or verl:<parser>"
    return TemplateReading(None, thinking, name, text, problem)


_USER = {"role": "user", "content": "What is the weather?"}


def _call_text(tokenizer: Any) -> tuple[str | None, str]:
    """What the model writes for the call, by the template; or None and why there is no such text."""
    problem = "the template drops calls: it renders a conversation with a call like one without"
    for call_id in _IDS:
        for arguments in (_CALL.arguments, to_json(_CALL.arguments)):
            function = {"name": _CALL.name, "arguments": arguments}
            call = {"id": call_id, "type": "function", "function": function}
            for content in ("", None):
                message = {"role": "assistant", "content": content, "tool_calls": [call]}
                full = _render(tokenizer, [_USER, message])
                if full is None:
                    problem = "the template refuses a conversation with a call"
                elif (text := _generated(tokenizer, full)) and _CALL.name in text:
                    return text, ""
    return None, problem


def _generated(tokenizer: Any, full: str) -> str:
    """The part of a rendered conversation that the model would have written."""
    full = full.removesuffix(_turn_end(tokenizer))
    prompt = _render(tokenizer, [_USER], generation=True) or ""
    # Where the prompt ends in a thought, open or empty, the conversation may have another one in its place, or none.
    openings = [form.opening for form in THINKING_FORMS if form.opening in prompt]
    without_thought = [prompt[: prompt.rfind(opening)] for opening in openings]
    for start in (prompt, *without_thought, _render(tokenizer, [_USER]) or ""):
        if start and full.startswith(start):
            return full[len(start) :]
    return full[_common(prompt, full) :]


def _turn_end(tokenizer: Any) -> str:
    """What the template writes after an assistant's message."""
    mark = "awpo-mark-7f3a"
    rendered = _render(tokenizer, [_USER, {"role": "assistant", "content": mark}]) or ""
    return rendered.rpartition(mark)[2] if mark in rendered else ""


def _common(left: str, right: str) -> int:
    size = min(len(left), len(right))
    return next((place for place in range(size) if left[place] != right[place]), size)


def _form_of(tokenizer: Any, prompt: str) -> str | None:
    """The thinking form that the template knows, by its source or by what it writes around a thought."""
    source = getattr(tokenizer, "chat_template", None)
    sources = source.values() if isinstance(source, dict) else [source if isinstance(source, str) else ""]
    known = "\n".join([*map(str, sources), prompt])
    if _HARMONY in known or "<|channel|>analysis" in known:
        return "harmony"
    return next((form.name for form in THINKING_FORMS if form.closing in known), None)


def _render(tokenizer: Any, messages: list[dict[str, Any]], generation: bool = False) -> str | None:
    """The text of a conversation with the tool, None where the template refuses it."""
    tools = [{"type": "function", "function": _TOOL}]
    try:
        return tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=generation)
    except Exception:  # jinja's own errors, and whatever a template raises on purpose
        return None
