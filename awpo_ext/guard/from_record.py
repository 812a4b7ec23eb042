"""The guard on a recorded run: the alarms that it raises there, whatever watched the run at its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from awpo_ext.guard.alarms import Alarm, Guard
from awpo_ext.guard.statistics import TEXTS, Rollouts, Text, Values, number_values, spread, text_values
from awpo_ext.record import open_record
from awpo_ext.record.schema import TRAIN


def alarms_of(path: Path, false_alarms: float = 0.05) -> tuple[int, list[Alarm]]:
    """How many updates a record has, and the alarms in them. RecordError where `path` holds no record."""
    record, guard, alarms, updates = open_record(path), Guard(false_alarms), [], 0
    for part in record.parts(phase=TRAIN):
        alarms += guard.observe(part.key.step, values_of(list(record.part_rows(part))))
        updates += 1
    return updates, alarms


def values_of(rows: Sequence[Mapping[str, Any]]) -> Values:
    """What the guard measures of one update, from its rows."""
    if not rows:
        return {}
    texts = [rows[i] for i in spread([row["group"] for row in rows], TEXTS) if rows[i].get("has_text")]
    return number_values(rollouts_of(rows)) | text_values([_text(row) for row in texts])


def rollouts_of(rows: Sequence[Mapping[str, Any]]) -> Rollouts:
    def column(name: str) -> np.ndarray:
        return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)

    return Rollouts(
        [row["group"] for row in rows], column("outcome"), column("outcome_min"), column("outcome_max"),
        column("outcome_valid") == 1, column("reasoning"),
        np.array([row["failure"] not in ("judge_disabled", "no_evidence") for row in rows]),
        [row["unread"] for row in rows], column("tokens"),
    )  # fmt: skip


def _text(row: Mapping[str, Any]) -> Text:
    response = "\n".join(row["texts"]) if row.get("texts") else row.get("response") or ""
    return Text(row["group"], response, f"{row.get('question') or row.get('prompt') or ''}\n{row.get('tools') or ''}")
