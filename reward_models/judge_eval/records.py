"""Let a judge score labelled rollouts, and keep each verdict on disk, so that a run that was cut goes on where it was.

The file is append-only JSON lines. A verdict is found again by judge (class and options), row (id and content) and vote,
so a changed judge or a changed row is judged again. One process a file at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reward_models.judges.base import Comparer, Judge
from reward_models.labelled import LabelledRollout
from reward_models.private_files import open_private
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

Advance = Callable[[], None]
_SPENT = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "cost")


@dataclass(frozen=True)
class Record:
    """One verdict with its circumstances.

    task: what was asked: "score", "compare" or "canary".
    latency_s: of the call, waiting for the judge's own queue included.
    session, elapsed_s: which run of the program wrote it, and how long that had judged by then.
    spent: what the judge's ledger had counted in this session by then; {} without one.
    broke: the judge raised, or returned something else than a verdict: its own fault, not its server's.
    """

    key: str
    task: str
    verdict: Verdict
    latency_s: float
    session: str
    elapsed_s: float
    spent: Mapping[str, float]
    broke: bool = False


class VerdictFile:
    """The records of one judge in a file; those of other judges stay there unread."""

    def __init__(self, path: Path, judge: str, *, retry_unscored: bool = False) -> None:
        """ValueError where a line of the file is not one of ours, or another process has it open.

        A last line cut by a kill is dropped.

        retry_unscored: forget verdicts that are Unscored, so that they are asked for again.
        """
        self.judge = judge
        self._path = path
        self._records: dict[str, Record] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_private(path)
        try:
            self._lock()
            self._read(retry_unscored)
        except ValueError:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"{self._path}: another run writes this file; give this one another --name") from None

    def _read(self, retry_unscored: bool) -> None:
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._path, len(whole))  # else the next line would be glued to the half one
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            try:
                row = json.loads(line)
                if row.pop("judge") == self.judge:
                    record = _from_row(row)
                    self._records[record.key] = record
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"{self._path}: line {number} is not a verdict ({error}); remove the file to start over"
                ) from None
        if retry_unscored:
            self._records = {key: item for key, item in self._records.items() if isinstance(item.verdict, Scored)}

    def get(self, key: str) -> Record | None:
        return self._records.get(key)

    def add(self, record: Record) -> None:
        self._records[record.key] = record
        self._file.write(json.dumps({"judge": self.judge, **_to_row(record)}) + "\n")
        self._file.flush()

    def records(self) -> list[Record]:
        return list(self._records.values())

    def close(self) -> None:
        self._file.close()


class Recorder:
    """Puts questions to a judge, so many at a time, and records the verdicts.

    What the judge does wrong (it raises, or does not return a verdict) is an Unscored(error), recorded as its own fault.
    Cancellation passes through, and what was recorded by then stays.
    """

    def __init__(self, judge: Judge, file: VerdictFile, *, concurrency: int = 32) -> None:
        self._judge, self._file = judge, file
        self._slots = asyncio.Semaphore(concurrency)
        self._started = time.monotonic()
        self._session = f"{time.time():.3f}-{os.getpid()}"
        self._before = _spent(judge)

    def missing(self, rows: Sequence[LabelledRollout]) -> int:
        """How many of the rows have no first vote on record."""
        return sum(self._file.get(_key("score", row.id, 0, row.rollout)) is None for row in rows)

    async def score(self, rows: Sequence[LabelledRollout], vote: int, advance: Advance = lambda: None) -> list[Record]:
        """The records of one vote on each row, in order; `advance` is called for each.

        Votes after the first have another `uid`, from which judges that draw at random take their seeds.
        """
        return await _gather(self._score_one(row.id, "score", _vote_of(row, vote), vote, advance) for row in rows)

    async def compare(
        self, pairs: Sequence[tuple[LabelledRollout, LabelledRollout]], advance: Advance = lambda: None
    ) -> list[tuple[Record, Record]]:
        """For each pair the judge's `compare` of (first, second) and of (second, first)."""
        ways = [way for first, second in pairs for way in ((first, second), (second, first))]
        records = await _gather(self._compare_one(first, second, advance) for first, second in ways)
        return list(zip(records[::2], records[1::2], strict=True))

    def canary_judge(self, advance: Advance = lambda: None) -> Judge:
        """The judge, recording: for code that takes a judge and brings its own rollouts."""
        return _Recording(self, advance)

    async def _score_one(self, row: str, task: str, rollout: Rollout, vote: int, advance: Advance) -> Record:
        return await self._ask(_key(task, row, vote, rollout), task, lambda: self._judge.score(rollout), advance)

    async def _compare_one(self, first: LabelledRollout, second: LabelledRollout, advance: Advance) -> Record:
        async def ask() -> Verdict:
            assert isinstance(self._judge, Comparer)
            return await self._judge.compare(first.rollout, second.rollout)

        key = _key("compare", f"{first.id}\0{second.id}", 0, first.rollout, second.rollout)
        return await self._ask(key, "compare", ask, advance)

    async def _ask(self, key: str, task: str, ask: Callable[[], Awaitable[Verdict]], advance: Advance) -> Record:
        found = self._file.get(key)
        if found is None:
            async with self._slots:
                asked, broke = time.monotonic(), False
                try:
                    verdict = await ask()
                    if not isinstance(verdict, Scored | Unscored):
                        raise TypeError(f"a verdict is Scored or Unscored, got {type(verdict).__name__}")
                except Exception as error:
                    # The type alone: what judges raise may hold headers, and so a key.
                    verdict, broke = Unscored(UnscoredReason.ERROR, f"the judge raised {type(error).__name__}"), True
                now = time.monotonic()
            spent = {name: value - self._before.get(name, 0.0) for name, value in _spent(self._judge).items()}
            found = Record(key, task, verdict, now - asked, self._session, now - self._started, spent, broke)
            self._file.add(found)
        advance()
        return found


class _Recording(Judge):
    def __init__(self, recorder: Recorder, advance: Advance) -> None:
        self._recorder, self._advance = recorder, advance

    async def score(self, rollout: Rollout) -> Verdict:
        return (await self._recorder._score_one("", "canary", rollout, 0, self._advance)).verdict


def judge_hash(name: str, options: Mapping[str, Any]) -> str:
    """12 hex digits for a judge by name and options; a file or folder among them counts with its sizes and times.

    So a scorer that was trained again into the same folder is another judge.
    """
    paths = [Path(value) for value in options.values() if isinstance(value, str) and value and len(value) < 4096]
    stamps = [
        (str(item), item.stat().st_size, item.stat().st_mtime_ns)
        for path in paths
        if path.exists()
        for item in sorted([path, *(path.rglob("*") if path.is_dir() else ())])
        if item.is_file()
    ]
    text = json.dumps([name, dict(options), stamps], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rollout_hash(*rollouts: Rollout) -> str:
    """12 hex digits for the content of rollouts."""
    text = json.dumps([asdict(rollout) for rollout in rollouts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _key(task: str, row: str, vote: int, *rollouts: Rollout) -> str:
    return json.dumps([task, row, rollout_hash(*rollouts), vote])


def _vote_of(row: LabelledRollout, vote: int) -> Rollout:
    if not vote:
        return row.rollout
    extra = row.rollout.extra_info
    return replace(row.rollout, extra_info={**extra, "uid": f"{extra.get('uid', row.id)} vote {vote}"})


def _spent(judge: Judge) -> dict[str, float]:
    """The running totals of a judge that keeps a ledger (`summary()`), {} for the others."""
    summary = getattr(judge, "summary", None)
    found = summary() if callable(summary) else {}
    return {name: float(found[name]) for name in _SPENT if name in found}


def _to_row(record: Record) -> dict[str, Any]:
    row = {key: value for key, value in asdict(record).items() if key not in ("verdict", "broke")}
    row |= {"latency_s": round(record.latency_s, 6), "elapsed_s": round(record.elapsed_s, 6)}
    if record.broke:
        row["broke"] = True
    if isinstance(record.verdict, Scored):
        return {**row, "value": record.verdict.value, "spread": record.verdict.spread}
    return {**row, "reason": record.verdict.reason.value, "detail": record.verdict.detail[:500]}


def _from_row(row: dict[str, Any]) -> Record:
    if "value" in row:
        verdict: Verdict = Scored(row.pop("value"), row.pop("spread"))
    else:
        verdict = Unscored(row.pop("reason"), row.pop("detail"))
    return Record(verdict=verdict, **row)


async def _gather(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    return list(await asyncio.gather(*calls))
