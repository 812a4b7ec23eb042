"""Which dialects a text may be in, by the signs that its family writes: `auto` tries them in this order."""

from __future__ import annotations

import re

from reward_models.parsing.answers import CALL_START, NAME, PLAIN_GEMMA, PLAIN_KIMI, has_listed_call
from reward_models.parsing.body import strip_fence
from reward_models.parsing.thoughts import strip_span

_PYTHON_LIST = re.compile(rf"\[\s*{CALL_START}")
_PYTHON_CALL = re.compile(CALL_START)
_IN_TOKENS = ("<|tool_call_start|>", "<|python_start|>")
_AFTER_TOOL_CALL = re.compile(r"<tool_call>\s*(?:(\{)|(<function=)|((?:\]<\]minimax\[>\[)?<invoke)|(?=([^\W\d])))")
_NAMED_TAG = re.compile(r'<invoke name="[^<>"]*">\s*<(?!parameter name=|/)')  # an argument in a tag of its own name
# A family's tokens: the first in the text decides, as the others may be in its strings.
_SIGN = re.compile(
    r"<(?:(tool_call)>|(response)>|(function)=|(seed):tool_call>|(invoke name=|minimax:tool_call>|function_calls>)"
    r"|(start_function_call)>|\|(?:(tool_call)>|(tool_calls?_)|(python_tag)\|>|(message)\|>)|(｜)|(\]minimax\[>\[))|\[(TOOL_CALLS)\]|```(tool_c)"
)
_DIALECTS = (
    (),  # <tool_call>, which depends on what follows
    ("toolrl", "hermes"),
    ("qwen3_coder", "llama3"),
    ("qwen3_coder",),
    (),  # <invoke, likewise
    ("gemma",),
    ("gemma",),
    ("kimi",),
    ("llama3",),
    ("harmony",),
    ("deepseek",),
    ("minimax_m3",),
    ("mistral",),
    ("gemma",),
)
_NAME_BEFORE_JSON = re.compile(rf"{NAME}(?:[.-]\w+){{0,16}}(?:\[ARGS\])?\s*\{{")


def candidates(text: str, start: int) -> tuple[str, ...]:
    """The dialects to try on text[start:], what follows the thought; at least one.

    1. `{`, or a `[` before anything but a Python call or `[TOOL_CALLS]`: json, openai, llama3, or an answer;
    2. `[name(`, or `name(` with a `)` at the very end, in a fence or special tokens or not: python;
    3. by the first token of any family: its dialect; `<tool_call>` is toolrl or hermes before JSON, else qwen3_coder,
       minimax, minimax_m3 or glm; `<response>` is toolrl or hermes;
    4. `[name(argument=` or `[name()` anywhere: python;
    5. what is left of a family's call without its special tokens: mistral, kimi, gemma;
    6. any other text: hermes.
    """
    first, end = strip_fence(text, start)
    if text.startswith(_IN_TOKENS, first) or text.startswith("<function_calls>", first):
        return ("python", "minimax")
    opening = text[first : first + 1]
    if _PYTHON_LIST.match(text, first) if opening == "[" else _is_python_call(text, first, end):
        return ("python", "gemma") if "```tool_c" in text else ("python",)
    if opening == "{":
        return ("json", "openai", "llama3", "hermes")
    if opening == "[" and not text.startswith("[TOOL_CALLS]", first):
        return ("json", "openai", "hermes")
    if sign := _SIGN.search(text, start):
        if sign[5]:
            return _with_invoke(text)
        return _DIALECTS[sign.lastindex - 1] or _with_tool_call(text, sign.start())
    if has_listed_call(text[slice(*strip_span(text, start, len(text)))]):
        return ("python",)
    return _without_tokens(text, start)


def _is_python_call(text: str, start: int, end: int) -> bool:
    return text.endswith(")", start, end) and bool(_PYTHON_CALL.match(text, start))


def _with_tool_call(text: str, start: int) -> tuple[str, ...]:
    found = _AFTER_TOOL_CALL.match(text, start)
    if found is None or found[1]:
        # Only the order, so that the usual text is read once: both read it where both can.
        likely_hermes = '"arguments"' in text and '"parameters"' not in text
        return ("hermes", "toolrl") if likely_hermes else ("toolrl", "hermes")
    if found[2]:
        return ("qwen3_coder",)
    return _with_invoke(text) if found[3] else ("glm", "toolrl", "hermes")


def _with_invoke(text: str) -> tuple[str, ...]:
    return ("minimax_m3", "minimax") if _NAMED_TAG.search(text) else ("minimax", "minimax_m3")


def _without_tokens(text: str, start: int) -> tuple[str, ...]:
    if "{" in text:
        first = strip_span(text, start, len(text))[0]
        if _NAME_BEFORE_JSON.match(text, first):
            return ("kimi", "mistral") if text.startswith("functions.", first) else ("mistral",)
        if PLAIN_KIMI.search(text, start):
            return ("kimi",)
        if PLAIN_GEMMA.search(text, start):
            return ("gemma",)
    return ("hermes",)
