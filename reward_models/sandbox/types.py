"""The values of the sandbox: its limits, and what became of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

from reward_models.options import Options, Range

_OWNER = "sandbox"


class SandboxUnavailable(RuntimeError):
    """The sandbox could not run a task, for a reason that is not the task's: no verdict about it is right."""


class PayloadTooLarge(ValueError):
    """A payload of more than `request_mb` of JSON, or one that is nested too deep to be written as JSON."""


class TaskStatus(str, Enum):
    """How a task ended."""

    OK = "ok"
    TIMEOUT = "timeout"  # wall clock, less the time in which no core was free
    CPU = "cpu_limit"
    MEMORY = "memory_limit"
    OUTPUT = "output_limit"  # the result is too large
    CRASHED = "crashed"  # no result, or not one of a job: os._exit, a signal from native code
    RAISED = "job_raised"  # the job itself raised: not one of the calls it makes


@dataclass(frozen=True)
class TaskResult:
    """`value` is the job's result where `status` is OK, else None; `detail` is for people who read logs."""

    status: TaskStatus
    value: Any = None
    detail: str = ""


@dataclass(frozen=True)
class SandboxConfig(Options, owner=_OWNER):
    """Limits of the sandbox, each for one task but `workers`, `startup_seconds` and `max_waiting`.

    Args:
        workers: processes, and so tasks at the same time; more than there are cores only make each other wait.
        timeout_seconds: wall clock, less the time in which the task was ready to run and no core was free. Where the
            machine has given it too little after `clock.PATIENCE` times as long, nothing is known about the task.
        cpu_seconds: of the process, all threads together.
        memory_mb: address space on top of what the imported modules take.
        file_mb: the largest file that can be written.
        request_mb, response_mb: of JSON.
        startup_seconds: for a worker's start and its imports.
        max_waiting: tasks that wait for a worker; one more is refused (SandboxUnavailable).
        require_landlock: refuse to run where the kernel cannot keep writes inside the scratch folder. Without that,
            arguments alone can delete and write elsewhere: only Python's audit hook is in the way, which does not see
            all (os.open with dir_fd, os.mkfifo, sqlite3.connect, native code).
        environment: the worker's environment variables, all of them.
    """

    workers: Annotated[int, Range(1, 256)] = 2
    timeout_seconds: Annotated[float, Range(0.01, 3600)] = 5.0
    cpu_seconds: Annotated[int, Range(1, 3600)] = 5
    memory_mb: Annotated[int, Range(16, 1 << 20)] = 256
    file_mb: Annotated[int, Range(1, 1024)] = 16
    request_mb: Annotated[int, Range(1, 1024)] = 4
    response_mb: Annotated[int, Range(1, 1024)] = 8
    startup_seconds: Annotated[float, Range(0.1, 3600)] = 60.0
    max_waiting: Annotated[int, Range(1, 1 << 20)] = 4096
    require_landlock: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(item, str) for pair in self.environment.items() for item in pair):
            raise ValueError(f"{_OWNER}: environment={self.environment!r} must map names to texts")
