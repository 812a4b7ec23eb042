"""What goes into the chat client and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_models.llm_client.answer import TokenOdds, ended_by_itself


@dataclass(frozen=True)
class ChatRequest:
    """One completion to ask for. Requests with equal fields are one request: they share a call and a cache entry.

    messages: of the chat API, each with `role` and `content`.
    max_tokens: of the answer, at least 1.
    seed: sent where it is not None.
    response_format: of the chat API, as in {"type": "json_schema", ...}; sent where it is not None.
    top_logprobs: how many alternatives to ask for at each token of the answer; 0 asks for none.
    vote: not sent; it keeps the deliberate repetitions of one question apart.
    """

    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    response_format: Mapping[str, Any] | None = None
    top_logprobs: int = 0
    vote: int = 0


@dataclass(frozen=True)
class ChatAnswer:
    """A completion as the server sent it: `text` is untrusted, and a draft unless `finished`.

    prompt_tokens, completion_tokens: as the server counted them, 0 where it did not say.
    latency_s: of the request that was answered, from sending to the last byte; of the original one where `cached`.
    queue_s: the time in `ask` with no request under way: waiting for the limits, an endpoint or the next attempt.
    cached: no request was sent for this answer; it was on the disk, or came from an equal request under way.
    endpoint: the base URL that answered, "" where the answer was on the disk.
    tail: the answer's last tokens with their probabilities, empty where none were asked for or sent.
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    queue_s: float
    cached: bool
    endpoint: str
    tail: Sequence[TokenOdds] = ()

    @property
    def finished(self) -> bool:
        """Whether the model ended the answer itself; otherwise it was cut, filtered or interrupted."""
        return ended_by_itself(self.finish_reason)
