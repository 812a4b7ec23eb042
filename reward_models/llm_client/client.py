"""The chat client of a judge: `ask` gives an answer or says why there is none.

A call is looked up in the cache, joined to an equal one under way, or sent: see `attempts`, and `failures` for what is
tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from reward_models.llm_client.answer import Completion, ended_by_itself
from reward_models.llm_client.attempts import Attempts, Course
from reward_models.llm_client.cache import AnswerCache
from reward_models.llm_client.config import ClientConfig
from reward_models.llm_client.endpoints import Endpoints
from reward_models.llm_client.job_limiter import make_limiter
from reward_models.llm_client.ledger import Ledger
from reward_models.llm_client.limits import Limits
from reward_models.llm_client.preflight import check_endpoints
from reward_models.llm_client.step_stats import StepClock
from reward_models.llm_client.totals import ANSWER, CANCELLED, Entry
from reward_models.llm_client.transport import CHAT, Reply, Route, Transport
from reward_models.llm_client.types import ChatAnswer, ChatRequest
from reward_models.options import plain
from reward_models.per_loop import PerLoop
from reward_models.types import JudgeNotReadyError, Unscored, UnscoredReason

logger = logging.getLogger(__name__)

_KEY_VERSION = "chat-1"
_CHARS_PER_TOKEN = 4  # of English
_LEASE_MARGIN_S = 30.0


@dataclass(eq=False)
class _Flight:
    """A call under way, and how many wait for it."""

    task: asyncio.Task
    waiting: int = 0


@dataclass(eq=False)
class _OfLoop:
    """What belongs to one event loop."""

    attempts: Attempts
    step_clock: StepClock | None
    flights: dict[bytes, _Flight] = field(default_factory=dict)
    tasks: set[asyncio.Task] = field(default_factory=set)


class ChatClient:
    """Usable from several event loops and threads, with a session for each loop.

    Where Ray is initialised the limits hold for the job, otherwise for the process, with all its clients of the same
    endpoints and limits. `deadline_s` holds for each call: it ends as Unscored(budget) where nothing could be sent in
    time, as Unscored(timeout) where it cut an attempt, and with the last attempt's reason where there was no time for
    another.

    Equal requests under way in one loop share one call, with the first one's deadline. `cached` is then true for all
    but the first. A caller that is cancelled leaves the call to the others; the last one to go ends it.
    """

    def __init__(self, config: ClientConfig, route: Route = CHAT) -> None:
        self.config = config
        self._route = route
        self._endpoints = Endpoints(config.base_url)
        self._limits = Limits.of(config)
        self._ledger = Ledger(config.ledger, config.model)
        self._cache: AnswerCache | None = None
        if config.cache_dir is not None:
            age_s = config.cache_max_age_days * 86400
            self._cache = AnswerCache(config.cache_dir, config.cache_max_gb * 1e9, age_s)
        self._loops: PerLoop[_OfLoop] = PerLoop()
        self._closed = False

    async def ask(self, request: ChatRequest) -> ChatAnswer | Unscored:
        """The model's answer, or why there is none.

        Raises nothing but cancellation, and TypeError for a request that does not go into JSON.
        """
        tokens = sum(len(message["content"]) for message in request.messages) // _CHARS_PER_TOKEN
        return await self.send(self._body(request), tokens + request.max_tokens, request.vote)

    async def send(self, body: bytes, tokens: int, vote: int = 0) -> ChatAnswer | Unscored:
        """`ask` for a body of another route; `tokens`: what the call may cost, for the limit."""
        started = time.monotonic()
        if self._closed:
            return _closed()
        try:
            here = self._loops.get(None, self._make_loop)
        except JudgeNotReadyError as error:
            self._ledger.add(Entry(UnscoredReason.LOAD_FAILED.value, "server"))
            return Unscored(UnscoredReason.LOAD_FAILED, str(error))
        # The body holds the model, the messages, the sampling and the format, and no key.
        key = hashlib.sha256(f"{_KEY_VERSION} vote {vote} ".encode() + body).digest()
        flight = here.flights.get(key)
        if flight is None:
            call = self._call(here, key, body, tokens, started)
            flight = _take_off(here, key, call)
            return await _land(here, key, flight)
        result = await _land(here, key, flight)
        queue_s = time.monotonic() - started
        if isinstance(result, Unscored):
            self._ledger.add(Entry(result.reason.value, "shared", queue_s=queue_s))
            return result
        self._ledger.add(Entry(ANSWER, "shared", result.endpoint, queue_s=queue_s))
        return replace(result, cached=True, queue_s=queue_s)

    def summary(self) -> dict[str, float]:
        """Totals of this process so far; the keys are those of `totals.Totals.summary`."""
        return self._ledger.totals.summary()

    def note(self, **labels: str) -> None:
        """Labels for each line of the ledger from now on, such as what the calls are asked by."""
        self._ledger.labels.update(labels)

    async def preflight(self) -> None:
        """Raise JudgeNotReadyError, with the fix, where an endpoint will not do.

        That is: it cannot be reached, is not an OpenAI-compatible API, wants another key, or does not offer the model. A few
        requests an endpoint, outside of the limits.
        """
        transport = Transport(self.config)
        try:
            await check_endpoints(self.config, transport, chats=self._route is CHAT)
        finally:
            await transport.aclose()

    async def aclose(self) -> None:
        """End the running loop's calls as Unscored(error), and leave no task or socket of this loop behind.

        The client answers nothing after that, in no loop; another loop that used it closes it as well, for itself.
        """
        self._closed = True
        for here in self._loops.of_running_loop():
            tasks = list(here.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await here.attempts.aclose()
            if here.step_clock is not None:
                await here.step_clock.aclose()
        if self._cache is not None:
            await self._cache.aclose()
        self._ledger.close()

    def _make_loop(self) -> _OfLoop:
        transport = Transport(self.config, self._route)
        limiter = make_limiter(self._limits, self.config.timeout_s + _LEASE_MARGIN_S)
        clock = None if self.config.step_deadline_s is None else StepClock(self.config.step_deadline_s)
        return _OfLoop(Attempts(self.config, transport, limiter, self._endpoints), clock)

    def _body(self, request: ChatRequest) -> bytes:
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": plain(request.messages),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        if request.response_format is not None:
            body["response_format"] = plain(request.response_format)
        if request.top_logprobs:
            body["logprobs"], body["top_logprobs"] = True, request.top_logprobs
        return json.dumps(body).encode()  # in the given order: servers generate a schema's properties in it

    async def _call(self, here: _OfLoop, key: bytes, body: bytes, tokens: int, started: float) -> ChatAnswer | Unscored:
        course = Course(started, started + self.config.deadline_s)
        try:
            stored = None if self._cache is None else _restored(await self._cache.get(key, course.deadline))
            if stored is not None:
                queue_s = time.monotonic() - started
                self._ledger.add(Entry(ANSWER, "cache", queue_s=queue_s))
                return replace(stored, queue_s=queue_s)
            found = await self._too_late_in_step(here, course) or await here.attempts.run(body, tokens, course)
        except asyncio.CancelledError:
            self._record(course, CANCELLED)
            raise
        except Exception as error:  # a defect of ours, which must not end in verl
            logger.error("The judge's client failed: %s", type(error).__name__)
            found = Unscored(UnscoredReason.ERROR, type(error).__name__)
        if isinstance(found, Unscored):
            self._record(course, found.reason.value)
            return found
        self._record(course, ANSWER, found)
        kept: dict[str, Any] = {
            "text": found.completion.text,
            "finish_reason": found.completion.finish_reason,
            "prompt_tokens": found.usage.prompt_tokens,
            "completion_tokens": found.usage.completion_tokens,
            "latency_s": found.latency_s,
            "tail": found.completion.tail,
        }
        if self._cache is not None and _is_good(found.completion):
            self._cache.put(key, kept)
        return ChatAnswer(
            **kept, queue_s=course.queue_s, cached=False, endpoint=course.endpoint.url if course.endpoint else ""
        )

    async def _too_late_in_step(self, here: _OfLoop, course: Course) -> Unscored | None:
        """None where there is still time; the call's deadline is then the step's where that comes first."""
        ends_at = await here.step_clock.ends_at() if here.step_clock is not None else None
        if ends_at is None:
            return None
        if ends_at <= time.monotonic():
            detail = f"the step's time for judging is used up (step_deadline_s={self.config.step_deadline_s})"
            return Unscored(UnscoredReason.BUDGET, detail)
        course.deadline = min(course.deadline, ends_at)
        return None

    def _record(self, course: Course, result: str, reply: Reply | None = None) -> None:
        prompt_price, completion_price = self.config.price_per_million_tokens
        cost = (course.prompt_tokens * prompt_price + course.completion_tokens * completion_price) / 1e6
        self._ledger.add(
            Entry(
                result=result,
                source="server",
                endpoint=course.endpoint.url if course.endpoint else "",
                attempts=course.attempts,
                failures=dict(course.failed),
                prompt_tokens=course.prompt_tokens,
                completion_tokens=course.completion_tokens,
                usage_known=reply is None or reply.usage.known,
                cost=cost,
                latency_s=reply.latency_s if reply else 0.0,
                queue_s=course.queue_s,
            )
        )


def _take_off(here: _OfLoop, key: bytes, call: Any) -> _Flight:
    flight = here.flights[key] = _Flight(asyncio.create_task(call))

    def landed(task: asyncio.Task) -> None:
        here.tasks.discard(task)
        _forget(here, key, flight)

    here.tasks.add(flight.task)
    flight.task.add_done_callback(landed)
    return flight


async def _land(here: _OfLoop, key: bytes, flight: _Flight) -> ChatAnswer | Unscored:
    """The flight's result, for one of those who wait; whoever is cancelled last ends it."""
    landed = asyncio.get_running_loop().create_future()
    flight.task.add_done_callback(lambda _: None if landed.done() else landed.set_result(None))
    flight.waiting += 1
    try:
        await landed  # not the task: a caller's cancellation must not be the others'
    finally:
        flight.waiting -= 1
        if not flight.waiting and not flight.task.done():
            _forget(here, key, flight)
            flight.task.cancel()
    return _closed() if flight.task.cancelled() else flight.task.result()


def _forget(here: _OfLoop, key: bytes, flight: _Flight) -> None:
    if here.flights.get(key) is flight:
        del here.flights[key]


def _closed() -> Unscored:
    return Unscored(UnscoredReason.ERROR, "the client is closed")


def _restored(stored: dict[str, Any] | None) -> ChatAnswer | None:
    """An answer as it was kept; None for one that another version has kept otherwise."""
    try:
        answer = None if stored is None else ChatAnswer(**stored, queue_s=0.0, cached=True, endpoint="")
        return answer if answer is not None and isinstance(answer.text, str) and answer.finished else None
    except (TypeError, AttributeError):
        return None


def _is_good(completion: Completion) -> bool:
    return bool(completion.text.strip()) and ended_by_itself(completion.finish_reason)
