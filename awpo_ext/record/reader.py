"""Reads a record, also of a run that is still going on. Each call looks at the folder anew.

record = open_record(path)
record.steps()                                                    # [1, 2, ..]
record.rollouts(steps=[12], columns=["group", "advantage"])       # a pyarrow Table
record.rollouts(where=(field("outcome") < 0) & (field("reasoning") > 0.9))    # pyarrow.compute.field
record.rollout(12, group, session)                                # one rollout with its prompt, as a dict
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from awpo_ext.record.parts import META, PartInfo, PartKey, key_of
from awpo_ext.record.schema import FORMAT, VERSION, RecordError, schema_of

FOLDER, RUN_FILE, METRICS_FILE = "record", "run.json", "metrics.jsonl"


@dataclass(frozen=True)
class Part:
    """One update of a run, or one batch of a validation."""

    folder: Path
    key: PartKey

    def path(self, table: str) -> Path:
        return self.folder / table / self.key.file_name

    def info(self) -> PartInfo:
        """RecordError where the file is torn or of a newer version."""
        try:
            saved = json.loads((pq.read_schema(self.path("rollouts")).metadata or {})[META])
        except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
            raise RecordError(_torn(self.path("rollouts"))) from error
        _check_version(saved.get("version"), self.path("rollouts"))
        return PartInfo(saved["attempt"], saved["reliability"], saved["version"], saved.get("changed") or {})


@dataclass(frozen=True)
class Record:
    """`folder` holds run.json; `run` is what it says. Parts that cannot be read are left out and named by `problems()`."""

    folder: Path
    run: dict[str, Any]

    def parts(self, steps: Collection[int] | None = None, phase: str | None = None) -> list[Part]:
        """By step; `phase` is "train", "validation" or None for both."""
        keys = map(key_of, (self.folder / "rollouts").glob("step_*.parquet"))
        chosen = [key for key in keys if key and (steps is None or key.step in steps) and phase in (None, key.phase)]
        return [Part(self.folder, key) for key in sorted(chosen)]

    def steps(self, phase: str | None = None) -> list[int]:
        return sorted({part.key.step for part in self.parts(phase=phase)})

    def rollouts(
        self,
        steps: Collection[int] | None = None,
        phase: str | None = None,
        columns: list[str] | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Rows of ROLLOUTS by step, in the estimator's order. Name only the `columns` you need: texts are most of a record."""
        return self._read("rollouts", steps, phase, columns, where)

    def groups(
        self,
        steps: Collection[int] | None = None,
        phase: str | None = None,
        columns: list[str] | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Rows of GROUPS by step."""
        return self._read("groups", steps, phase, columns, where)

    def rows(self, steps: Collection[int] | None = None, phase: str | None = None) -> Iterator[dict[str, Any]]:
        """Rollouts one by one, each with its prompt's columns; one part is in memory at a time."""
        for part in self.parts(steps, phase):
            yield from self.part_rows(part)

    def part_rows(self, part: Part) -> Iterator[dict[str, Any]]:
        """`rows` of one part, in the estimator's order."""
        groups = {row["group"]: row for row in self._table("groups", [part]).to_pylist()}
        for row in self._table("rollouts", [part]).to_pylist():
            group = groups.get(row["group"], {})
            yield {**group, **row, "cut": bool(row["cut"] or group.get("cut"))}

    def rollout(self, step: int, group: str, session: int, phase: str | None = None) -> dict[str, Any]:
        """One rollout with its prompt's columns. RecordError where the record has none."""
        for row in self.rows([step], phase):
            if row["group"] == group and row["session"] == session:
                return row
        raise RecordError(f"{self.folder}: no rollout {group}_{session} in step {step}")

    def table(self, name: str, parts: list[Part], columns: list[str] | None = None) -> pa.Table:
        """Rows of `rollouts` or `groups` of these parts, in their order; parts that cannot be read are left out."""
        return self._table(name, parts, columns)

    def metrics(self) -> dict[int, dict[str, float]]:
        """Metrics by step; a later line of a step wins, and a half-written last line is left out."""
        return read_metrics(self.folder / METRICS_FILE)

    def problems(self) -> list[str]:
        """One sentence for each part that cannot be read."""
        found = []
        for part in self.parts():
            for table in ("rollouts", "groups"):
                try:
                    part.info()
                    pq.read_metadata(part.path(table))
                except RecordError as error:
                    found.append(str(error))
                    break
                except (pa.ArrowInvalid, OSError):
                    found.append(_torn(part.path(table)))
        return found

    def _read(self, table, steps, phase, columns, where) -> pa.Table:
        return self._table(table, self.parts(steps, phase), columns, where)

    def _table(
        self, table: str, parts: list[Part], columns: list[str] | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        schema = schema_of(table)
        unknown = [name for name in columns or () if name not in schema.names]
        if unknown:
            raise RecordError(f"{table} has no column {unknown[0]!r}; columns: {', '.join(schema.names)}")
        try:
            return _scan([part.path(table) for part in parts], schema, columns, where)
        except (pa.ArrowInvalid, OSError):
            return _scan([p.path(table) for p in parts if _readable(p, table)], schema, columns, where)


def open_record(path: str | Path) -> Record:
    """The record of a run.

    Args:
        path: the record's folder, or one that holds it: a run's output or its checkpoints.

    Raises:
        RecordError: there is none, it is damaged, or a newer awpo-ext wrote it.
    """
    given = Path(path).expanduser()
    places = [given, given / FOLDER, given / "checkpoints" / FOLDER]
    folder = next((place for place in places if (place / RUN_FILE).is_file()), None)
    if folder is None:
        if not given.exists():
            raise RecordError(f"{given}: there is no such folder; give a run's folder, or its record's")
        raise RecordError(
            f"{given} holds no record (a folder with {RUN_FILE}); a run writes one with +algorithm.awpo.record.enable=true"
        )
    file = folder / RUN_FILE
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        if run["format"] != FORMAT:
            raise ValueError(f"format is {run['format']!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file} is not the head of a record ({error}); give another folder") from error
    _check_version(run.get("version"), file)
    return Record(folder, run)


def read_metrics(file: Path) -> dict[int, dict[str, float]]:
    """Lines of `metrics.jsonl` by step; lines that are not whole are left out."""
    steps: dict[int, dict[str, float]] = {}
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            record = json.loads(line)
            steps.setdefault(int(record["step"]), {}).update(record["metrics"])
        except (ValueError, KeyError, TypeError):
            continue
    return dict(sorted(steps.items()))


def _scan(files: list[Path], schema: pa.Schema, columns: list[str] | None, where: pc.Expression | None) -> pa.Table:
    return ds.dataset([str(file) for file in files], schema=schema, format="parquet").to_table(columns, filter=where)


def _readable(part: Part, table: str) -> bool:
    try:
        part.info()
        pq.read_metadata(part.path(table))
    except (RecordError, pa.ArrowInvalid, OSError):
        return False
    return True


def _torn(file: Path) -> str:
    return f"{file} is torn or is no part of a record; remove it to go on without it"


def _check_version(version: Any, file: Path) -> None:
    if not isinstance(version, int) or version < 1:
        raise RecordError(f"{file} says no version of the record; it is damaged")
    if version > VERSION:
        raise RecordError(
            f"{file} is of version {version} of the record, and this awpo-ext reads up to {VERSION}; install a newer awpo-ext"
        )
