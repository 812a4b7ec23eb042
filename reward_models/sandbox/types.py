"""The values of the sandbox: its limits, and what became of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from reward_models.options import require_number

_OWNER = "sandbox"


class SandboxUnavailable(RuntimeError):
    """The sandbox could not run a task, for a reason that is not the task's: no verdict about it is right."""


class TaskStatus(str, Enum):
    """How a task ended."""

    OK = "ok"
    TIMEOUT = "timeout"  # wall clock
    CPU = "cpu_limit"
    MEMORY = "memory_limit"
    OUTPUT = "output_limit"  # the result is too large
    CRASHED = "crashed"  # the process ended without a result: os._exit, a signal from native code
    RAISED = "job_raised"  # the job itself raised: not one of the calls it makes


@dataclass(frozen=True)
class TaskResult:
    """`value` is the job's result where `status` is OK, else None; `detail` is for people who read logs."""

    status: TaskStatus
    value: Any = None
    detail: str = ""


@dataclass(frozen=True)
class SandboxConfig:
    """Limits of the sandbox, each for one task but `workers`, `startup_seconds` and `max_waiting`.

    Args:
        workers: processes, and so tasks at the same time.
        timeout_seconds: wall clock; the process is killed.
        cpu_seconds: of the process, all threads together.
        memory_mb: address space on top of what the imported modules take.
        file_mb: the largest file that can be written.
        request_mb, response_mb: of JSON.
        startup_seconds: for a worker's start and its imports.
        max_waiting: tasks that wait for a worker; one more is refused (SandboxUnavailable).
        environment: the worker's environment variables, all of them.
    """

    workers: int = 2
    timeout_seconds: float = 5.0
    cpu_seconds: int = 5
    memory_mb: int = 256
    file_mb: int = 16
    request_mb: int = 4
    response_mb: int = 8
    startup_seconds: float = 60.0
    max_waiting: int = 4096
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_number(_OWNER, "workers", self.workers, 1, 256, whole=True)
        require_number(_OWNER, "timeout_seconds", self.timeout_seconds, 0.01, 3600)
        require_number(_OWNER, "cpu_seconds", self.cpu_seconds, 1, 3600, whole=True)
        require_number(_OWNER, "memory_mb", self.memory_mb, 16, 1 << 20, whole=True)
        for key in ("file_mb", "request_mb", "response_mb"):
            require_number(_OWNER, key, getattr(self, key), 1, 1024, whole=True)
        require_number(_OWNER, "startup_seconds", self.startup_seconds, 0.1, 3600)
        require_number(_OWNER, "max_waiting", self.max_waiting, 1, 1 << 20, whole=True)
        if not all(isinstance(item, str) for pair in self.environment.items() for item in pair):
            raise ValueError(f"{_OWNER}: environment={self.environment!r} must map names to texts")
