"""What calls of the judge's client came to, and their running sums. The ledger writes them, `job_steps` gathers them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reward_models.llm_client.failures import KINDS

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


@dataclass(frozen=True)
class Report:
    """What a `Totals` held when it was drained, as it travels between processes."""

    sums: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    queues: list[float] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sums)


class Totals:
    """Running sums over entries; percentiles over the last 4096 answers of a server. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=_SAMPLES)
        self._queues: deque[float] = deque(maxlen=_SAMPLES)

    def add(self, entry: Entry) -> None:
        with self._lock:
            sums: Any = self._sums  # the cost is not a whole number
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

    def drain(self) -> Report:
        """What was added since the last time; the sums start at zero again."""
        with self._lock:
            report = Report(dict(self._sums), list(self._latencies), list(self._queues))
            for part in (self._sums, self._latencies, self._queues):
                part.clear()
        return report

    def merge(self, report: Report) -> None:
        """Add what another `Totals` had."""
        with self._lock:
            self._sums.update(report.sums)
            self._latencies.extend(report.latencies)
            self._queues.extend(report.queues)

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
