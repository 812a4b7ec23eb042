"""Times several calls in turn, so that a machine whose speed drifts treats all alike. For the benchmarks beside it."""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

M_MMAP_THRESHOLD = -3  # of mallopt, in glibc's malloc.h


def in_turn(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each call in each of `repeats` rounds A B C A B C .., after a round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for counted in [False] + [True] * repeats:
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            elapsed = (time.perf_counter() - started) * 1e3
            if counted:
                times[name].append(elapsed)
    return times


def ratio(times: list[float], base: list[float]) -> float:
    """The median of the ratios round by round."""
    return median(a / b for a, b in zip(times, base, strict=True))


def peak_bytes(call: Callable[[], object]) -> int:
    """What `call` adds to this process's resident memory at its peak (Linux with glibc: the kernel's high-water mark)."""
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 20)  # each tensor from 1 MiB on is mapped, and unmapped when it is freed
    call()  # what stays allocated after a first call is not its peak
    gc.collect()
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
