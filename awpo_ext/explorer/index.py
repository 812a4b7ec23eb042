"""What a run's rollouts are filtered and sorted by: one float column each, read part by part as the run writes them.

Texts are not here. A row's number is its place in the order in which the parts were read, and stays as long as the run
only adds parts; where a resumed run replaces some, the index starts anew under another `generation`.
"""

from __future__ import annotations

import json
import secrets
import struct
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from awpo_ext.record import Record
from awpo_ext.record.reader import Part
from awpo_ext.record.schema import VALIDATION

PART_KEYS = ["step", "phase", "batch"]
KEYS = [*PART_KEYS, "group"]
# Column of the page -> column of the record, for plain numbers.
NUMBERS = {
    "outcome": "outcome",
    "verified": "outcome_valid",
    "score": "reasoning",
    "advantage": "advantage",
    "a_outcome": "a_outcome",
    "a_judge": "a_judge",
    "gate": "gate",
    "difficulty": "difficulty",
    "member": "session",
    "length": "tokens",
}
# Columns of words -> column of the record, and the word that means that nothing is the matter (code 0), if any does.
WORDS = {
    "reason": ("outcome_reason", None),
    "problem": ("unread", ""),
    "failure": ("failure", ""),
    "closed": ("closed", "open"),
    "phase": ("phase", None),
}
ROLLOUT_COLUMNS = [
    *KEYS, *NUMBERS.values(), "outcome_min", "outcome_max", "outcome_reason", "unread", "failure", "closed", "signals",
    "spread",
]  # fmt: skip
GROUP_COLUMNS = [*KEYS, "data_source", "question", "ground_truth"]
NULL_ARGUMENT = r"[:=]\s*(null|None)\s*[,}\])]"
QUESTION_SHOWN = 120


@dataclass
class Columns:
    """Everything that was read: columns of one length, the groups that `group` points into, and the words of the codes."""

    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    count: int = 0
    groups: dict[str, list[Any]] = field(default_factory=lambda: {"uid": [], "step": [], "question": []})
    words: dict[str, dict[str, int]] = field(default_factory=dict)
    parts: list[tuple[int, Part]] = field(default_factory=list)  # the first row of each part, in order


class RunIndex:
    """The index of one run. `refresh` reads what is new; the rest answers from memory. Safe to call from threads."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.generation = secrets.randbelow(2**31)  # another one after a restart
        self.columns = Columns()
        self._known: dict[Part, tuple[int, int]] = {}
        self._lock = Lock()

    def refresh(self) -> None:
        with self._lock:
            now = {part: stamp for part in self.record.parts() if (stamp := stamp_of(part)) is not None}
            if any(now.get(part) != stamp for part, stamp in self._known.items()):
                self.columns, self._known = Columns(), {}
                self.generation += 1
            new = [part for part in now if part not in self._known]
            if new:
                _add(self.columns, self.record, new)
                self._known.update({part: now[part] for part in new})

    def place(self, row: int) -> tuple[Part, int]:
        """The part that a row is in, and its place there. IndexError where there is no such row."""
        columns = self.columns
        if not 0 <= row < columns.count:
            raise IndexError(f"no rollout {row}; the record has {columns.count}")
        at = int(np.searchsorted([first for first, _ in columns.parts], row, side="right")) - 1
        first, part = columns.parts[at]
        return part, row - first

    def frame(self, first: int = 0, generation: int = 0) -> bytes:
        """Rows from `first` on, for the page: a JSON head, padded to 4 bytes, its length before it, then float32 columns.

        All rows where the page's `generation` is not this one's.
        """
        with self._lock:
            columns = self.columns
            if generation != self.generation or not 0 <= first <= columns.count:
                first = 0
            known = int(columns.numbers["group"][first - 1]) + 1 if first else 0
            head = {
                "first": first,
                "count": columns.count - first,
                "generation": self.generation,
                "columns": list(columns.numbers),
                "groups": {name: values[known:] for name, values in columns.groups.items()},
                "words": {name: list(codes) for name, codes in columns.words.items()},
            }
            return packed(head, [values[first:] for values in columns.numbers.values()])


def packed(head: dict[str, Any], columns: list[np.ndarray]) -> bytes:
    text = json.dumps(head, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + b"".join(column.astype("<f4").tobytes() for column in columns)


def stamp_of(part: Part) -> tuple[int, int] | None:
    try:
        found = part.path("rollouts").stat()
    except OSError:  # replaced since it was listed
        return None
    return found.st_mtime_ns, found.st_size


def _add(columns: Columns, record: Record, parts: list[Part]) -> None:
    rows = record.table("rollouts", parts, ROLLOUT_COLUMNS)
    if not len(rows):
        return
    groups = record.table("groups", parts, GROUP_COLUMNS)
    first = columns.count
    columns.parts += [(first + start, part) for start, part in _starts(rows, parts)]
    new = {name: _floats(rows[stored]) for name, stored in NUMBERS.items()}
    new |= {name: _codes(columns, name, rows[stored], calm) for name, (stored, calm) in WORDS.items()}
    low, high = _floats(rows["outcome_min"]), _floats(rows["outcome_max"])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (new["outcome"] - low) / (high - low)
    new["share"] = np.where(new["verified"] == 0, np.nan, share)
    new["disagreement"] = _disagreement(rows["signals"], _floats(rows["spread"]))
    new |= _of_groups(columns, rows, groups)
    for name, values in new.items():
        old = columns.numbers.get(name, np.empty(0, np.float32))
        columns.numbers[name] = np.concatenate([old, values.astype(np.float32)])
    columns.count = first + len(rows)


def _starts(rows: pa.Table, parts: list[Part]) -> list[tuple[int, Part]]:
    """Where each part begins: rows come in the order of their parts, and say which they are of."""
    part = _part_codes(rows)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    by_code = dict(zip(_part_codes(_keys_of(parts)).tolist(), parts, strict=True))
    return [(start, by_code[code]) for start, code in zip(starts.tolist(), part[starts].tolist(), strict=True)]


def _keys_of(parts: list[Part]) -> pa.Table:
    keys = [part.key for part in parts]
    return pa.table({name: [getattr(key, name) for key in keys] for name in PART_KEYS})


def _part_codes(table: pa.Table) -> np.ndarray:
    """`(N,)` one number a part, the same for the same step, phase and batch in every table."""
    step, batch = (table[name].to_numpy(zero_copy_only=False).astype(np.int64) for name in ("step", "batch"))
    phase = pc.equal(table["phase"].cast(pa.string()), VALIDATION).to_numpy(zero_copy_only=False).astype(np.int64)
    return (step << 21) | (phase << 20) | batch


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """`(N,)` float64, NaN for null."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _codes(columns: Columns, name: str, column: pa.ChunkedArray, calm: str | None) -> np.ndarray:
    """`(N,)` each word's code, NaN for null; new words get the next ones."""
    codes = columns.words.setdefault(name, {} if calm is None else {calm: 0})
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.combine_chunks()
    chunks = whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]
    found = [np.empty(0)]
    for chunk in chunks:
        told = [codes.setdefault(word, len(codes)) for word in chunk.dictionary.to_pylist()]
        table = np.array([*told, np.nan])
        found.append(table[chunk.indices.fill_null(len(told)).to_numpy(zero_copy_only=False).astype(int)])
    return np.concatenate(found)


def _disagreement(signals: pa.ChunkedArray, spread: np.ndarray) -> np.ndarray:
    """`(N,)` the distance of the highest and lowest signal where there are several, else the spread of the votes."""
    lists = signals.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(int)
    scores = pc.struct_field(lists.flatten(), "score").to_numpy(zero_copy_only=False).astype(float)
    known = ~np.isnan(scores)
    low, high, seen = np.full(len(lists), np.inf), np.full(len(lists), -np.inf), np.zeros(len(lists), int)
    np.minimum.at(low, rows[known], scores[known])
    np.maximum.at(high, rows[known], scores[known])
    np.add.at(seen, rows[known], 1)
    return np.where(seen > 1, np.subtract(high, low, where=seen > 1, out=np.zeros(len(lists))), spread)


def _of_groups(columns: Columns, rows: pa.Table, groups: pa.Table) -> dict[str, np.ndarray]:
    """The rows' group numbers, by first appearance, and what they have from their group's row."""
    uids = pa.chunked_array([*rows["group"].chunks, *groups["group"].chunks], pa.string()).dictionary_encode()
    uids = uids.combine_chunks()
    uids = uids.chunk(0) if isinstance(uids, pa.ChunkedArray) else uids
    codes = uids.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    parts = np.concatenate([_part_codes(rows), _part_codes(groups)])
    part = np.unique(parts, return_inverse=True)[1]
    _, seen, number = np.unique(part * (1 + codes.max()) + codes, return_index=True, return_inverse=True)
    n = len(rows)
    # `number` of the rows' groups by first appearance; a group's row without rollouts gets none.
    order = np.argsort(seen, kind="stable")[: int((seen < n).sum())]
    rank = np.full(len(seen), -1)
    rank[order] = np.arange(len(order))
    of_row = rank[number[:n]]
    place = np.full(len(order), len(groups))
    known = rank[number[n:]]
    place[known[known >= 0]] = np.flatnonzero(known >= 0)
    first = len(columns.groups["uid"])
    questions = [*pc.utf8_slice_codeunits(groups["question"], 0, QUESTION_SHOWN).fill_null("").to_pylist(), ""]
    columns.groups["uid"] += rows["group"].take(pa.array(seen[order])).to_pylist()
    columns.groups["step"] += rows["step"].take(pa.array(seen[order])).to_pylist()
    columns.groups["question"] += [questions[at] for at in place.tolist()]
    sources = _codes(columns, "source", groups["data_source"], None)
    nulls = _floats(pc.match_substring_regex(groups["ground_truth"], NULL_ARGUMENT))
    return {
        "group": of_row + first,
        "source": np.append(sources, np.nan)[place][of_row],
        "null_truth": np.append(nulls, np.nan)[place][of_row],
    }
