"""The page's questions and their answers, as plain values: what `server` answers and `export` writes into a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from awpo_ext.explorer.detail import rollout_detail
from awpo_ext.explorer.index import RunIndex, stamp_of
from awpo_ext.record import Record, open_record
from awpo_ext.record.json_values import finite
from awpo_ext.record.reader import Part, read_metrics

MAX_SEARCH = 1000  # characters
SEARCHED = {"rollouts": ("response", "words"), "groups": ("prompt", "question", "tools", "ground_truth")}
SHOWN_OF_RUN = ("starts", "config")
_CACHED_PARTS = 4


class Explorer:
    """Some runs that are looked at together. `run` is a place in the order in which they were given."""

    def __init__(self, paths: list[Path]) -> None:
        records = [open_record(path) for path in paths]
        self.names = run_names(records)
        self.indexes = [RunIndex(record) for record in records]
        self._metrics: dict[int, tuple[Any, dict[str, Any]]] = {}

    def runs(self) -> dict[str, Any]:
        return {"runs": [self._run(i) for i in range(len(self.indexes))]}

    def _run(self, i: int) -> dict[str, Any]:
        record = self.indexes[i].record
        about = {key: record.run[key] for key in SHOWN_OF_RUN if record.run.get(key)}
        return finite({"name": self.names[i], "folder": record.folder.parent.name, "about": about})

    def metrics(self, run: int) -> dict[str, Any]:
        """{steps, series: {name: a number or None for each step}, problems}; read again only where the file has changed."""
        record = self.indexes[run].record
        file = record.folder / "metrics.jsonl"
        stamp = (file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None
        if run not in self._metrics or self._metrics[run][0] != stamp:
            by_step = read_metrics(file)
            names = dict.fromkeys(name for metrics in by_step.values() for name in metrics)
            series = {name: [_number(metrics.get(name)) for metrics in by_step.values()] for name in names}
            told = {"steps": list(by_step), "series": {name: v for name, v in series.items() if any(map(_known, v))}}
            self._metrics[run] = (stamp, finite(told))
        return self._metrics[run][1]

    def rows(self, run: int, first: int, generation: int) -> bytes:
        """See `RunIndex.frame`."""
        self.indexes[run].refresh()
        return self.indexes[run].frame(first, generation)

    def rollout(self, run: int, row: int, generation: int | None = None) -> dict[str, Any]:
        """IndexError where there is no such row (any more): the page's `generation` is an earlier one."""
        index = self.indexes[run]
        index.refresh()
        if generation not in (None, index.generation):
            raise IndexError("the run has begun anew since; the list will follow")
        part, place = index.place(row)
        return rollout_detail(stored_row(part, place))

    def search(self, run: int, text: str) -> dict[str, Any]:
        """The rows whose texts hold `text`, upper and lower case alike."""
        index, text = self.indexes[run], text[:MAX_SEARCH]
        if not text:
            return {"rows": []}
        index.refresh()
        parts = list(index.columns.parts)
        with ThreadPoolExecutor() as pool:
            places = pool.map(lambda one: _hits(index.record, one[1], text), parts)
            return {"rows": [first + place for (first, _), found in zip(parts, places, strict=True) for place in found]}


def run_names(records: list[Record]) -> list[str]:
    """The runs' names, with a number where two have the same."""
    names: list[str] = []
    for record in records:
        name = str(record.run.get("name") or record.folder.parent.name)
        known = sum(other == name or other.rpartition(" (")[0] == name for other in names)
        names.append(f"{name} ({known + 1})" if known else name)
    return names


def stored_row(part: Part, place: int) -> dict[str, Any]:
    """A rollout of a part with its prompt's columns."""
    rollouts, groups = _tables(part, stamp_of(part))
    row = rollouts.slice(place, 1).to_pylist()[0]
    prompts = groups.filter(pc.equal(groups["group"], row["group"])).slice(0, 1).to_pylist()
    prompt = prompts[0] if prompts else {}
    return {**prompt, **row, "cut": bool(row["cut"] or prompt.get("cut"))}


@lru_cache(maxsize=_CACHED_PARTS)
def _tables(part: Part, stamp: Any) -> tuple[pa.Table, pa.Table]:
    """A part with all its columns; `stamp` changes where a resumed run replaces it."""
    record = Record(part.folder, {})
    return record.table("rollouts", [part]), record.table("groups", [part])


def _hits(record: Record, part: Part, text: str) -> list[int]:
    """Places in the part of the rollouts that hold the text, in their own texts or in their prompt's."""
    rollouts = record.table("rollouts", [part], ["group", *SEARCHED["rollouts"]])
    groups = record.table("groups", [part], ["group", *SEARCHED["groups"]])
    asked = groups["group"].filter(_holds(groups, SEARCHED["groups"], text))
    own = _holds(rollouts, SEARCHED["rollouts"], text)
    found = pc.or_(own, pc.is_in(rollouts["group"], value_set=asked.combine_chunks()))
    return pc.indices_nonzero(found).to_pylist()


def _holds(table: pa.Table, names: tuple[str, ...], text: str) -> pa.ChunkedArray:
    tests = [pc.fill_null(pc.match_substring(table[name], text, ignore_case=True), False) for name in names]
    found = tests[0]
    for test in tests[1:]:
        found = pc.or_(found, test)
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _known(value: float | None) -> bool:
    return value is not None
