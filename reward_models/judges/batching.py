"""Gather concurrent submissions of one event loop into few calls of a blocking function in a worker thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class MicroBatcher(Generic[Item, Result]):
    """Calls `run(items)` once for all that was submitted within a window.

    The window opens with the first submission and lasts `window_s` seconds, or until `max_items` items wait. One
    submission is never split, so a batch may exceed `max_items`. An exception of `run`, or a result of the wrong
    length, reaches every submitter of that batch. Belongs to one event loop; the executor may be shared.
    """

    def __init__(
        self, run: Callable[[list[Item]], Sequence[Result]], executor: Executor, window_s: float, max_items: int
    ) -> None:
        self._run = run
        self._executor = executor
        self._window_s = window_s
        self._max_items = max_items
        self._waiting: list[tuple[Sequence[Item], asyncio.Future]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Future] = set()

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of `items`, in order; [] at once for none."""
        if not items:
            return []
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._waiting.append((items, answer))
        if sum(len(waiting) for waiting, _ in self._waiting) >= self._max_items:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._window_s, self._flush)
        return await answer

    async def drain(self) -> None:
        """Run what waits now, and return when all batches are done."""
        self._flush()
        if self._running:
            await asyncio.wait(set(self._running))

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # A submitter that was cancelled while it waited wants nothing any more.
        batch = [(items, answer) for items, answer in self._waiting if not answer.done()]
        self._waiting = []
        if not batch:
            return
        flat = [item for items, _ in batch for item in items]
        try:
            running = asyncio.get_running_loop().run_in_executor(self._executor, self._run, flat)
        except RuntimeError as error:  # the executor was shut down
            _fail(batch, error)
            return
        self._running.add(running)
        running.add_done_callback(lambda done: self._deliver(batch, len(flat), done))

    def _deliver(self, batch: list[tuple[Sequence[Item], asyncio.Future]], expected: int, done: asyncio.Future) -> None:
        self._running.discard(done)
        if done.cancelled():
            _fail(batch, RuntimeError("the batch was cancelled"))
        elif (error := done.exception()) is not None:
            _fail(batch, error)
        elif len(done.result()) != expected:
            _fail(batch, RuntimeError(f"a batch of {expected} items gave {len(done.result())} results"))
        else:
            results, start = done.result(), 0
            for items, answer in batch:
                if not answer.done():
                    answer.set_result(list(results[start : start + len(items)]))
                start += len(items)


def _fail(batch: Sequence[tuple[object, asyncio.Future]], error: BaseException) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
