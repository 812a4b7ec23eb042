"""Labelled rollouts: what a scorer is trained on and a judge is measured on, as JSON lines or parquet.

A row is the JSON form of a `Rollout` (as `awpo judge try` reads it) with a label, its kind and where it came from. How
rows are made, and what is done with them, is elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from reward_models.types import Rollout

HONEST = "honest"
_TEXTS = ("id", "source", "kind", "question", "tools", "response", "ground_truth", "data_source")
_JSON = ("extra_info", "provenance")  # dicts: in parquet they are JSON texts, since rows differ in their keys


@dataclass(frozen=True)
class LabelledRollout:
    """One rollout whose reasoning a person or a program has judged.

    id: unique in its file.
    source: the row it was made from; rows of one source belong to one side of a split.
    kind: HONEST, or the name of what is wrong with the reasoning (a corruption's name).
    label: in [0, 1], higher is better; 1.0 and 0.0 where it is only known that it is good or bad.
    pair: the `id` of the row whose reasoning is better for the same task, or None.
    provenance: which program, version, seed and file made it.
    """

    id: str
    source: str
    kind: str
    label: float
    rollout: Rollout
    pair: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isinstance(self.label, (int, float)) and math.isfinite(self.label) and 0 <= self.label <= 1):
            raise ValueError(f"label={self.label!r} must be a number in [0, 1]")
        for key in ("id", "source", "kind"):
            if not (isinstance(getattr(self, key), str) and getattr(self, key)):
                raise ValueError(f"{key}={getattr(self, key)!r} must be a text that is not empty")


def to_row(labelled: LabelledRollout) -> dict[str, Any]:
    """The row as one flat JSON object."""
    row = {key: getattr(labelled, key) for key in ("id", "source", "kind", "label", "pair")}
    return {**row, **asdict(labelled.rollout), "provenance": dict(labelled.provenance)}


def from_row(row: Mapping[str, Any]) -> LabelledRollout:
    """Inverse of `to_row`; ValueError names the field that is missing, unknown or of the wrong type."""
    known = {"label", "pair", *_TEXTS, *_JSON}
    for key in row:
        if key not in known:
            raise ValueError(f"unknown field {key!r}; known: {', '.join(sorted(known))}")
    values = dict.fromkeys(("question", "tools", "ground_truth", "data_source"), "") | dict(row)
    for key in _TEXTS:
        if not isinstance(values.get(key), str):
            raise ValueError(f"field {key!r} must be a text, got {values.get(key)!r}")
    for key in _JSON:
        value = values.get(key) or {}
        values[key] = json.loads(value) if isinstance(value, str) else value
        if not isinstance(values[key], dict):
            raise ValueError(f"field {key!r} must be an object, got {value!r}")
    if not isinstance(values.get("pair"), (str, type(None))):
        raise ValueError(f"field 'pair' must be a text or null, got {values['pair']!r}")
    if "label" not in values:
        raise ValueError("field 'label' is missing")
    rollout = Rollout(**{item.name: values[item.name] for item in fields(Rollout)})
    own: dict[str, Any] = {key: values.get(key) for key in ("id", "source", "kind", "label", "pair", "provenance")}
    return LabelledRollout(rollout=rollout, **own)


def write_labelled(path: Path, rows: Iterable[LabelledRollout]) -> int:
    """Write `rows` as JSON lines, or as parquet where the name ends so; returns how many."""
    found = [to_row(row) for row in rows]
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        flat = [{**row, **{key: json.dumps(row[key], ensure_ascii=False) for key in _JSON}} for row in found]
        pq.write_table(pa.Table.from_pylist(flat), path)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8")
    return len(found)


def read_labelled(path: Path) -> list[LabelledRollout]:
    """The rows of a file of `write_labelled`; ValueError names file, line (or row, from 1) and field, and for ids twice."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        raw = pq.read_table(path).to_pylist()
    else:
        try:
            raw = path.read_text(encoding="utf-8").split("\n")  # splitlines would split at U+2028 inside of a text
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: is not UTF-8: {error}") from None
    rows, seen = [], set()
    for number, item in enumerate(raw, 1):
        if isinstance(item, str) and not item.strip():
            continue
        try:
            row = json.loads(item) if isinstance(item, str) else item
            if not isinstance(row, dict):
                raise ValueError("expected an object")
            labelled = from_row(row)
            if labelled.id in seen:
                raise ValueError(f"id {labelled.id!r} is not unique")
        except ValueError as error:
            raise ValueError(f"{path}: row {number}: {error}") from None
        seen.add(labelled.id)
        rows.append(labelled)
    if not rows:
        raise ValueError(f"{path}: no rows")
    return rows
