"""Where ToolRL-style records come from: a local file or folder, or a dataset on the Hugging Face hub. Reads only.

The released data is in the repository qiancheng0/ToolRL: `dataset/rlla_4k/{train,test}.parquet` (3,920 and 80 rows in
verl's schema) and `dataset/rlla_4k_raw/{rlla_rl,rlla_sft}.json`; the hub's `emrecanacikgoz/ToolRL` has the 4,000 as
instruction, input, output.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import load_rows

HUB_ID = "emrecanacikgoz/ToolRL"
LICENCE = "see the source; ToolRL: Apache-2.0, built from ToolACE (Apache-2.0), xLAM and Hammer (CC-BY-4.0)"

Record = dict[str, Any]


@dataclass(frozen=True)
class ToolrlSource:
    """Records by the source's own splits: `val` is empty where it has none. `name` is a file name or hub id."""

    name: str
    train: list[Record]
    val: list[Record]


def _json_records(path: Path) -> list[Record]:
    """The records of a JSON array or of JSON lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error})") from error
    if text.lstrip().startswith("["):
        try:
            records = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: not JSON ({error}); was the download cut short?") from error
    else:
        records = []
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error})") from error
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{path}, record {number}: not a JSON object")
    return records


def read_records(path: Path) -> list[Record]:
    """The records of a local .parquet, .json or .jsonl file. Raises DataError where it is missing, corrupt or empty."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix == ".parquet":
        records = load_rows(path)
    elif path.suffix in {".json", ".jsonl"}:
        records = _json_records(path)
    else:
        raise DataError(f"{path}: expected .parquet, .json or .jsonl")
    if not records:
        raise DataError(f"{path}: there are no records in it")
    return records


def _hub(name: str) -> ToolrlSource:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(f"{name}: reading from the hub needs `pip install datasets`; or pass a local file") from error
    try:
        splits = load_dataset(name)
    except Exception as error:  # the hub's libraries raise many unrelated types: offline, not found, gated, broken
        raise DataError(
            f"{name}: no such local path, and the hub dataset cannot be loaded ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no message'}); without a network, pass a local file"
        ) from error
    if "train" not in splits:
        raise DataError(f"{name}: the hub dataset has no split 'train' (there are {', '.join(splits)})")
    return ToolrlSource(name, list(splits["train"]), list(splits["test"]) if "test" in splits else [])


def read_source(source: str) -> ToolrlSource:
    """A file; a folder with train.parquet and perhaps test.parquet, whose split is kept; or a hub id `owner/name`."""
    path = Path(source)
    if path.is_dir():
        test = path / "test.parquet"
        val = read_records(test) if test.exists() else []
        return ToolrlSource(path.resolve().name, read_records(path / "train.parquet"), val)
    if path.is_file() or path.suffix in {".parquet", ".json", ".jsonl"}:
        return ToolrlSource(path.name, read_records(path), [])
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        return _hub(source)
    raise DataError(f"{source}: no such file or folder, and not a hub id of the form owner/name")
