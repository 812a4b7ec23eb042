"""The files of a record: their names, and how one is written so that it is whole or absent."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from awpo_ext.record.schema import PHASES, TABLES, TRAIN, VERSION, schema_of

META = b"awpo"  # key of the parquet file's own metadata
HALF_WRITTEN = ".part"
_NAME = re.compile(rf"step_(\d{{6,}})\.({'|'.join(PHASES)})\.(\d{{2,}})\.parquet")


@dataclass(frozen=True, order=True)
class PartKey:
    """Which update, or which batch of a validation."""

    step: int
    phase: str = TRAIN
    batch: int = 0

    @property
    def file_name(self) -> str:
        return f"step_{self.step:06d}.{self.phase}.{self.batch:02d}.parquet"


@dataclass(frozen=True)
class PartInfo:
    """What the rows of a part share and a replay needs.

    attempt: which start of the run wrote it, from 0: its configuration is the one of that start in run.json.
    reliability: `ReliabilityState.as_dict()` before the update, None in a validation.
    changed: keys of `algorithm.awpo` that the run's guard had changed by then (docs/guard.md).
    """

    attempt: int = 0
    reliability: Mapping[str, float] | None = None
    version: int = field(default=VERSION)
    changed: Mapping[str, Any] = field(default_factory=dict)


def key_of(path: Path) -> PartKey | None:
    """What a file's name says; None for a file that is not a part."""
    match = _NAME.fullmatch(path.name)
    return PartKey(int(match[1]), match[2], int(match[3])) if match else None


def write_part(
    folder: Path,
    key: PartKey,
    info: PartInfo,
    rollouts: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
) -> int:
    """Write the two files of a part, replacing what an earlier attempt left there; bytes written.

    Args:
        rollouts, groups: rows by column name, without the keys `step`, `phase` and `batch`; an absent column is null.
    """
    meta = {META: json.dumps({**asdict(key), **asdict(info)}).encode()}
    return sum(
        _write(folder / table / key.file_name, _table(table, rows, key).replace_schema_metadata(meta))
        for table, rows in (("groups", groups), ("rollouts", rollouts))  # rollouts last: they count as the part
    )


def _table(table: str, rows: Sequence[Mapping[str, Any]], key: PartKey) -> pa.Table:
    own = asdict(key)
    columns = {c.name: [own.get(c.name, row.get(c.name)) for row in rows] for c in TABLES[table]}
    return pa.table(columns, schema=schema_of(table))


def _write(path: Path, table: pa.Table) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}{HALF_WRITTEN}")
    try:
        pq.write_table(table, half, compression="zstd")
        size = half.stat().st_size
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    return size
