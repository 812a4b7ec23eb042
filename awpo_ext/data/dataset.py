"""Write a converted dataset: validate, parquet files, manifest.json. Knows no data source."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import RL_SCHEMA, SFT_SCHEMA, Row, content_sha256, placed, prompt_chars, write_parquet
from awpo_ext.data.split import row_id
from awpo_ext.data.validate import validate_rows

MANIFEST_FORMAT = 1
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Dataset:
    """Rows ready to be written. `val` and `sft` may be empty: their files are then not written.

    `about` goes into the manifest as it is (source, licence, options, prompt), `skipped` maps a reason to the ids of
    the rows that were left out for it.
    """

    train: Sequence[Row]
    val: Sequence[Row]
    sft: Sequence[Row]
    about: dict[str, Any]
    skipped: dict[str, list[str]] = field(default_factory=dict)
    schema: pa.Schema = RL_SCHEMA


def _chars(row: Row) -> int:
    if "messages" in row:
        return sum(len(message["content"]) for message in row["messages"])
    return prompt_chars(row) + len(row["reward_model"]["ground_truth"])


def _describe(path: Path, rows: Sequence[Row]) -> dict[str, Any]:
    categories = Counter(row["category"] if "messages" in row else row["extra_info"]["category"] for row in rows)
    lengths = [_chars(row) for row in rows]
    return {
        "rows": len(rows),
        "content_sha256": content_sha256(rows),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "categories": dict(sorted(categories.items())),
        "prompt_and_answer_chars": {"median": int(median(lengths)), "max": max(lengths)},
    }


def write_dataset(out: Path, dataset: Dataset) -> dict[str, Any]:
    """Write train.parquet, val.parquet, sft.parquet and manifest.json into `out`; returns the manifest.

    `content_sha256` in the manifest hashes the rows, `sha256` the file's bytes (which change with pyarrow's version).
    Files of these names from an earlier run are removed first, so that the folder holds one dataset. Raises DataError,
    before anything is touched, where a row is not valid.
    """
    files = {
        "train.parquet": (placed(dataset.train, "train"), dataset.schema),
        "val.parquet": (placed(dataset.val, "val"), dataset.schema),
        "sft.parquet": (list(dataset.sft), SFT_SCHEMA),
    }
    for name, (rows, _) in files.items():
        problems = validate_rows(rows)
        if problems:
            shown = "\n".join(f"  {problem}" for problem in problems[:_SHOWN_PROBLEMS])
            raise DataError(f"{name} would have {len(problems)} invalid fields, nothing was written:\n{shown}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {out}: cannot make this folder ({error.strerror})") from error
    for name in (*files, "manifest.json"):
        (out / name).unlink(missing_ok=True)
    described = {}
    for name, (rows, schema) in files.items():
        if rows:
            write_parquet(out / name, rows, schema)
            described[name] = _describe(out / name, rows)
    manifest = {
        "format": MANIFEST_FORMAT,
        **dataset.about,
        "val_ids_sha256": hashlib.sha256("\n".join(sorted(map(row_id, dataset.val))).encode()).hexdigest(),
        "files": described,
        "skipped": {reason: sorted(ids) for reason, ids in sorted(dataset.skipped.items())},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest
