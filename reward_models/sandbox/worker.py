"""The worker's side: imports the tools once, then runs each task in a forked process of its own.

The process that imports never runs a task, and the one that runs a task never runs another: nothing that a task does
to its modules, its files or itself is there for the next one. The parent has the wall clock; it kills the process group.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import shutil
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from reward_models.sandbox import frames
from reward_models.sandbox.lockdown import die_with_parent, lock_down
from reward_models.sandbox.types import TaskStatus

_SETTINGS_BYTES = 1 << 20
MAX_DETAIL = 1000

# Replies that are no TaskStatus: the pool's business.
READY, KILLED, UNAVAILABLE = "ready", "killed", "unavailable"


@dataclass(frozen=True)
class Settings:
    """What the pool tells a worker at its start. `scratch` is an absolute path without symbolic links."""

    parent: int
    scratch: str
    environment: dict[str, str]
    preload: list[str]
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    request_bytes: int
    response_bytes: int


def main(channel_fd: int) -> None:
    """Serve tasks until the pool closes the channel."""
    channel = socket.socket(fileno=channel_fd)
    settings = Settings(**json.loads(frames.receive(channel, _SETTINGS_BYTES)))
    die_with_parent(settings.parent)
    os.environ.clear()
    os.environ.update(settings.environment)
    try:
        for module in settings.preload:
            importlib.import_module(module)
    except Exception as error:
        frames.send(channel, _reply(UNAVAILABLE, f"{type(error).__name__}: {error}"))
        return
    gc.freeze()
    frames.send(channel, _reply(READY, ""))
    try:
        while True:
            request = json.loads(frames.receive(channel, settings.request_bytes))
            frames.send(channel, _answer(request, channel, settings))
    except EOFError:
        return


def _answer(request: dict[str, Any], channel: socket.socket, settings: Settings) -> bytes:
    """The reply to one request, made in a forked process; EOFError where the pool is gone meanwhile."""
    job = _load(request["job"])
    folder = os.path.join(settings.scratch, "task")
    os.mkdir(folder)
    own_pid = os.getpid()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        channel.close()
        os.close(read_end)
        _run_task(job, request["payload"], write_end, own_pid, folder, settings)
    os.close(write_end)
    # Where this raises, the worker ends, and the kernel kills the task with it.
    reply = _read(read_end, channel, settings.response_bytes)
    os.close(read_end)
    if reply is None:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)
    if reply is None:
        return _reply(TaskStatus.OUTPUT, f"more than {settings.response_bytes} bytes")
    if reply and status == 0:
        return reply
    return _end_without_reply(status, usage.ru_utime + usage.ru_stime >= settings.cpu_seconds)


def _load(job: str) -> Callable[[Any], Any]:
    module, _, name = job.partition(":")
    return getattr(importlib.import_module(module), name)


def _read(results: int, channel: socket.socket, limit: int) -> bytes | None:
    """All that the task writes; None where that is too much."""
    parts, size = [], 0
    while True:
        ready, _, _ = select.select([results, channel], [], [])
        if channel in ready:
            raise EOFError("the pool sends nothing while a task runs: it is gone")
        part = os.read(results, 1 << 16)
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > limit:
            return None
        parts.append(part)


def _end_without_reply(status: int, cpu_used_up: bool) -> bytes:
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by == signal.SIGXCPU or (ended_by == signal.SIGKILL and cpu_used_up):
        return _reply(TaskStatus.CPU, "")
    if ended_by == signal.SIGKILL:
        return _reply(KILLED, "a task's process was killed from outside")
    return _reply(TaskStatus.CRASHED, f"signal {ended_by}" if ended_by else f"exit status {os.WEXITSTATUS(status)}")


def _run_task(
    job: Callable[[Any], Any], payload: Any, results: int, parent: int, folder: str, settings: Settings
) -> NoReturn:
    """In the forked process: lock down, run, write the reply, end. An exit status other than 0 voids the reply."""
    exit_status = 1
    try:
        die_with_parent(parent)
        os.chdir(folder)
        random.seed(0)  # so that two workers draw alike
        reply = _locked_down(job, payload, folder, settings)
        with os.fdopen(results, "wb") as file:
            file.write(reply)
        exit_status = 0
    finally:
        os._exit(exit_status)


def _locked_down(job: Callable[[Any], Any], payload: Any, folder: str, settings: Settings) -> bytes:
    try:
        lock_down(folder, settings.cpu_seconds, settings.memory_bytes, settings.file_bytes)
    except OSError as error:
        return _reply(UNAVAILABLE, str(error))
    try:
        return frames.encode({"status": TaskStatus.OK.value, "value": job(payload)})
    except MemoryError:
        pass
    except Exception as error:
        return _reply(TaskStatus.RAISED, f"{type(error).__name__}: {error}"[:MAX_DETAIL])
    # Out of the handler, where the traceback no longer holds the memory.
    gc.collect()
    return _reply(TaskStatus.MEMORY, "")


def _reply(status: TaskStatus | str, detail: str) -> bytes:
    return frames.encode({"status": str(getattr(status, "value", status)), "detail": detail})
