"""What a parsed response is: calls, thought, answer, a status, and every problem with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """What the response amounts to."""

    ABSTAINED = "abstained"  # no call was attempted and there is a real answer
    UNPARSEABLE = "unparseable"  # cannot be read: broken, unclosed, beyond a limit, or nothing there
    INVALID = "invalid"  # read as data, which is not well-formed calls
    VALID = "valid"  # one well-formed call or more, and nothing wrong


class ParseCode(str, Enum):
    """Why a response is not VALID or ABSTAINED."""

    # Makes the response UNPARSEABLE.
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    TOO_MANY_CALLS = "too_many_calls"
    TOO_MANY_TOKENS = "too_many_tokens"  # or lists and objects, in JSON
    NUMBER_TOO_LONG = "number_too_long"
    UNCLOSED_THINK = "unclosed_think"
    UNCLOSED_BLOCK = "unclosed_block"
    REPEATED_BLOCK = "repeated_block"  # toolrl
    STRAY_TAG = "stray_tag"  # a tag outside its place, such as </think> without <think>
    STRAY_CALL = "stray_call"  # what reads like a call, in place of an answer
    NO_ACTION = "no_action"  # neither a call nor an answer
    BLANK_ANSWER = "blank_answer"  # an answer without a letter or digit
    NOT_JSON = "not_json"
    NOT_PYTHON = "not_python"
    NOT_MARKUP = "not_markup"  # tags or special tokens that are not in the order of the dialect
    PARSER_FAILED = "parser_failed"  # vllm:, verl: the parser raised, ran out of time or memory, or lost its process
    # Makes it INVALID.
    BAD_CALL = "bad_call"  # no name, or arguments that are not an object
    BAD_MESSAGE = "bad_message"  # openai: not a message with content or tool_calls
    BAD_VALUE = "bad_value"  # python: neither a constant nor a list, tuple or dict of them
    POSITIONAL_ARGUMENT = "positional_argument"  # python
    DUPLICATE_KEY = "duplicate_key"
    NOT_FINITE = "not_finite"  # NaN, Infinity, or a number beyond a float's range
    LONE_SURROGATE = "lone_surrogate"  # a string that no encoding can carry


INVALID_CODES = frozenset(
    {
        ParseCode.BAD_CALL,
        ParseCode.BAD_MESSAGE,
        ParseCode.BAD_VALUE,
        ParseCode.POSITIONAL_ARGUMENT,
        ParseCode.DUPLICATE_KEY,
        ParseCode.NOT_FINITE,
        ParseCode.LONE_SURROGATE,
    }
)

Span = tuple[int, int]


@dataclass(frozen=True)
class ToolCall:
    """One call: `arguments` are JSON values, from `python` also tuples; `span` is its place in the text, if known."""

    name: str
    arguments: dict[str, Any]
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in text[start:end]."""

    code: ParseCode
    start: int
    end: int


@dataclass(frozen=True)
class ParsedResponse:
    """What a response holds.

    `dialect` is the one it was read in, never "auto". `thought` is the stripped text of a closed think block at the
    start ("" where blank, None where there is none). `calls` is empty unless the status is VALID. `answer` is the
    final answer's stripped text, None where there is none. `problems` is empty where the status is VALID or ABSTAINED
    and holds at least one otherwise. The spans give the places of thought and answer in the text; the answer of
    `hermes` is what stands around the calls, that of `openai` a JSON string's value. `body_span` is all that follows the
    thought, without the tokens that end a turn; in `harmony` the whole.
    """

    dialect: str
    status: Status
    thought: str | None = None
    calls: tuple[ToolCall, ...] = ()
    answer: str | None = None
    problems: tuple[Problem, ...] = ()
    thought_span: Span | None = None
    answer_span: Span | None = None
    body_span: Span = (0, 0)


class Unreadable(Exception):
    """Stops the reading of a response; never leaves the package."""

    def __init__(self, code: ParseCode, start: int, end: int) -> None:
        super().__init__(code.value)
        self.problem = Problem(code, start, end)
