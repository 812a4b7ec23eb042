"""What counts as an answer, and what only looks like one: a call that misses its dialect is no abstention.

Signs of a call are the tags and special tokens of every family, a call in Python's syntax, and an object with a name and
arguments. Where the row's tools are known, so are their names. Prose about tools, code and JSON without such signs are answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from reward_models.parsing.json_values import read_whole
from reward_models.parsing.types import ParseCode, Span, Unreadable

NAME = r"[^\W\d]\w*"
CALL_START = rf"{NAME}(?:\.{NAME})*\("
# With a keyword argument or none: prose does not write that by chance.
KEYWORD_CALL = rf"[ \t]*{CALL_START}\s*(?:\)|{NAME}\s*=)"
FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n")

# Letters, digits, and what people use in their place, such as a raised thumb.
SIGN = re.compile(r"[^\W_]|[\u2600-\u27bf\U0001f000-\U0001faff]")
# One "<" before all its alternatives, and what may follow: a text of many is passed quickly.
_TAG = re.compile(
    r"<(?=[/a-z|｜\]])(?:\]minimax\[>\[|/?(?:(?:mm:|seed:)?think|thinking|(?:seed:|minimax:)?tool_calls?|function_calls?|response|arg_key|arg_value)>"
    r"|(?:function|parameter)=|invoke name=|parameter name=|/?｜DSML｜|｜tool▁"
    r"|\|(?:channel|message|call|constrain|python_tag|tool_call)|(?:tool_call|channel)\|>|(?:start|end)_function_call>)"
    r"|\[(?:TOOL_CALLS|ARGS|CALL_ID|/?THINK)\]"
)
_LISTED = re.compile(rf"\[(?<![\w)\]]\[){KEYWORD_CALL}")
_ANNOUNCED = re.compile(rf"[Cc]all(?:ing)?[: ]\s*`?{KEYWORD_CALL}")
_WHOLE = re.compile(rf"{CALL_START}\s*(?:\)|{NAME}\s*=)")
_NAME_BEFORE_JSON = re.compile(rf"^(?:functions\.)?{NAME}(?:[.-]\w+)*(?::\d+)?\{{\s*[\"'}}]", re.MULTILINE)
# What is left of a call of Kimi, Gemma or gpt-oss without its special tokens.
PLAIN_KIMI = re.compile(r"functions\.[\w.-]{1,128}:\d+\s*\{")
PLAIN_GEMMA = re.compile(r"call:(?<!\wcall:)[\w.-]{1,128}\{")
_PLAIN_HARMONY = re.compile(r"to=functions\.[\w.-]{1,128} ?(?:commentary ?)?(?:json|code)\s*\{")
_REACT = re.compile(r"^Action: *\S", re.MULTILINE)
_NAME_KEY = re.compile(r"""['"](?:name|tool|tool_name|function|action)['"]\s*:\s*['"]""")
_ARGUMENTS_KEY = re.compile(
    r"""['"](?:arguments|parameters|args|kwargs|input|tool_input|action_input)['"]\s*:\s*["'{\[]"""
)
_CALLS_KEY = re.compile(r"""['"](?:function_call|tool_calls)['"]\s*:\s*[{\[]""")
_LINK_WITHIN = 200
_MAX_LINKS = 100
_MAX_JSON_ANSWER = 8192  # an answer that begins as JSON is read once more to see that it is


def check_no_tag(text: str, start: int, end: int) -> None:
    """Raise Unreadable where a tag or a special token of any family stands in the span."""
    if tag := _TAG.search(text, start, end):
        raise Unreadable(ParseCode.STRAY_TAG, *tag.span())


def check_answer(answer: str, span: Span, names: Iterable[str] = ()) -> None:
    """Raise Unreadable where the answer is blank, an open code fence, or holds what looks like a call.

    `names` are the row's tools.
    """
    if not answer:
        raise Unreadable(ParseCode.NO_ACTION, *span)
    fence = FENCE.match(answer)
    if fence and answer.find("```", 3) < 0:
        raise Unreadable(ParseCode.UNCLOSED_BLOCK, *span)
    inner = (
        answer[fence.end() : -3].strip() if fence and answer.endswith("```") else answer[fence.end() if fence else 0 :]
    )
    if not SIGN.search(inner):
        raise Unreadable(ParseCode.BLANK_ANSWER, *span)
    if _TAG.search(answer):
        raise Unreadable(ParseCode.STRAY_TAG, *span)
    if looks_like_call(answer, inner, names):
        raise Unreadable(ParseCode.STRAY_CALL, *span)


def looks_like_call(answer: str, inner: str, names: Iterable[str]) -> bool:
    """Whether the answer holds a call without tags; `inner` is what its code fence holds, or all of it."""
    if inner.startswith(("{", "[")) and _broken_json(inner):
        return True
    # Searching for a character is much faster than a pattern, and most answers have no braces or brackets at all.
    if "{" in answer and ('"' in answer or "'" in answer or "{}" in answer):
        if _CALLS_KEY.search(answer) or (_NAME_KEY.search(answer) and _ARGUMENTS_KEY.search(answer)):
            return True
        if _NAME_BEFORE_JSON.search(answer) or ("call:" in answer and PLAIN_GEMMA.search(answer)):
            return True
        if "functions." in answer and (PLAIN_KIMI.search(answer) or _PLAIN_HARMONY.search(answer)):
            return True
    if "(" in answer:
        if "```tool_code" in answer or ("[" in answer and has_listed_call(answer)):
            return True
        if "all" in answer and _ANNOUNCED.search(answer):
            return True
        if inner.endswith(")") and _WHOLE.match(inner):
            return True
    if "Action: " in answer and _REACT.search(answer):
        return True
    return any(name in answer and _calls_tool(answer, name) for name in names)


def _calls_tool(answer: str, name: str) -> bool:
    """Whether the answer gives arguments to the tool, or names it as an object's value; a mention is no call."""
    escaped = re.escape(name)
    called = rf"{escaped}(?<![\w.]{escaped})(?:\s*\{{|\(\s*{NAME}\s*=)"
    return bool(re.search(called, answer) or re.search(rf"""['"]\s*:\s*['"]{escaped}['"]""", answer))


@lru_cache(maxsize=4)  # `auto` asks before the answer is checked
def has_listed_call(answer: str) -> bool:
    """Whether there is `[name(argument=` or a `[name()` that ends there; not the text of a link, but for very many."""
    for number, found in enumerate(_LISTED.finditer(answer)):
        if number == _MAX_LINKS:
            return True
        end = found.end()
        closing = answer.find(")", end - 1, end + _LINK_WITHIN)
        after = answer[closing + 1 : closing + 4].lstrip() if closing >= 0 else ""
        is_link = after.startswith("](")
        if not is_link and (not found.group().endswith(")") or after.startswith(("]", ","))):
            return True
    return False


def _broken_json(text: str) -> bool:
    if text.startswith("[") and not text[1:].lstrip().startswith(("{", "[", '"', "'")):
        return False  # `[1] says so`
    if len(text) > _MAX_JSON_ANSWER:
        return True
    try:
        read_whole(text)
    except Unreadable:
        return True
    return False
