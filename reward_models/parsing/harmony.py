"""The dialect `harmony` of gpt-oss: a response is a row of messages, each with a channel and perhaps a recipient.

    <|channel|>analysis<|message|>thought<|end|><|start|>assistant<|channel|>commentary to=functions.f
    <|constrain|>json<|message|>{"a": 1}<|call|>

The analysis channel is the thought, a message to a recipient is a call, the rest is the answer. A decoder that skips
special tokens leaves `analysisthoughtassistantcommentary to=functions.f json{"a": 1}`; that is read as well.
"""

from __future__ import annotations

import re

from reward_models.parsing.answers import check_answer
from reward_models.parsing.body import Body, CallList
from reward_models.parsing.json_values import BLANK
from reward_models.parsing.source import Source
from reward_models.parsing.thoughts import strip_span
from reward_models.parsing.types import ParseCode, Span, Unreadable

_CHANNELS = r"(?:analysis|commentary|final)"
_RECIPIENT = r"to=[^\W\d][\w.-]{0,127}?"
# The recipient stands before the channel or after it.
_HEADER = re.compile(
    rf"(?:<\|start\|>assistant)?\s?(?:({_RECIPIENT})\s?)?<\|channel\|>({_CHANNELS})(?: ({_RECIPIENT}))?"
    r"\s?(?:<\|constrain\|>)?\s?(?:json|code)?<\|message\|>"
)
_END = re.compile(r"<\|(?:end|call|return)\|>|<\|start\|>|<\|channel\|>")
_PLAIN_HEADER = re.compile(
    rf"(?:(?<!\w)(?={_CHANNELS})|assistant\s?)(?:({_RECIPIENT})\s?)?({_CHANNELS})"
    rf"(?: ({_RECIPIENT}) ?(?:json|code)(?=\s*\{{)| ?json(?=\s*\{{))?"
)
_FUNCTIONS = "functions."


def looks_like_harmony(text: str, start: int) -> bool:
    """Whether text[start:] begins as a response in harmony does, special tokens kept or not."""
    if text.startswith(("<|channel|>", "<|start|>assistant", " to=", "to=functions"), start):
        return True
    if not text.startswith(("analysis", "commentary", "final"), start):
        return False
    # Words like these begin sentences too: a second header, or a call, has to follow.
    return text.find("assistantfinal", start) >= 0 or text.find("to=functions.", start) >= 0


def read_harmony(reader: Source, start: int) -> Body:
    """The messages of one turn. The thought is that of all analysis messages, up to the last one's end."""
    text, calls = reader.text, CallList()
    plain = looks_like_harmony(text, start) and text.find("<|message|>", start) < 0
    following = _next_plain if plain else _next
    thoughts: list[Span] = []
    answers: list[Span] = []
    header = (_PLAIN_HEADER if plain else _HEADER).match(text, start)
    if header is None:
        raise Unreadable(ParseCode.NOT_MARKUP, start, len(text))
    while header:
        recipient, position = header[1] or header[3], header.end()
        if recipient is not None:
            first = reader.skip(position)
            value, position = reader.read(first, calls.problems)
            calls.add_named(recipient.removeprefix("to=").removeprefix(_FUNCTIONS), value, (first, position))
        end, following_header = following(text, position)
        span = strip_span(text, position, end)
        if recipient is not None and span[0] < span[1]:
            raise Unreadable(ParseCode.NOT_JSON, *span)
        if header[2] == "analysis" and recipient is None:
            thoughts.append(span)
        elif span[0] < span[1]:
            answers.append(span)
        header = following_header
    return _body(reader, calls, thoughts, answers)


def _body(reader: Source, calls: CallList, thoughts: list[Span], answers: list[Span]) -> Body:
    text = reader.text
    answer = "\n".join(text[slice(*span)] for span in answers) or None
    answer_span = (answers[0][0], answers[-1][1]) if answers else None
    if not (calls.calls or calls.problems):
        if thoughts and not answer:
            raise Unreadable(ParseCode.UNCLOSED_THINK, thoughts[0][0], len(text))
        check_answer(answer or "", answer_span or (0, len(text)), reader.tools.names)
    thought = (thoughts[0][0], thoughts[-1][1]) if thoughts else None
    return Body(calls.calls, answer, answer_span, calls.problems, thought)


def _next(text: str, start: int) -> tuple[int, re.Match[str] | None]:
    """Where the message with content from `start` ends, and the next header."""
    found = _END.search(text, start)
    if found is None:
        return len(text), None
    position = found.start() if found.group() in ("<|start|>", "<|channel|>") else found.end()
    position = BLANK.match(text, position).end()
    if position == len(text):
        return found.start(), None
    header = _HEADER.match(text, position)
    if header is None:
        raise Unreadable(ParseCode.NOT_MARKUP, position, len(text))
    return found.start(), header


def _next_plain(text: str, start: int) -> tuple[int, re.Match[str] | None]:
    position = text.find("assistant", start)
    while position >= 0:
        if header := _PLAIN_HEADER.match(text, position):
            return position, header
        position = text.find("assistant", position + 1)
    return len(text), None
