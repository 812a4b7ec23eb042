"""The pool's side of one worker process: start it, give it a task, kill it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

from reward_models.sandbox import frames, seccomp
from reward_models.sandbox.types import SandboxConfig, SandboxUnavailable, TaskStatus
from reward_models.sandbox.worker import KILLED, READY, UNAVAILABLE, Settings

_MB = 1 << 20
_STATUSES = {READY, KILLED, UNAVAILABLE, *(status.value for status in TaskStatus)}
_START = "import sys; sys.path[:] = sys.argv[2:]; from reward_models.sandbox.worker import main; main(int(sys.argv[1]))"


class WorkerDied(Exception):
    """The process ended, or broke the protocol, without being told to."""


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

    def call(self, request: bytes) -> dict[str, Any]:
        """The worker's reply. TimeoutError where the task takes too long (then kill it), WorkerDied,
        SandboxUnavailable where it does not start."""
        if self._process is None:
            self._start()
        try:
            deadline = time.monotonic() + self._config.timeout_seconds
            return self._exchange(request, self._config.response_mb * _MB + 1024, deadline)
        except TimeoutError:
            raise
        except (OSError, EOFError, OverflowError, ValueError, RecursionError) as error:
            raise WorkerDied(f"{type(error).__name__}: {error}") from error

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
        try:
            with self._lock:
                if self._closed:
                    raise SandboxUnavailable("the sandbox is closed")
                self._spawn()
            settings = frames.encode(vars(self._settings()))
            ready = self._exchange(settings, _MB, time.monotonic() + self._config.startup_seconds)
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
            scratch=self._scratch,
            environment=dict(config.environment),
            preload=self._preload,
            cpu_seconds=config.cpu_seconds,
            memory_bytes=config.memory_mb * _MB,
            file_bytes=config.file_mb * _MB,
            request_bytes=config.request_mb * _MB,
            response_bytes=config.response_mb * _MB,
        )

    def _exchange(self, body: bytes, limit: int, deadline: float) -> dict[str, Any]:
        channel = self._channel
        if channel is None:
            raise EOFError("the worker was killed")
        frames.send(channel, body, deadline)
        reply = json.loads(frames.receive(channel, limit, deadline))
        if not isinstance(reply, dict) or reply.get("status") not in _STATUSES:
            raise ValueError("not a reply")
        return reply

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._channel is not None:
            self._channel.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._process = self._channel = self._scratch = None
