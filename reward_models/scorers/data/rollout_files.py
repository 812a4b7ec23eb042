"""Read rollouts that a judge is to score: JSON lines of rollouts, or the dumps of verl's `trainer.rollout_data_dir`.

A line of a dump holds the prompt as text (`input`), the response (`output`), the ground truth (`gts`) and no tools, so
it is joined with the data set's parquet: the row of the same ground truth whose messages all stand in the prompt.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from reward_models.scorers.sources import file_hash
from reward_models.types import Rollout

UNMATCHED, AMBIGUOUS, REPEATED = "no row of the data set", "several rows of the data set", "repeated"
_FIELDS = tuple(item.name for item in fields(Rollout))
_THINK = "<think>"


@dataclass(frozen=True)
class Found:
    """A rollout and its file, with the file's hash; `source` is the same for all rollouts of one task."""

    id: str
    source: str
    file: str
    file_sha256: str
    rollout: Rollout


@dataclass(frozen=True)
class RolloutFiles:
    """What was read; `left_out` counts why lines are not among them."""

    found: tuple[Found, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def read_rollouts(paths: Sequence[Path], dataset: Sequence[Path] = ()) -> RolloutFiles:
    """The rollouts of files, or of folders with `*.jsonl` in them, each text once.

    A line with `response` has the fields of `Rollout`, and may name its `source`; one with `input` and `output` is
    verl's. ValueError names file and line of what is neither, and what is missing.
    """
    tasks = _Tasks(dataset)
    found: dict[str, Found] = {}
    left_out: Counter[str] = Counter()
    rollout: Rollout | str
    source: str | None
    for path in _files(paths):
        digest = file_hash(path)
        for where, line in _lines(path):
            if "response" in line:
                rollout, source = _own(line, where)
            elif "input" in line and "output" in line:
                if not dataset:
                    raise ValueError(
                        f"{where}: a line of verl's dump has neither tools nor question: give the parquet of the data "
                        "set that was trained on (--dataset)"
                    )
                rollout, source = tasks.join(line, where), None
            else:
                raise ValueError(
                    f"{where}: neither a rollout ('response') nor a line of verl's dump ('input', 'output')"
                )
            if isinstance(rollout, str):
                left_out[rollout] += 1
                continue
            source = source or _hash(rollout.data_source, rollout.question, rollout.tools)
            item = Found(_hash(source, rollout.response), source, path.name, digest, rollout)
            if item.id in found:
                left_out[REPEATED] += 1
            else:
                found[item.id] = item
    if not found:
        why = ", ".join(f"{count} lines: {reason}" for reason, count in left_out.items()) or "no lines"
        raise ValueError(f"{', '.join(map(str, paths))}: no rollouts to score ({why})")
    return RolloutFiles(tuple(found.values()), dict(left_out))


class _Tasks:
    """The data set's rows by ground truth."""

    def __init__(self, paths: Sequence[Path]) -> None:
        import pyarrow.parquet as pq

        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for path in paths:
            try:
                rows = pq.read_table(path).to_pylist()
            except (OSError, ValueError) as error:
                raise ValueError(f"{path}: cannot be read as parquet: {error}") from None
            for row in rows:
                truth = (row.get("reward_model") or {}).get("ground_truth")
                if not isinstance(truth, str) or not isinstance(row.get("prompt"), list):
                    raise ValueError(
                        f"{path}: has no `prompt` and `reward_model.ground_truth`: is it verl's RL schema?"
                    )
                self._rows[truth].append(row)

    def join(self, line: Mapping[str, Any], where: str) -> Rollout | str:
        """The rollout, or why it was not found."""
        for key in ("input", "output"):
            if not isinstance(line[key], str):
                raise ValueError(f"{where}: {key!r} must be a text")
        prompt, truth = _flat(line["input"]), line.get("gts")
        known = self._rows.get(truth, []) if isinstance(truth, str) else []
        rows = [row for row in known if _stands_in(row["prompt"], prompt)]
        if not rows:
            return UNMATCHED
        rollouts = [_of_row(row, line) for row in rows]
        return rollouts[0] if all(_task(rollout) == _task(rollouts[0]) for rollout in rollouts) else AMBIGUOUS


def _of_row(row: Mapping[str, Any], line: Mapping[str, Any]) -> Rollout:
    extra = row.get("extra_info") or {}
    # A chat template that opens the thought writes the tag into the prompt; in the response it is missing.
    opened = line["input"].rstrip().endswith(_THINK) and not line["output"].lstrip().startswith(_THINK)
    return Rollout(
        question=_text(extra.get("question")),
        tools=_text(extra.get("tools")),
        response=_THINK + line["output"] if opened else line["output"],
        ground_truth=line["gts"],
        data_source=_text(row.get("data_source")),
    )


def _task(rollout: Rollout) -> tuple[str, str]:
    return rollout.question, rollout.tools


def _stands_in(messages: Sequence[Mapping[str, Any]], prompt: str) -> bool:
    return all(_flat(_text(message.get("content"))) in prompt for message in messages)


def _own(line: dict[str, Any], where: str) -> tuple[Rollout, str | None]:
    source = line.pop("source", None)
    for key in line:
        if key not in _FIELDS:
            raise ValueError(f"{where}: unknown field {key!r}; known: source, {', '.join(_FIELDS)}")
    extra = line.pop("extra_info", None) or {}
    if not isinstance(extra, dict) or not isinstance(source, (str, type(None))):
        raise ValueError(f"{where}: extra_info must be an object, and source a text")
    texts = {name: _text(line.get(name)) for name in _FIELDS if name != "extra_info"}
    return Rollout(**texts, extra_info=extra), source


def _files(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: does not exist")
        # verl names the files by step.
        inside = sorted(path.glob("*.jsonl"), key=lambda file: (len(file.name), file.name)) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path}: a folder without *.jsonl")
        files += inside
    return files


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        where = f"{path}: line {number}"
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: not JSON: {error}") from None
        if not isinstance(line, dict):
            raise ValueError(f"{where}: expected an object")
        yield where, line


def _flat(text: str) -> str:
    return " ".join(text.split())


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
