"""Serve a checkpoint by vLLM for the time of an evaluation: start, wait for health, end in any case."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from awpo_ext.evaluate.errors import EndpointLost, EvalError

NAME = "checkpoint"
_PR_SET_PDEATHSIG = 1
_END_S = 20.0
_TAIL = 3000
_CPU_DEFAULTS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_HOST_IP": "127.0.0.1", "TOKENIZERS_PARALLELISM": "false"}
# On a CPU, vLLM 0.28 dies where it cuts a prompt into chunks and the request has a seed ("CPU Generator does not use offset").
_CPU_ARGUMENTS = ("--no-enable-chunked-prefill",)


@contextlib.contextmanager
def served(folder: Path, arguments: Sequence[str], log: Path, start_s: float) -> Iterator[str]:
    """The base URL of a server for `folder`, whose model is called NAME. `arguments` go to `vllm serve`; its output to `log`.

    EvalError, with the end of the log, where it ends or is not up within `start_s`; an EndpointLost of the context's
    names the log where the server has ended. The server and what it started
    end with this context; where this process is killed, the kernel ends the server.
    """
    port = _free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(folder)]
    command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port)]
    command += [*(() if _has_gpu() else _CPU_ARGUMENTS), *arguments]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(open(log, "wb"))
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()),
        )
        stack.callback(_end, process)
        _wait(process, f"http://127.0.0.1:{port}/health", log, start_s)
        try:
            yield f"http://127.0.0.1:{port}/v1"
        except EndpointLost as lost:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(_END_S)
                raise EndpointLost(f"{lost}. vLLM ended by itself with {code}: {log} says why") from None
            raise


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    if not _has_gpu():
        for key, value in _CPU_DEFAULTS.items():
            environment.setdefault(key, value)
    return environment


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_with(parent: int):
    """In the child: SIGTERM when the evaluation dies, on which vLLM ends its own processes."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _wait(process: subprocess.Popen, url: str, log: Path, start_s: float) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EvalError(f"vLLM ended with {process.returncode} before it was up; the end of {log}:\n{_tail(log)}")
        with contextlib.suppress(urllib.error.URLError, OSError), opener.open(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(1.0)
    raise EvalError(f"vLLM was not up within {start_s:.0f} s (--start-timeout); the end of {log}:\n{_tail(log)}")


def _end(process: subprocess.Popen) -> None:
    """SIGTERM for the server, then SIGKILL for its whole process group, which is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        return log.read_bytes()[-_TAIL:].decode("utf-8", "replace")
    return ""
