"""Read the body of a chat completion. The body is hostile: any bytes give a value, never an exception."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BODY_BYTES = 1024 * 1024
CUT = "the answer was cut at max_tokens before any text: raise max_tokens"
_MAX_TOKENS = 100_000_000
_TAIL_TOKENS, _MAX_TOP = 16, 20  # kept of an answer's probabilities: a verdict's score comes at the end

# The text of a token, and the probabilities of what might have stood in its place.
TokenOdds = tuple[str, Mapping[str, float]]


@dataclass(frozen=True)
class Completion:
    """`tail`: the last tokens, the first of them first; empty where no probabilities were sent."""

    text: str
    finish_reason: str | None
    tail: tuple[TokenOdds, ...] = ()


@dataclass(frozen=True)
class NoCompletion:
    """`passing`: the server's fault, so that another attempt may fare better; otherwise it is what the model said."""

    detail: str
    passing: bool
    refused: bool = False


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    known: bool = False


def read_completion(body: bytes) -> tuple[Completion | NoCompletion, Usage]:
    """The first choice of a chat completion, and what the server says that it cost."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return NoCompletion("the answer is not JSON", passing=True), Usage()
    if not isinstance(data, dict):
        return NoCompletion("the answer is not a chat completion", passing=True), Usage()
    return _first_choice(data), _usage(data.get("usage"))


def ended_by_itself(finish_reason: str | None) -> bool:
    """Whether an answer is whole: "stop", in any case. "length", "abort", "error", "content_filter" and all others are not."""
    return finish_reason is not None and finish_reason.casefold() == "stop"


def _first_choice(data: dict[str, Any]) -> Completion | NoCompletion:
    try:
        choice = data["choices"][0]
        message, finish_reason = choice["message"], choice.get("finish_reason")
        text = message.get("content")
    except (LookupError, TypeError, AttributeError):
        return NoCompletion("the answer is not a chat completion", passing=True)
    finish_reason = finish_reason if isinstance(finish_reason, str) else None
    if isinstance(text, list):  # chunks: what a model thinks, or cites, has another type than what it says
        if not any(isinstance(part, dict) and isinstance(part.get("type"), str) for part in text):
            return NoCompletion("the answer's content is not text", passing=True)
        text = "".join(_chunk(part) for part in text) or None
    if isinstance(text, str) and (text.strip() or not _thinks(message)):
        return Completion(text, finish_reason, _tail(choice.get("logprobs")))
    if text is not None and not isinstance(text, str):
        return NoCompletion("the answer's content is not text", passing=True)
    if isinstance(message.get("refusal"), str) or finish_reason == "content_filter":
        return NoCompletion("the model refused to answer", passing=False, refused=True)
    if finish_reason is not None and finish_reason.casefold() in ("length", "max_tokens"):
        return NoCompletion(CUT, passing=False)  # a reasoning model that spent them on thinking
    if _thinks(message):
        return NoCompletion(
            "the model thought and gave no answer: raise max_tokens, or serve it without a reasoning parser",
            passing=False,
        )
    return NoCompletion("the answer has no text", passing=True)


def _thinks(message: Mapping[str, Any]) -> bool:
    """Whether there is thinking in a field, or a chunk, of its own. It is never read: a draft is no answer."""
    fields = (message.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details"))
    return any(fields) or isinstance(message.get("content"), list)


def _chunk(part: Any) -> str:
    said = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    return said if isinstance(said, str) else ""


def _tail(logprobs: Any) -> tuple[TokenOdds, ...]:
    """The last tokens with their alternatives; () where any of them cannot be read."""
    try:
        return tuple(
            (_text(token["token"]), _odds(token["top_logprobs"])) for token in logprobs["content"][-_TAIL_TOKENS:]
        )
    except (LookupError, TypeError, ValueError, OverflowError):
        return ()


def _odds(alternatives: Any) -> dict[str, float]:
    return {_text(item["token"]): _probability(item["logprob"]) for item in alternatives[:_MAX_TOP]}


def _text(token: Any) -> str:
    if not isinstance(token, str):
        raise TypeError("a token is a text")
    return token


def _probability(logprob: Any) -> float:
    if isinstance(logprob, bool) or not isinstance(logprob, (int, float)) or not logprob <= 1e-3:
        raise ValueError("a log-probability is a number up to 0")
    return min(1.0, math.exp(logprob))


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    counts: list[Any] = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    if not all(type(count) is int and 0 <= count <= _MAX_TOKENS for count in counts):
        return Usage()
    return Usage(counts[0], counts[1], known=True)
