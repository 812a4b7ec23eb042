"""The attempts of one call: wait for an endpoint and for the limits, send, and after a failure that may pass try again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from reward_models.llm_client import failures
from reward_models.llm_client.config import ClientConfig
from reward_models.llm_client.endpoints import Endpoint, Endpoints, Turn
from reward_models.llm_client.failures import Failure
from reward_models.llm_client.job_limiter import LimiterLostError
from reward_models.llm_client.limits import Limiter
from reward_models.llm_client.refusals import Dialect
from reward_models.llm_client.transport import Reply, Transport
from reward_models.types import Unscored, UnscoredReason


@dataclass(eq=False)
class Course:
    """How one call went so far. Times are of `time.monotonic`."""

    started: float
    deadline: float
    attempts: int = 0
    sending_s: float = 0.0
    failed: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last: Failure | None = None
    endpoint: Endpoint | None = None
    sent: Dialect = field(default_factory=Dialect)
    trying: dict[str, Dialect] = field(default_factory=dict)  # by URL, until an answer shows that it is right

    @property
    def queue_s(self) -> float:
        return time.monotonic() - self.started - self.sending_s


class Attempts:
    """How one event loop sends calls: its session and its way to the limits; the endpoints are the client's."""

    def __init__(self, config: ClientConfig, transport: Transport, limiter: Limiter, endpoints: Endpoints) -> None:
        self._config = config
        self._transport = transport
        self._limiter = limiter
        self._endpoints = endpoints

    async def run(self, body: bytes, tokens: int, course: Course) -> Reply | Unscored:
        """`tokens`: what the call may cost, for the limit; put right by what the server counts. Notes on `course`."""
        failed_before = 0
        while True:
            wait_s = self._endpoints.wait_s()
            if wait_s is None:
                return Unscored(UnscoredReason.ERROR, "every endpoint of the judge is down")
            if wait_s > 0:
                if not await _sleep(wait_s, course):
                    return _out_of_time(course)
                continue
            found = await self._within_limits(body, tokens, course)
            if found is None:  # the endpoint's state changed while the limits were waited for
                continue
            if not isinstance(found, Failure):
                return found
            course.failed[found.kind] += 1
            course.last = found
            if _put_otherwise(found, body, course):
                continue
            if not found.passing or failed_before >= self._config.retries:
                return Unscored(found.reason, found.detail)
            # A 429 paused its endpoint for all calls; a server error concerns this one.
            after_s = found.retry_after_s if found.endpoint_at_fault else None
            if not await _sleep((after_s or 0.0) + failures.backoff_s(failed_before), course):
                return _out_of_time(course)
            failed_before += 1

    async def aclose(self) -> None:
        await self._limiter.aclose()
        await self._transport.aclose()

    async def _within_limits(self, body: bytes, tokens: int, course: Course) -> Reply | Failure | Unscored | None:
        """One attempt; None where no endpoint is free for it."""
        try:
            delay = await self._limiter.enter(tokens, max(0.0, course.deadline - time.monotonic()))
        except LimiterLostError:
            return failures.LIMITER_LOST
        if delay is None:
            return _out_of_time(course)
        unused_tokens, unused_requests = tokens, 1
        try:
            if not await _sleep(delay, course):
                return _out_of_time(course)
            turn = self._endpoints.take(avoid=course.endpoint)
            if turn is None:
                return None
            unused_tokens = unused_requests = 0
            found = await self._send(turn, body, course)
            if found.usage.known:
                unused_tokens = tokens - found.usage.prompt_tokens - found.usage.completion_tokens
            return found
        finally:
            self._limiter.leave(unused_tokens, unused_requests)

    async def _send(self, turn: Turn, body: bytes, course: Course) -> Reply | Failure:
        at_fault = None
        course.endpoint = turn.endpoint
        course.attempts += 1
        started = time.monotonic()
        try:
            timeout_s = min(self._config.timeout_s, max(0.001, course.deadline - started))
            course.sent = course.trying.get(turn.endpoint.url, turn.endpoint.dialect)
            found = await self._transport.post(turn.endpoint.url, course.sent.put(body), timeout_s)
            if turn.endpoint.url in course.trying and (isinstance(found, Reply) or found.accepted):
                self._endpoints.learn(turn.endpoint, course.sent)
            at_fault = isinstance(found, Failure) and found.endpoint_at_fault
            if isinstance(found, Failure) and found.kind == "rate_limited" and found.retry_after_s:
                self._endpoints.pause(turn.endpoint, found.retry_after_s)
        finally:
            self._endpoints.end(turn, at_fault)
            course.sending_s += time.monotonic() - started
        course.prompt_tokens += found.usage.prompt_tokens
        course.completion_tokens += found.usage.completion_tokens
        return found


def _put_otherwise(found: Failure, body: bytes, course: Course) -> bool:
    """Whether there is another form of the request, for an endpoint that refuses one of its parameters: it is next then."""
    if found.refusal is None or course.endpoint is None:
        return False
    dialect = course.sent.after(found.refusal, body)
    if dialect is not None:
        course.trying[course.endpoint.url] = dialect
    return dialect is not None


async def _sleep(seconds: float, course: Course) -> bool:
    """Sleep, where that ends before the deadline; otherwise False at once."""
    if time.monotonic() + seconds >= course.deadline:
        return False
    if seconds > 0:
        await asyncio.sleep(seconds)
    return True


def _out_of_time(course: Course) -> Unscored:
    if course.last is None:
        return Unscored(UnscoredReason.BUDGET, "no request could be sent before the deadline")
    return Unscored(course.last.reason, f"{course.last.detail}; no time for another attempt")
