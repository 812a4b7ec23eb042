"""A pool of worker processes that run jobs on untrusted arguments; see the package's docstring for what holds them."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import queue
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from reward_models.sandbox import frames
from reward_models.sandbox.lockdown import landlock_version
from reward_models.sandbox.process import TaskKilled, WorkerDied, WorkerProcess
from reward_models.sandbox.types import PayloadTooLarge, SandboxConfig, SandboxUnavailable, TaskResult

logger = logging.getLogger(__name__)

_ATTEMPTS = 2


class Sandbox:
    """Runs jobs in worker processes, which start at the first one.

    Each worker is served by a thread of its own, so a sandbox belongs to no event loop. `preload` names modules that
    the workers import once, outside of the limits: the tools, which are trusted code. Closed by `close`, when it is
    collected, and at the interpreter's exit; the workers also end when this process is killed.
    """

    def __init__(self, config: SandboxConfig | None = None, preload: Sequence[str] = ()) -> None:
        self.config = config or SandboxConfig()
        self._owner = os.getpid()
        self._tasks: queue.Queue[_Task | None] = queue.Queue(self.config.max_waiting)
        self._workers = [WorkerProcess(self.config, preload) for _ in range(self.config.workers)]
        self._threads_started = False
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _stop, self._tasks, self._workers)

    async def run(self, job: str, payload: Any) -> TaskResult:
        """Run the job; the event loop is free meanwhile. See `submit`."""
        return await asyncio.wrap_future(self.submit(job, payload))

    def submit(self, job: str, payload: Any) -> Future[TaskResult]:
        """Run `job`, a function "package.module:name" of one JSON value that returns another, on `payload`.

        `job` is the caller's, never a response's. What the task does is in the result. The future raises
        SandboxUnavailable where a worker does not start, cannot be locked down, or was killed from outside twice, and
        this function where the queue is full or the process is a fork of the one that made the sandbox. ValueError for
        a payload that is not JSON, PayloadTooLarge for one that is too large or too deep.
        """
        if os.getpid() != self._owner:
            raise SandboxUnavailable("this sandbox was made before a fork; make one in each process")
        try:
            request = frames.encode({"job": job, "payload": payload})
        except RecursionError:
            raise PayloadTooLarge("the payload is nested too deep") from None
        if len(request) > self.config.request_mb << 20:
            raise PayloadTooLarge(
                f"the payload has {len(request)} bytes of JSON; raise request_mb={self.config.request_mb}"
            )
        task = _Task(request)
        with self._lock:
            if not self._finalizer.alive:
                raise SandboxUnavailable("the sandbox is closed")
            self._start_threads()
            try:
                self._tasks.put_nowait(task)
            except queue.Full:
                raise SandboxUnavailable(f"max_waiting={self.config.max_waiting} tasks wait already") from None
        return task.future

    def close(self) -> None:
        """Kill the workers; tasks that run or wait end with SandboxUnavailable."""
        with self._lock:
            self._finalizer()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_threads(self) -> None:
        if self._threads_started:
            return
        self._threads_started = True
        _warn(self.config.workers, self.config.require_landlock)
        for worker in self._workers:
            # Daemons, and functions without a reference to the sandbox: neither keeps it alive.
            threading.Thread(target=_serve, args=(self._tasks, worker), name="sandbox", daemon=True).start()


@functools.cache
def _warn(workers: int, require_landlock: bool) -> None:
    """Say once what makes the sandbox slow or weak on this machine."""
    cores = len(os.sched_getaffinity(0))
    if workers > cores:
        logger.warning(
            "A sandbox of %d workers on %d cores: tasks will wait for each other; set sandbox.workers to at most %d",
            *(workers, cores, cores),
        )
    if not require_landlock and landlock_version() == 0:
        logger.warning(
            "This kernel has no Landlock and sandbox.require_landlock=false: the arguments of a tool's call can write "
            "and delete files outside of the sandbox, as this user may"
        )


class _Task:
    def __init__(self, request: bytes) -> None:
        self.request = request
        self.future: Future[TaskResult] = Future()


def _serve(tasks: queue.Queue[_Task | None], worker: WorkerProcess) -> None:
    while (task := tasks.get()) is not None:
        if not task.future.set_running_or_notify_cancel():
            continue
        try:
            result = _run(worker, task.request)
        except SandboxUnavailable as error:
            task.future.set_exception(error)
        except Exception as error:  # a fault of the sandbox: it must neither pass for the caller's nor end this thread
            worker.kill()
            task.future.set_exception(SandboxUnavailable(f"{type(error).__name__}: {error}"))
        else:
            task.future.set_result(result)
        del task  # or its result lives until the next one
    tasks.put(None)  # for the next thread


def _run(worker: WorkerProcess, request: bytes) -> TaskResult:
    for _ in range(_ATTEMPTS):
        try:
            return worker.call(request)
        except WorkerDied as error:
            worker.kill()
            reason = str(error)
        except TaskKilled as error:
            reason = str(error)
    raise SandboxUnavailable(f"a task could not be run: {reason}")


def _stop(tasks: queue.Queue[_Task | None], workers: list[WorkerProcess]) -> None:
    for worker in workers:
        worker.close()
    while not tasks.empty():
        try:
            task = tasks.get_nowait()
        except queue.Empty:
            break
        if task is not None and task.future.set_running_or_notify_cancel():
            task.future.set_exception(SandboxUnavailable("the sandbox is closed"))
    tasks.put(None)
