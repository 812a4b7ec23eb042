"""How long a task has had: the time since its start, less the time in which it was ready to run and no core was free."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

# How many times the limit may pass on a machine that is too busy, before nothing can be said about the task.
PATIENCE = 10.0


@dataclass(frozen=True)
class TaskClock:
    """The clock of one process, which `limit` seconds of its own time end."""

    pid: int
    limit: float
    start: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def left(self) -> float:
        """Seconds until the limit can be reached at the earliest; <= 0 where it is."""
        return self.limit - (self.elapsed() - waited_for_a_core(self.pid))

    def given_up(self) -> bool:
        """Whether the machine has had PATIENCE times the limit."""
        return self.elapsed() >= PATIENCE * self.limit


def waited_for_a_core(pid: int) -> float:
    """Seconds in which the process was ready to run and did not, by its thread that waited longest.

    The scheduler's figure (/proc/<pid>/schedstat); 0.0 where the kernel does not keep it.
    """
    longest = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                longest = max(longest, int(file.read().split()[1]))
    except (OSError, ValueError, IndexError):
        pass  # a thread ended, or there is no such file: what was read before still holds
    return longest / 1e9
