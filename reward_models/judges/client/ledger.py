"""Where the tokens, the money and the time of a judge went: one JSON line a call, and running totals for the logger.

Each line is one appending write of less than a page, so the processes of a job may share the file (on a local disk).
No prompt, no answer and no key is written. A file that cannot be written is said once and costs no call; a line not
written is still in the totals.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from reward_models.judges.client.failures import KINDS

logger = logging.getLogger(__name__)

ANSWER, CANCELLED = "answer", "cancelled"
_NO_ANSWER = ("timeout", "refused", "rate_limited", "bad_verdict", "budget", "load_failed", "error", CANCELLED)
_SAMPLES = 4096


@dataclass(frozen=True)
class Entry:
    """One call of `ask`. Its sums are what this call caused: an answer from the cache, or shared, costs nothing.

    result: "answer", the reason of the Unscored, or "cancelled".
    source: "server", "cache" (the disk) or "shared" (an equal request was under way).
    attempts: requests sent; `failures` counts those that failed by kind. Tokens of failed attempts are known, and
        counted, only where the server told them.
    usage_known: whether the server told the tokens of the answer.
    """

    result: str
    source: str
    endpoint: str = ""
    attempts: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_known: bool = True
    cost: float = 0.0
    latency_s: float = 0.0
    queue_s: float = 0.0


class Totals:
    """Running sums over entries; percentiles over the last 4096 answers of a server. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=_SAMPLES)
        self._queues: deque[float] = deque(maxlen=_SAMPLES)

    def add(self, entry: Entry) -> None:
        with self._lock:
            sums = self._sums
            sums["calls"] += 1
            sums["answers" if entry.result == ANSWER else f"unscored_{entry.result}"] += 1
            sums["cache_hits"] += entry.source == "cache"
            sums["shared"] += entry.source == "shared"
            sums["attempts"] += entry.attempts
            sums["prompt_tokens"] += entry.prompt_tokens
            sums["completion_tokens"] += entry.completion_tokens
            sums["answers_without_usage"] += not entry.usage_known
            sums["cost"] += entry.cost
            for kind, count in entry.failures.items():
                sums[f"failed_{kind}"] += count
            if entry.result == ANSWER and entry.source == "server":
                self._latencies.append(entry.latency_s)
                self._queues.append(entry.queue_s)

    def summary(self) -> dict[str, float]:
        """The sums so far, all keys always but the percentiles in seconds, which need an answer of a server.

        calls = answers + sum of unscored_*; failed_* count attempts.
        """
        with self._lock:
            found = {key: float(self._sums[key]) for key in _SUMS}
            samples = {"latency": sorted(self._latencies), "queue": sorted(self._queues)}
        for name, values in samples.items():
            if values:
                found[f"{name}_p50_s"] = values[(len(values) - 1) // 2]
                found[f"{name}_p95_s"] = values[(len(values) - 1) * 95 // 100]
        return found


_SUMS = (
    "calls",
    "answers",
    "cache_hits",
    "shared",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "answers_without_usage",
    "cost",
    *(f"unscored_{reason}" for reason in _NO_ANSWER),
    *(f"failed_{kind}" for kind in KINDS),
)


class Ledger:
    """Totals of this process, and the lines of `path` where it is not None."""

    def __init__(self, path: str | os.PathLike[str] | None, model: str) -> None:
        self.totals = Totals()
        self._path = None if path is None else Path(path).expanduser()
        self._model = model
        self._file: int | None = None
        self._off = False
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        self.totals.add(entry)
        if self._path is None or self._off:
            return
        stamp = {"time": round(time.time(), 3), "pid": os.getpid(), "model": self._model}
        line = json.dumps({**stamp, **asdict(entry)}).encode() + b"\n"
        try:
            with self._lock:
                if self._file is None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                os.write(self._file, line)
        except OSError as error:
            self._off = True
            logger.error("The judge's ledger %s cannot be written: %s", self._path, error)

    def close(self) -> None:
        with self._lock, suppress(OSError):
            if self._file is not None:
                os.close(self._file)
            self._file = None
