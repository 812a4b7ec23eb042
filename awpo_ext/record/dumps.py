"""Rollouts without a record: verl's dumps (`trainer.rollout_data_dir`) and JSON lines of other toolkits, as updates.

They hold texts and a reward, no judge and no configuration: `missing` says what a replay does without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from awpo_ext.record.recompute import Update
from awpo_ext.record.schema import RecordError

# what a column may be called, ours first
_NAMES = {
    "response": ("output", "response", "completion", "generated_text"),
    "question": ("question", "input", "prompt", "query"),
    "ground_truth": ("gts", "ground_truth", "answer", "label", "reference"),
    "outcome": ("score", "reward", "rewards"),
    "group": ("uid", "group", "prompt_id", "group_id"),
    "step": ("step", "global_step", "iteration"),
    "reasoning": ("reasoning",),
    "tools": ("tools",),
}
_NEEDED = ("response", "outcome", "group")
_WITHOUT = {
    "reasoning": "judge scores (as if no judge had been asked)",
    "ground_truth": "ground truths (--verifier cannot be used)",
    "question": "requests (a judge sees none)",
    "tools": "tools (verifiers and judges that read them see none)",
}
ALWAYS_MISSING = ("the configuration (compared with outcome-only GRPO)", "the KL penalty and token counts")


@dataclass(frozen=True)
class Dump:
    """Updates with the rows of their rollouts, by step."""

    updates: list[tuple[Update, list[dict[str, Any]]]]
    missing: tuple[str, ...]


def read_dump(path: Path) -> Dump:
    """A .jsonl file, or a folder of them.

    Raises:
        RecordError: none there, a line that is not a JSON object, or one without response, reward or group.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise RecordError(f"{path} holds neither a record nor .jsonl files of rollouts")
    rows = [row for file in files for row in _rows(file)]
    if not rows:
        raise RecordError(f"{path}: there is no rollout in it")
    steps: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        steps.setdefault(row["step"], []).append(row)
    absent = tuple(text for name, text in _WITHOUT.items() if all(row.get(name) is None for row in rows))
    low, high = (bound(row["outcome"] for row in rows) for bound in (min, max))
    limits = (low, high if high > low else low + 1.0)
    updates = [(_update(step, found, limits), found) for step, found in sorted(steps.items())]
    return Dump(updates, (*ALWAYS_MISSING, *absent))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with open(file, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _row(line, f"{file}:{number}", number)


def _row(line: str, where: str, number: int) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} is not JSON ({error}); remove the line if the file was cut there") from None
    if not isinstance(given, dict):
        raise RecordError(f"{where} is not a JSON object with the columns of a rollout")
    row = {
        name: next((given[key] for key in keys if given.get(key) is not None), None) for name, keys in _NAMES.items()
    }
    for name in _NEEDED:
        if row[name] is None:
            raise RecordError(f"{where} has no {name}: none of the keys {', '.join(_NAMES[name])}")
    return {**_typed(row, where), "session": number}


def _typed(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        numbers = {"outcome": float(row["outcome"]), "step": int(row["step"] or 0)}
        numbers["reasoning"] = None if row["reasoning"] is None else float(row["reasoning"])
    except (TypeError, ValueError) as error:
        raise RecordError(f"{where}: reward, reasoning and step must be numbers ({error})") from None
    texts = {
        name: value if isinstance(value := row[name], str) or value is None else json.dumps(value)
        for name in ("response", "question", "ground_truth", "tools")
    }
    key = str(row["group"])
    parts = key.rsplit("_", 2)  # verl's dumps: {uid}_{session}_{output}
    group = parts[0] if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit() else key
    return {**numbers, **texts, "group": group, "key": key, "has_text": True, "cut": False}


def _update(step: int, rows: list[dict[str, Any]], limits: tuple[float, float]) -> Update:
    n = len(rows)
    outcome = np.array([row["outcome"] for row in rows])
    for place, row in enumerate(rows):
        row["session"], row["key"] = place, f"{row['group']}_{place}_0"
    return Update(
        step=step,
        batch=0,
        group=[row["group"] for row in rows],
        session=[row["session"] for row in rows],
        outcome=outcome,
        kl_penalty=np.zeros(n),
        outcome_valid=np.isfinite(outcome),
        outcome_range=np.tile(limits, (n, 1)),
        reasoning=np.array([[row["reasoning"]] for row in rows], dtype=float),
        names=("reasoning",),
        tokens=np.ones(n),
        reliability=None,
    )
