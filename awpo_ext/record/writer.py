"""Writes a record while a run goes on: in a thread of its own, behind a bounded queue.

Nothing here stops or delays training. What goes wrong (a full disk, a second writer, a defect of ours) ends the recording
with one line in the log; where the disk is too slow, parts are left out and counted.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from awpo_ext.record.options import RecordOptions
from awpo_ext.record.parts import HALF_WRITTEN, PartInfo, PartKey, key_of, write_part
from awpo_ext.record.run_info import Secrets, write_run
from awpo_ext.record.schema import TABLES, RecordError

logger = logging.getLogger(__name__)

Rows = tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]  # rollouts, groups
WAITING = 8  # parts in the queue: each holds a batch's texts
REPLACED = "replaced"


class RecordWriter:
    """One run's record. `off` says that nothing is recorded any more."""

    def __init__(self, folder: Path, options: RecordOptions, secrets: Secrets | None = None) -> None:
        self.folder, self.options = folder, options
        self.secrets = secrets or Secrets()
        self.off = False
        self.left_out = 0
        self._attempt = 0
        self._lock: int | None = None
        self._bytes = 0
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def start(self, start: Mapping[str, Any], name: str, config: Mapping[str, Any]) -> None:
        """Take the folder, put parts of steps after `start["step"]` aside, and begin to write."""
        with self._guarded():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _take(self.folder / "writer.lock")
            self._attempt = write_run(self.folder, start, name, config, self.secrets)
            self._put_aside(start["step"])
            self._bytes = sum(file.stat().st_size for file in self._files())
            self._thread = threading.Thread(target=self._work, name="awpo-record", daemon=True)
            self._thread.start()

    def put_part(
        self,
        key: PartKey,
        reliability: Mapping[str, float] | None,
        rows: Callable[[], Rows],
        changed: Mapping[str, Any] = {},
    ) -> None:
        """Record one update, or one batch of a validation; `rows` is called in the thread, the others: see `PartInfo`."""
        self._put(lambda: self._write(key, PartInfo(self._attempt, reliability, changed=changed), rows))

    def put_metrics(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Record a step's metrics, those that are numbers."""
        numbers = {name: float(value) for name, value in metrics.items() if _is_number(value)}
        line = json.dumps({"step": step, "time": round(time.time(), 3), "metrics": numbers})
        self._put(lambda: self._append(line))

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all that was put is written, but no longer than that."""
        if self.off or self._thread is None:
            return
        done, deadline, waiting = threading.Event(), time.monotonic() + timeout_s, True
        while not (done.is_set() or self.off) and time.monotonic() < deadline:
            if waiting:
                with suppress(queue.Full):
                    self._jobs.put(done.set, timeout=0.1)
                    waiting = False
            done.wait(0.1)

    def close(self, timeout_s: float = 60.0) -> None:
        """`flush`, and let the folder go."""
        self.flush(timeout_s)
        if self.left_out:
            logger.warning(
                "awpo-ext: %d parts are not in the record %s: the disk was too slow", self.left_out, self.folder
            )
        self._end()

    def fail(self, error: BaseException) -> None:
        """End the recording, with one line."""
        if not self.off:
            logger.error(
                "awpo-ext: THE RUN IS NO LONGER RECORDED in %s (%s: %s). Training goes on. Without a record: "
                "+algorithm.awpo.record.enable=false",
                self.folder,
                type(error).__name__,
                self.secrets.hide(str(error)),
            )
        self._end()

    def _end(self) -> None:
        self.off = True
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        with suppress(queue.Full):
            self._jobs.put_nowait(None)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever is raised inside ends the recording."""
        try:
            yield
        except Exception as error:
            self.fail(error)

    def _put(self, job: Callable[[], None]) -> None:
        if self.off or self._thread is None:
            return
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.left_out += 1
            if self.left_out == 1:
                logger.error("awpo-ext: the disk of the record %s is too slow: parts are left out", self.folder)

    def _work(self) -> None:
        while not self.off:
            job = self._jobs.get()
            if job is not None:
                with self._guarded():
                    job()

    def _write(self, key: PartKey, info: PartInfo, rows: Callable[[], Rows]) -> None:
        self._bytes += write_part(self.folder, key, info, *rows())
        if self._bytes > self.options.max_gb * 1e9 or self.options.max_days is not None:
            self._remove_oldest(keep=key)

    def _append(self, line: str) -> None:
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _files(self) -> list[Path]:
        places = [self.folder / REPLACED / table for table in TABLES] + [self.folder / table for table in TABLES]
        return [file for place in places for file in place.glob("step_*.parquet")]

    def _remove_oldest(self, keep: PartKey) -> None:
        """What was put aside first, then the lowest steps, until the record is within its limits."""
        found = [(file.parent.parent == self.folder, key_of(file), file, file.stat()) for file in self._files()]
        self._bytes = sum(item[3].st_size for item in found)
        found = sorted((item for item in found if item[1] and item[1] != keep), key=lambda item: item[:2])
        too_old = -float("inf") if self.options.max_days is None else time.time() - 86400 * self.options.max_days
        for _, _, file, stat in found:
            if self._bytes > self.options.max_gb * 1e9 or stat.st_mtime < too_old:
                file.unlink(missing_ok=True)
                self._bytes -= stat.st_size

    def _put_aside(self, step: int) -> None:
        """The run goes on from `step`: what an earlier attempt did after it is done again, and must not count twice."""
        for table in TABLES:
            for file in list((self.folder / table).glob("*")):
                key = key_of(file)
                if key is None and file.name.endswith(HALF_WRITTEN):
                    file.unlink(missing_ok=True)
                elif key is not None and key.step > step:
                    (self.folder / REPLACED / table).mkdir(parents=True, exist_ok=True)
                    os.replace(file, self.folder / REPLACED / table / file.name)
        metrics = self.folder / "metrics.jsonl"
        if metrics.exists():
            kept = [line for line in metrics.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            half = metrics.with_name(f"metrics.jsonl.{os.getpid()}{HALF_WRITTEN}")
            half.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
            os.replace(half, metrics)


def _take(file: Path) -> int:
    """Lock the folder for this process; the system lets go where the process ends, however it does."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise RecordError("another run writes there; give each run a folder of its own") from None
    except OSError:  # a file system without locks
        pass
    return handle


def _step_of(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes | bool) or value is None:
        return False
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return number == number and abs(number) != float("inf")
