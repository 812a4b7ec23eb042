"""Files that only their owner may read (0600): they hold what a run said and was told."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

_LOOK_S = 0.01


def private_fd(path: Path) -> int:
    """A descriptor that appends to the file, which is made where there is none; OSError as `os.open`."""
    found = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # another's file, or a file system without modes
        os.fchmod(found, 0o600)
    return found


def open_private(path: Path) -> TextIO:
    """The file as text, to append to."""
    return open(private_fd(path), "a", encoding="utf-8")


@contextmanager
def lock_held(path: Path, wait_s: float) -> Iterator[None]:
    """With the lock that the file stands for; BlockingIOError where another process does not give it up in `wait_s`."""
    with open_private(path) as lock:
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise BlockingIOError(f"{path} is locked by another process") from None
                time.sleep(_LOOK_S)
        yield
