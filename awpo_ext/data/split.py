"""A stable train/validation split by hash, in which no question is on both sides. Knows nothing of files."""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row


def stable_hash(seed: int, *parts: str) -> str:
    """A hash of seed and parts that is the same in every process (Python's own `hash` is salted)."""
    return hashlib.sha256("\x1f".join([str(seed), *parts]).encode()).hexdigest()


def question_key(text: str) -> str:
    """The text as the split compares it: case and white space do not make two questions differ."""
    return " ".join(text.lower().split())


def row_id(row: Row) -> str:
    """The id that the split hashes."""
    return row["extra_info"]["id"]


def hash_order(rows: Iterable[Row], seed: int, salt: str) -> list[Row]:
    """The rows in the order of their ids' hashes, so that every prefix is a random sample."""
    return sorted(rows, key=lambda row: stable_hash(seed, salt, row_id(row)))


def _groups(rows: Sequence[Row], questions: Callable[[Row], Iterable[str]]) -> list[list[Row]]:
    """Rows connected by a shared question, directly or through other rows (union-find)."""
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first_with: dict[str, int] = {}
    for i, row in enumerate(rows):
        for text in questions(row):
            parent[root(i)] = root(first_with.setdefault(question_key(text), i))
    groups: dict[int, list[Row]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(root(i), []).append(row)
    return list(groups.values())


def split_rows(
    rows: Sequence[Row],
    val_rows: int,
    seed: int,
    questions: Callable[[Row], Iterable[str]] = lambda row: [row["extra_info"]["question"]],
) -> tuple[list[Row], list[Row]]:
    """Split into (train, val), disjoint by id and by every text that `questions` gives for a row.

    Groups of rows that share a question are taken whole, in the order of the hash of their smallest id, as long as
    they fit into `val_rows`; so val has at most that many rows, and fewer only where no remaining group fits. The
    result does not depend on the order of `rows`. Raises DataError on a repeated id, and where nothing would be
    left to train on.
    """
    ids = [row_id(row) for row in rows]
    if len(set(ids)) != len(ids):
        repeated = next(name for name in ids if ids.count(name) > 1)
        raise DataError(f"the id {repeated!r} occurs more than once; ids must be unique")
    groups = sorted(_groups(rows, questions), key=lambda group: stable_hash(seed, "split", min(map(row_id, group))))
    train: list[Row] = []
    val: list[Row] = []
    for group in groups:
        (val if len(val) + len(group) <= val_rows else train).extend(group)
    if not train:
        raise DataError(f"{len(rows)} rows with --val-rows {val_rows} leave nothing to train on; ask for fewer")
    return hash_order(train, seed, "train"), hash_order(val, seed, "val")
