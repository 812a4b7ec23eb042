"""A bounded pool of processes for heavy verifiers: they never block the event loop, and may die.

One process serves one call at a time, so that a death concerns one call only. A process that dies, or overruns
TIME_LIMIT (a verifier bounds its own time, so this is a hang), is replaced and the call made once more. Where that fails too,
the response was not judged: the outcome is not valid and stands in the middle of the range, because the lowest one
would call a response bad for what the machine did.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier, unjudged

logger = logging.getLogger(__name__)

TIME_LIMIT = 120.0
WORKER_DIED = "worker_died"
WORKER_HUNG = "worker_hung"


class VerifierPool:
    """`size` processes with one verifier each, started when first needed; belongs to the event loop that first uses it."""

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        outcome_range: tuple[float, float],
        size: int,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self._outcome_range = outcome_range
        self._time_limit = time_limit
        # Last in, first out: few calls at a time start few processes.
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for _ in range(size):
            self._idle.put_nowait(_Worker(name, options))

    async def verify_async(self, rollout: Rollout) -> Outcome:
        """The verifier's outcome, or one that is not `valid`. What the verifier raises is raised here."""
        worker = await self._idle.get()
        try:
            for attempt in (1, 2):
                try:
                    return await asyncio.wait_for(asyncio.wrap_future(worker.submit(rollout)), self._time_limit)
                except BrokenProcessPool:
                    failure = WORKER_DIED
                except asyncio.TimeoutError:
                    failure = WORKER_HUNG
                worker.restart()
                logger.warning("A verifier's process failed (%s, attempt %d of 2)", failure, attempt)
            return unjudged(self._outcome_range, failure)
        except asyncio.CancelledError:
            worker.restart()  # it may still be at work on what nobody waits for
            raise
        finally:
            self._idle.put_nowait(worker)


class _Worker:
    """One process, by an executor of size one."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._arguments = (name, dict(options))
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, rollout: Rollout) -> Any:
        if self._executor is None:
            # spawn: a fork of a process with threads (torch, Ray) can deadlock.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(1, context, initializer=_start, initargs=self._arguments)
            self._pid = self._executor.submit(os.getpid)
        return self._executor.submit(_verify, rollout)

    def restart(self) -> None:
        """End the process, whatever it does; the next `submit` starts another."""
        if self._executor is None:
            return
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._pid.done() and not self._pid.cancelled() and self._pid.exception() is None:
            # Not os.kill: the process may be gone, and its id another's.
            for process in multiprocessing.active_children():
                if process.pid == self._pid.result():
                    process.kill()
        self._executor = None


_verifier: Verifier | None = None


def _start(name: str, options: Mapping[str, Any]) -> None:
    from reward_models.verifiers import make_verifier

    global _verifier
    _verifier = make_verifier(name, **options)


def _verify(rollout: Rollout) -> Outcome:
    return _verifier.verify(rollout)
