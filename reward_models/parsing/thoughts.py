"""Where a response's thought is: in which tags, and whether the prompt has opened it already.

The form of `harmony`, a channel, is read by its dialect: there the whole response consists of channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from reward_models.parsing.types import ParseCode, Span, Unreadable


@dataclass(frozen=True)
class ThinkingForm:
    """The tags around a thought; `label` is a word that stands right after the opening tag and is no part of it."""

    name: str
    opening: str
    closing: str
    label: str = ""


THINK = ThinkingForm("think", "<think>", "</think>")
THINKING_FORMS = (
    THINK,
    ThinkingForm("thinking", "<thinking>", "</thinking>"),
    ThinkingForm("mistral", "[THINK]", "[/THINK]"),
    ThinkingForm("seed", "<seed:think>", "</seed:think>"),
    ThinkingForm("minimax", "<mm:think>", "</mm:think>"),
    ThinkingForm("gemma", "<|channel>", "<channel|>", label="thought"),
    ThinkingForm("kimi", "◁think▷", "◁/think▷"),
    ThinkingForm("cohere", "<|START_THINKING|>", "<|END_THINKING|>"),
)
THINKING = ("auto", "opened")  # the values of the option `thinking`

_OPENINGS = tuple(form.opening for form in THINKING_FORMS)


def split_thought(text: str, thinking: str = "auto") -> tuple[Span | None, int]:
    """The stripped span of the thought, None where there is none, and where the rest begins.

    A thought that starts with its tag ends at the first closing tag, whatever it quotes. A closing tag before any
    opening one of its form ends a thought that the prompt has opened. Raises Unreadable where a thought does not end;
    with "opened" that is so for any text without tags.
    """
    start = len(text) - len(text.lstrip())
    if text.startswith("<think>", start):  # the usual case
        return _thought(text, start, THINK)
    if not ("think" in text or "THINK" in text or "channel|>" in text):  # as every closing tag has one of them
        if thinking == "opened":
            raise Unreadable(ParseCode.UNCLOSED_THINK, start, len(text))
        return None, start
    if text.startswith(_OPENINGS, start):
        return _thought(text, start, next(form for form in THINKING_FORMS if text.startswith(form.opening, start)))
    return _opened_thought(text, start, thinking)


def opened_form(prompt: str) -> ThinkingForm | None:
    """The form of the thought that a prompt ends in, None where it ends in none."""
    for form in THINKING_FORMS:
        opening = prompt.rfind(form.opening)
        if opening < 0 or prompt.find(form.closing, opening) >= 0:
            continue
        if prompt[opening + len(form.opening) :].strip() in ("", form.label):
            return form
    return None


def _thought(text: str, start: int, form: ThinkingForm) -> tuple[Span, int]:
    end = text.find(form.closing, start)
    if end < 0:
        raise Unreadable(ParseCode.UNCLOSED_THINK, start, len(text))
    return _without_label(text, start + len(form.opening), end, form), end + len(form.closing)


def _opened_thought(text: str, start: int, thinking: str) -> tuple[Span | None, int]:
    found = []
    for form in THINKING_FORMS:
        end = text.find(form.closing, start)
        if end >= 0 and text.find(form.opening, start, end) < 0:
            found.append((end, form))
    if found:
        end, form = min(found, key=lambda pair: pair[0])
        return _without_label(text, start, end, form), end + len(form.closing)
    if thinking == "opened":
        raise Unreadable(ParseCode.UNCLOSED_THINK, start, len(text))
    return None, start


def _without_label(text: str, start: int, end: int, form: ThinkingForm) -> Span:
    start, end = strip_span(text, start, end)
    if form.label and text.startswith(form.label, start, end):
        start, end = strip_span(text, start + len(form.label), end)
    return start, end


def strip_span(text: str, start: int, end: int) -> Span:
    """The span without the white space around; (start, start) where nothing else is there."""
    if start < end and not (text[start].isspace() or text[end - 1].isspace()):
        return start, end
    stripped = text[start:end].lstrip()
    start = end - len(stripped) if stripped else start
    return start, start + len(stripped.rstrip())
