"""The pool's side of one worker process: start it, give it a task, kill it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

from reward_models.sandbox import frames, seccomp
from reward_models.sandbox.clock import PATIENCE
from reward_models.sandbox.folders import remove_folder
from reward_models.sandbox.lockdown import landlock_version
from reward_models.sandbox.replies import read_reply
from reward_models.sandbox.types import SandboxConfig, SandboxUnavailable, TaskResult, TaskStatus
from reward_models.sandbox.worker import HEADER, KILLED, READY, STARVED, UNAVAILABLE, Settings

logger = logging.getLogger(__name__)

_MB = 1 << 20
_GRACE_SECONDS = 30.0  # for what a worker does besides: a fork, removing a task's files
_START = "import sys; sys.path[:] = sys.argv[2:]; from reward_models.sandbox.worker import main; main(int(sys.argv[1]))"


_NO_LANDLOCK = (
    "this kernel offers no Landlock (Linux 5.13 or later, 'landlock' in /sys/kernel/security/lsm, and a container that "
    "does not forbid it), so the arguments of a call could write and delete files outside of the sandbox"
)


class WorkerDied(Exception):
    """The process ended, broke the protocol or hung, without being told to."""


class TaskKilled(Exception):
    """A task's process was killed from outside; its worker is well."""


class WorkerProcess:
    """One worker, started at its first task and again after each `kill`. One thread gives it tasks."""

    def __init__(self, config: SandboxConfig, preload: Sequence[str]) -> None:
        self._config = config
        self._preload = list(preload)
        self._lock = threading.Lock()  # `close` comes from other threads
        self._closed = False
        self._process: subprocess.Popen | None = None
        self._channel: socket.socket | None = None
        self._scratch: str | None = None

    def call(self, request: bytes) -> TaskResult:
        """What became of the task. WorkerDied (then kill it), TaskKilled, and SandboxUnavailable where the worker does
        not start, the task could not be confined or the machine is too busy for it."""
        if self._process is None:
            self._start()
        try:
            deadline = time.monotonic() + PATIENCE * self._config.timeout_seconds + _GRACE_SECONDS
            body = self._exchange(request, self._config.response_mb * _MB + 1024, deadline)
            from_task, leaving = HEADER.unpack_from(body)
            if leaving:
                self.kill()
            if from_task:
                return read_reply(body[HEADER.size :])
            word = json.loads(body[HEADER.size :])
            status, detail = word["status"], word["detail"]
        except (OSError, EOFError, OverflowError, ValueError, RecursionError, KeyError, struct.error) as error:
            raise WorkerDied(f"{type(error).__name__}: {error}") from error
        if status == KILLED:
            raise TaskKilled(detail)
        if status == STARVED:
            raise SandboxUnavailable(f"no core was free for a task ({detail}): use fewer sandbox workers or more cores")
        if status == UNAVAILABLE:
            raise SandboxUnavailable(detail)
        return TaskResult(TaskStatus(status), detail=detail)

    def kill(self) -> None:
        """End the worker and whatever it runs, and remove its files; does nothing where it does not run."""
        with self._lock:
            self._kill()

    def close(self) -> None:
        """`kill`, and never start again."""
        with self._lock:
            self._closed = True
            self._kill()

    def _start(self) -> None:
        if not seccomp.supported():
            raise SandboxUnavailable("the sandbox needs Linux on x86_64 or aarch64")
        if self._config.require_landlock and landlock_version() == 0:
            raise SandboxUnavailable(f"{_NO_LANDLOCK}; to run all the same, set sandbox.require_landlock=false")
        try:
            with self._lock:
                if self._closed:
                    raise SandboxUnavailable("the sandbox is closed")
                self._spawn()
            settings = frames.encode(vars(self._settings()))
            body = self._exchange(settings, _MB, time.monotonic() + self._config.startup_seconds)
            ready = json.loads(body[HEADER.size :])
        except (OSError, EOFError, OverflowError, ValueError) as error:
            self.kill()
            raise SandboxUnavailable(f"a worker did not start: {type(error).__name__}: {error}") from error
        if ready["status"] != READY:
            self.kill()
            raise SandboxUnavailable(f"a worker cannot import {', '.join(self._preload)}: {ready['detail']}")

    def _spawn(self) -> None:
        self._scratch = os.path.realpath(tempfile.mkdtemp(prefix="sandbox-"))
        self._channel, theirs = socket.socketpair()
        # A fixed hash seed: the order of a set's items would differ from worker to worker.
        environment = {"PYTHONHASHSEED": "0", **self._config.environment}
        path = [entry or os.getcwd() for entry in sys.path]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-c", _START, str(theirs.fileno()), *path],
                env=environment,
                cwd=self._scratch,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def _settings(self) -> Settings:
        config = self._config
        return Settings(
            parent=os.getpid(),
            scratch=self._scratch or "",
            environment=dict(config.environment),
            preload=self._preload,
            timeout_seconds=config.timeout_seconds,
            cpu_seconds=config.cpu_seconds,
            memory_bytes=config.memory_mb * _MB,
            file_bytes=config.file_mb * _MB,
            request_bytes=config.request_mb * _MB,
            response_bytes=config.response_mb * _MB,
        )

    def _exchange(self, body: bytes, limit: int, deadline: float) -> bytes:
        channel = self._channel
        if channel is None:
            raise EOFError("the worker was killed")
        frames.send(channel, body, deadline)
        return frames.receive(channel, limit, deadline)

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._channel is not None:
            self._channel.close()
        if self._scratch is not None and not _removed(self._scratch):
            logger.warning("The sandbox could not remove its folder %s", self._scratch)
        self._process = self._channel = self._scratch = None


def _removed(folder: str) -> bool:
    # A killed task may need a moment to end, and its last system call may still make a file.
    for _ in range(3):
        if remove_folder(folder):
            return True
        time.sleep(0.05)
    return False
