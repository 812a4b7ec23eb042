"""Limits on requests under way, requests a minute and tokens a minute, and the limiter of one process.

A call first gets a slot, then reserves its place in the two rates and waits for it with the slot in hand: so what is
sent keeps to the rates however long slots were scarce, and a wait that is too long is known before it begins.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reward_models.llm_client.config import ClientConfig


@dataclass(frozen=True)
class Limits:
    """What `ClientConfig` allows. `name` is the same for all clients that must share them, and holds no secret."""

    name: str
    max_concurrency: int
    requests_per_minute: float | None
    tokens_per_minute: float | None

    @staticmethod
    def of(config: ClientConfig) -> Limits:
        allowed = (config.max_concurrency, config.requests_per_minute, config.tokens_per_minute)
        digest = hashlib.sha256(repr((sorted(config.base_url), *allowed)).encode()).hexdigest()[:16]
        return Limits(f"awpo_judge_limits_{digest}", *allowed)


class Limiter(Protocol):
    """Where calls get their permits. An `enter` that gave a delay must be followed by one `leave`."""

    async def enter(self, tokens: int, timeout_s: float) -> float | None:
        """Take a slot; the seconds to wait before sending, or None where no slot came free in `timeout_s`."""

    def leave(self, unused_tokens: int = 0, unused_requests: int = 0) -> None:
        """Give the slot back, and what was reserved of the rates and not used (negative where more was)."""

    async def aclose(self) -> None:
        """Give back all that the running loop holds."""


class Rate:
    """Reservations at `per_minute` on average, with bursts of one second's worth, or of a single reservation.

    The generic cell rate algorithm, with a wait instead of a refusal. A reservation larger than the burst is waited
    for by those that come after it.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._each_s = 60.0 / per_minute
        self._burst_s = max(0.0, 1.0 - self._each_s)
        self._due = clock()

    def reserve(self, amount: float) -> float:
        """Seconds until `amount` may be used."""
        now = self._clock()
        due = max(self._due, now)
        self._due = due + amount * self._each_s
        return max(0.0, due - now - self._burst_s)

    def give_back(self, amount: float) -> None:
        self._due -= amount * self._each_s


class Permits:
    """Free slots and the two rates. Not safe between threads."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = limits.max_concurrency
        self._requests = Rate(limits.requests_per_minute, clock) if limits.requests_per_minute else None
        self._tokens = Rate(limits.tokens_per_minute, clock) if limits.tokens_per_minute else None

    def take(self, tokens: int) -> float | None:
        """Take a slot; the seconds to wait for the rates, or None where no slot is free."""
        if self._free == 0:
            return None
        self._free -= 1
        return max(
            self._requests.reserve(1) if self._requests else 0.0,
            self._tokens.reserve(tokens) if self._tokens else 0.0,
        )

    def give_back(self, slots: int, unused_tokens: int, unused_requests: int) -> None:
        self._free += slots
        if self._requests:
            self._requests.give_back(unused_requests)
        if self._tokens:
            self._tokens.give_back(unused_tokens)


@dataclass(eq=False)
class _Waiter:
    tokens: int
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Future
    delay: float | None = None  # set, under the lock, when the slot is this waiter's
    gone: bool = False


class ProcessLimiter:
    """Limits for one process: all its event loops and threads, first come first served."""

    def __init__(self, limits: Limits) -> None:
        self._permits = Permits(limits)
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()

    async def enter(self, tokens: int, timeout_s: float) -> float | None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._waiting and (delay := self._permits.take(tokens)) is not None:
                return delay
            waiter = _Waiter(tokens, loop, loop.create_future())
            self._waiting.append(waiter)
        try:
            await asyncio.wait([waiter.woken], timeout=timeout_s)
        except asyncio.CancelledError:
            if self._give_up(waiter) is not None:
                self.leave(tokens, 1)
            raise
        return self._give_up(waiter)

    def leave(self, unused_tokens: int = 0, unused_requests: int = 0) -> None:
        with self._lock:
            self._permits.give_back(1, unused_tokens, unused_requests)
            while self._waiting:
                waiter = self._waiting[0]
                if not waiter.gone:
                    waiter.delay = self._permits.take(waiter.tokens)
                    if waiter.delay is None:
                        return
                    if not _wake(waiter):
                        self._permits.give_back(1, waiter.tokens, 1)
                self._waiting.popleft()

    async def aclose(self) -> None:
        """Nothing: calls that ended have left, and those of other loops go on."""

    def _give_up(self, waiter: _Waiter) -> float | None:
        """Stop waiting; the delay where the slot had come after all."""
        with self._lock:
            waiter.gone = True
            return waiter.delay


def _wake(waiter: _Waiter) -> bool:
    """False where the waiter's loop is closed."""
    if waiter.loop is asyncio.get_running_loop():
        _set(waiter.woken)
        return True
    try:
        waiter.loop.call_soon_threadsafe(_set, waiter.woken)
    except RuntimeError:
        return False
    return True


def _set(future: asyncio.Future) -> None:
    if not future.done():
        future.set_result(None)


_process_limiters: weakref.WeakValueDictionary[str, ProcessLimiter] = weakref.WeakValueDictionary()
_process_limiters_lock = threading.Lock()


def process_limiter(limits: Limits) -> ProcessLimiter:
    """The one limiter of this process for `limits`, as long as it is in use."""
    with _process_limiters_lock:
        limiter = _process_limiters.get(limits.name)
        if limiter is None:
            limiter = _process_limiters[limits.name] = ProcessLimiter(limits)
        return limiter
