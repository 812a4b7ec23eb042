"""The same limits for the whole job: one Ray actor has the permits, each process fetches them in batches.

verl runs the reward function in `reward.num_workers` processes, so a limit kept by each would be that many times what
the user set. The actor is named, so that all processes of the job's namespace find the same one, and not detached, so
that it ends with the job, or with the process that made it. Where Ray is not initialised there is one process, with a
limiter of its own.

What one batch costs (about a millisecond) is shared by all calls that wait then, and there is at most one in `TICK_S`.
Where there is no rate to keep, a slot that comes free goes to the next call of the same process, for `_TURN_S` after the
last batch; then it goes back, so that the other processes get their turn. Where no other process waits the turn goes on:
otherwise all slots would stand idle for a batch's time whenever a judge slower than a turn answers many calls at once.
A slot is leased: a process that dies, or asks for none anymore, loses its slots to the others after `lease_s`. Where the
actor itself dies, calls that wait fail and are tried again; the next one makes a new actor, which does not know of
requests still under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from itertools import islice
from typing import Any

from reward_models.llm_client.limits import Limiter, Limits, Permits, process_limiter
from reward_models.ray_job import find_or_make_actor, in_job

TICK_S = 0.005
_TURN_S = 0.5
_ALONE_S = 0.2  # how often a process with all the slots hears whether others wait; well below a turn
_FAREWELL_S = 2.0


class LimiterLostError(RuntimeError):
    """The actor with the permits is gone; another attempt makes a new one."""


def make_limiter(limits: Limits, lease_s: float) -> Limiter:
    """The job's limiter where Ray is initialised, otherwise the process'; for use in the running loop only."""
    if in_job():
        return JobLimiter(limits, lease_s)
    return process_limiter(limits)


class PermitActor:
    """The permits of the job, served first come first served; runs as an asynchronous Ray actor."""

    def __init__(self, limits: Limits, lease_s: float) -> None:
        self._permits = Permits(limits)
        self._lease_s = lease_s
        self._leases: dict[str, deque[float]] = {}  # holder -> when each of its slots runs out, oldest first
        self._gone: set[str] = set()
        self._turn = asyncio.Lock()  # fair: waiters get it in their order
        self._asking = 0
        self._freed = asyncio.Event()

    async def take(self, holder: str, sizes: list[int], returned: tuple[int, int, int]) -> list[float]:
        """Give `returned` back, then wait until a slot is free and take as many as there are, for the first `sizes`.

        None are given after `_ALONE_S` where the holder has slots and nobody else asks for any.
        """
        await self.give_back(holder, returned)
        self._asking += 1
        try:
            async with self._turn:
                return await self._take(holder, sizes)
        finally:
            self._asking -= 1

    async def _take(self, holder: str, sizes: list[int]) -> list[float]:
        tell_at = time.monotonic() + _ALONE_S
        while holder not in self._gone:
            self._freed.clear()
            now = time.monotonic()
            self._end_old_leases(now)
            delays: list[float] = []
            for size in sizes:
                delay = self._permits.take(size)
                if delay is None:
                    break
                delays.append(delay)
            if delays:
                self._lease(holder, now, delays)
                return delays
            wake_at = min(ends[0] for ends in self._leases.values())
            if holder in self._leases and self._asking == 1:
                if tell_at <= now:
                    self._lease(holder, now, [])
                    return []
                wake_at = min(wake_at, tell_at)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._freed.wait(), max(0.01, wake_at - now))
        return []

    def _lease(self, holder: str, now: float, delays: list[float]) -> None:
        """Lease these slots, and anew what the holder has: it lives, and may have handed its slots on since."""
        held = (max(end, now + self._lease_s) for end in self._leases.get(holder, ()))
        self._leases[holder] = deque(sorted([*held, *(now + self._lease_s + delay for delay in delays)]))

    async def give_back(self, holder: str, returned: tuple[int, int, int]) -> None:
        slots, unused_tokens, unused_requests = returned
        ends = self._leases.get(holder, deque())
        held = min(slots, len(ends))  # the others ran out
        for _ in range(held):
            ends.popleft()
        if not ends:
            self._leases.pop(holder, None)
        self._permits.give_back(held, unused_tokens, unused_requests)
        self._freed.set()

    async def forget(self, holder: str) -> None:
        """The holder is closing: its slots are free, and what it still asks for is not granted."""
        self._gone.add(holder)
        await self.give_back(holder, (len(self._leases.get(holder, ())), 0, 0))

    def _end_old_leases(self, now: float) -> None:
        for holder, ends in list(self._leases.items()):
            while ends and ends[0] <= now:
                ends.popleft()
                self._permits.give_back(1, 0, 0)
            if not ends:
                del self._leases[holder]


class JobLimiter:
    """What one event loop has of the job's permits: it takes only what is waited for and returns what is done with."""

    def __init__(self, limits: Limits, lease_s: float) -> None:
        self._limits = limits
        self._lease_s = lease_s
        self._holder = uuid.uuid4().hex
        self._loop = asyncio.get_running_loop()
        self._actor: Any = None
        self._waiting: deque[tuple[int, asyncio.Future]] = deque()
        self._rated = limits.requests_per_minute is not None or limits.tokens_per_minute is not None
        self._turn_ends = 0.0
        self._returned = (0, 0, 0)
        self._fetching: asyncio.Task | None = None
        self._returning: asyncio.TimerHandle | None = None

    async def enter(self, tokens: int, timeout_s: float) -> float | None:
        granted = self._loop.create_future()
        self._waiting.append((tokens, granted))
        if self._fetching is None or self._fetching.done():
            self._fetching = self._loop.create_task(self._fetch())
        # What comes for it afterwards goes to the next or back.
        out_of_time = self._loop.call_later(timeout_s, _settle, granted, None)
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and not granted.exception() and granted.result() is not None:
                self.leave(tokens, 1)
            raise
        finally:
            out_of_time.cancel()

    def leave(self, unused_tokens: int = 0, unused_requests: int = 0) -> None:
        if not self._rated and time.monotonic() < self._turn_ends and (waiter := self._next_waiting()):
            waiter[1].set_result(0.0)
        else:
            self._give_back(1, unused_tokens, unused_requests)

    async def aclose(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        if self._actor is not None:
            with contextlib.suppress(Exception):  # it may be gone, which is as good
                await asyncio.wait_for(_wrap(self._actor.forget.remote(self._holder)), _FAREWELL_S)
            self._actor = None

    async def _fetch(self) -> None:
        """Fetch permits until nobody waits for one."""
        try:
            while self._waiting:
                if self._actor is None:
                    self._actor = find_or_make_actor(self._limits.name, PermitActor, self._limits, self._lease_s)
                sizes = [tokens for tokens, _ in islice(self._waiting, self._limits.max_concurrency)]
                returned, self._returned = self._returned, (0, 0, 0)
                delays = await self._actor.take.remote(self._holder, sizes, returned)
                self._turn_ends = time.monotonic() + _TURN_S  # also where it got none: then nobody else waits
                for size, delay in zip(sizes, delays, strict=False):
                    waiter = self._next_waiting()
                    if waiter is None:  # cancelled, out of time, or served meanwhile
                        self._give_back(1, size, 1)
                        continue
                    waiter[1].set_result(delay)
                    if waiter[0] != size:
                        self._give_back(0, size - waiter[0], 0)
                await asyncio.sleep(TICK_S)
        except Exception as error:
            self._actor = None
            lost = LimiterLostError(f"the job's limiter cannot be reached: {type(error).__name__}")
            while waiter := self._next_waiting():
                waiter[1].set_exception(lost)

    def _next_waiting(self) -> tuple[int, asyncio.Future] | None:
        """Who has waited longest, of those that still do."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter[1].done():
                return waiter
        return None

    def _give_back(self, slots: int, tokens: int, requests: int) -> None:
        before = self._returned
        self._returned = (before[0] + slots, before[1] + tokens, before[2] + requests)
        if self._returning is None:
            self._returning = self._loop.call_later(TICK_S, self._send_back)

    def _send_back(self) -> None:
        self._returning = None
        returned, self._returned = self._returned, (0, 0, 0)
        if self._actor is not None and returned != (0, 0, 0):  # otherwise `take` had them, or nobody knows of them
            self._actor.give_back.remote(self._holder, returned)


def _settle(future: asyncio.Future, result: float | None) -> None:
    if not future.done():
        future.set_result(result)


async def _wrap(awaitable: Any) -> Any:
    return await awaitable
