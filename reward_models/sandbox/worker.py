"""The worker's side: imports the tools once, then runs each task in a forked process of its own.

The process that imports never runs a task, and the one that runs a task never runs another: nothing that a task does
to its modules, its files or itself is there for the next one. The worker ends a task that takes too long; the parent
ends a worker that does not answer.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from reward_models.sandbox import frames
from reward_models.sandbox.clock import TaskClock
from reward_models.sandbox.folders import remove_folder
from reward_models.sandbox.lockdown import die_with_parent, lock_down
from reward_models.sandbox.types import TaskStatus

_SETTINGS_BYTES = 1 << 20
MAX_DETAIL = 1000
_EXIT_SECONDS = 1.0  # from a task's last word to its end

# Before every reply: whether a task wrote it, and whether the worker must be replaced.
HEADER = struct.Struct("??")
# Replies of the worker's own that are no TaskStatus: the pool's business.
READY, KILLED, STARVED, UNAVAILABLE = "ready", "killed", "starved", "unavailable"


@dataclass(frozen=True)
class Settings:
    """What the pool tells a worker at its start. `scratch` is an absolute path without symbolic links."""

    parent: int
    scratch: str
    environment: dict[str, str]
    preload: list[str]
    timeout_seconds: float
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    request_bytes: int
    response_bytes: int


def main(channel_fd: int) -> None:
    """Serve tasks until the pool closes the channel, or the worker is no longer fit for one."""
    channel = socket.socket(fileno=channel_fd)
    settings = Settings(**json.loads(frames.receive(channel, _SETTINGS_BYTES)))
    die_with_parent(settings.parent)
    os.environ.clear()
    os.environ.update(settings.environment)
    try:
        for module in settings.preload:
            importlib.import_module(module)
    except Exception as error:
        frames.send(channel, HEADER.pack(False, True) + _word(UNAVAILABLE, f"{type(error).__name__}: {error}"))
        return
    gc.freeze()
    frames.send(channel, HEADER.pack(False, False) + _word(READY, ""))
    try:
        fit = True
        while fit:
            request = json.loads(frames.receive(channel, settings.request_bytes))
            fit = _serve(request, channel, settings)
    except EOFError:
        return


def _serve(request: dict[str, Any], channel: socket.socket, settings: Settings) -> bool:
    """Run one request's task and reply; whether the worker is fit for another. EOFError where the pool is gone."""
    job = _load(request["job"])
    folder = tempfile.mkdtemp(prefix="task-", dir=settings.scratch)
    task = _start(job, request["payload"], folder, channel, settings)
    # Where this raises, the worker ends, and the kernel kills the task with it.
    written, own_word = _follow(task, channel, settings)
    clean = remove_folder(folder)
    frames.send(channel, HEADER.pack(own_word is None, not clean) + (written if own_word is None else own_word))
    return clean


@dataclass(frozen=True)
class _Task:
    """A running task. `results` is where it writes its reply, `refusal` where it says why it could not be confined."""

    pid: int
    results: int
    refusal: int


def _start(job: Callable[[Any], Any], payload: Any, folder: str, channel: socket.socket, settings: Settings) -> _Task:
    own_pid = os.getpid()
    (results, write_results), (refusal, write_refusal) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        channel.close()
        os.close(results)
        os.close(refusal)
        _run_task(job, payload, write_results, write_refusal, own_pid, folder, settings)
    os.close(write_results)
    os.close(write_refusal)
    return _Task(pid, results, refusal)


def _follow(task: _Task, channel: socket.socket, settings: Settings) -> tuple[bytes, bytes | None]:
    """See a task to its end: what it wrote, and the worker's own word where that is not a reply."""
    with os.fdopen(task.refusal, "rb") as file:
        refused = file.read().decode(errors="replace")  # until the task is confined
    clock = TaskClock(task.pid, settings.timeout_seconds)
    written = _read(task.results, channel, clock, settings.response_bytes)
    os.close(task.results)
    elapsed = clock.elapsed()
    if isinstance(written, str):
        os.kill(task.pid, signal.SIGKILL)
    status, used = _reap(task.pid)
    if refused:
        return b"", _word(UNAVAILABLE, refused)
    if written == STARVED:
        return b"", _word(STARVED, f"{used:.1f} s of CPU in {elapsed:.0f} s")
    if isinstance(written, str):
        return b"", _word(written, f"after {elapsed:.1f} s, with {used:.1f} s of CPU")
    if written and status == 0:
        return written, None
    return b"", _end_without_reply(status, used >= settings.cpu_seconds)


def _load(job: str) -> Callable[[Any], Any]:
    module, _, name = job.partition(":")
    return getattr(importlib.import_module(module), name)


def _read(results: int, channel: socket.socket, clock: TaskClock, limit: int) -> bytes | str:
    """All that the task writes until it ends, or why it must be ended: OUTPUT, TIMEOUT or STARVED."""
    parts, size = list[bytes](), 0
    sources: list[Any] = [results, channel]
    deadline = clock.start + clock.limit
    while True:
        ready, _, _ = select.select(sources, [], [], max(0.0, deadline - time.monotonic()))
        if channel in ready:
            raise EOFError("the pool sends nothing while a task runs: it is gone")
        if results in ready:
            part = os.read(results, 1 << 16)
            if not part:
                return b"".join(parts)
            size += len(part)
            if size > limit:
                return TaskStatus.OUTPUT.value
            parts.append(part)
        elif (left := clock.left()) <= 0:
            return TaskStatus.TIMEOUT.value
        else:
            deadline = time.monotonic() + max(left, 0.01)
        if clock.given_up():
            return STARVED if clock.left() > 0 else TaskStatus.TIMEOUT.value


def _reap(pid: int) -> tuple[int, float]:
    """Exit status and CPU seconds of a task that has closed its pipe, or was killed: it is about to end."""
    end = time.monotonic() + _EXIT_SECONDS
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage.ru_utime + usage.ru_stime
        if time.monotonic() > end:  # it closed the pipe and goes on
            os.kill(pid, signal.SIGKILL)
            os.wait4(pid, 0)
            return 1 << 8, 0.0
        time.sleep(0.0002)


def _end_without_reply(status: int, cpu_used_up: bool) -> bytes:
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by == signal.SIGXCPU or (ended_by == signal.SIGKILL and cpu_used_up):
        return _word(TaskStatus.CPU, "")
    if ended_by == signal.SIGKILL:
        return _word(KILLED, "a task's process was killed from outside")
    return _word(TaskStatus.CRASHED, f"signal {ended_by}" if ended_by else f"exit status {os.WEXITSTATUS(status)}")


def _run_task(
    job: Callable[[Any], Any],
    payload: Any,
    results: int,
    refusal: int,
    parent: int,
    folder: str,
    settings: Settings,
) -> NoReturn:
    """In the forked process: lock down, run, write the reply, end. An exit status other than 0 voids the reply."""
    exit_status = 1
    try:
        die_with_parent(parent)
        os.chdir(folder)
        random.seed(0)  # so that two workers draw alike
        try:
            lock_down(folder, settings.cpu_seconds, settings.memory_bytes, settings.file_bytes)
        except OSError as error:
            os.write(refusal, str(error).encode()[:MAX_DETAIL])
            os._exit(1)
        os.close(refusal)
        left = memoryview(_reply(job, payload))
        while left:
            left = left[os.write(results, left) :]
        exit_status = 0
    finally:
        os._exit(exit_status)


def _reply(job: Callable[[Any], Any], payload: Any) -> bytes:
    try:
        return frames.encode({"status": TaskStatus.OK.value, "value": job(payload)})
    except MemoryError:
        pass
    except Exception as error:
        return _word(TaskStatus.RAISED, f"{type(error).__name__}: {error}"[:MAX_DETAIL])
    # Out of the handler, where the traceback no longer holds the memory.
    gc.collect()
    return _word(TaskStatus.MEMORY, "")


def _word(status: TaskStatus | str, detail: str) -> bytes:
    return frames.encode({"status": str(getattr(status, "value", status)), "detail": detail})
