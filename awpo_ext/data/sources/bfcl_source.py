"""Where BFCL's data files are: in the installed `bfcl-eval`, in a folder, or in its wheel. Reads; converts nothing.

The package's code is never imported: that would pull in every vendor's SDK.
"""

import importlib.metadata
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awpo_ext.data.errors import DataError

PACKAGE = "bfcl-eval"
LICENCE = "Apache-2.0 (Berkeley Function Calling Leaderboard)"
_DATA = "bfcl_eval/data"


@dataclass(frozen=True)
class BfclSource:
    """A place to read BFCL's files from; `read` takes a path relative to the data folder and gives its text."""

    kind: str
    version: str
    read: Callable[[str], str]


def _installed() -> BfclSource:
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            f"the package {PACKAGE} is not installed: `pip install --no-deps {PACKAGE}`, "
            "or pass --source with a folder of BFCL_v4_*.json files or the package's wheel"
        ) from None
    return BfclSource("installed package", package.version, _folder_reader(Path(str(package.locate_file(_DATA)))))


def _folder_reader(folder: Path) -> Callable[[str], str]:
    def read(name: str) -> str:
        try:
            return (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DataError(f"{folder}: the file {name} is missing; is this BFCL's v4 data folder?") from None
        except UnicodeDecodeError as error:
            raise DataError(f"{folder / name}: not UTF-8 text ({error})") from error

    return read


def _wheel_reader(wheel: Path) -> Callable[[str], str]:
    def read(name: str) -> str:
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(f"{_DATA}/{name}").decode()
        except zipfile.BadZipFile:
            raise DataError(f"{wheel}: not a readable wheel; was the download cut short?") from None
        except KeyError:
            raise DataError(f"{wheel}: there is no {_DATA}/{name} inside; is this the wheel of {PACKAGE}?") from None

    return read


def find_source(path: Path | None = None) -> BfclSource:
    """The installed package, or the folder or wheel at `path` (a folder may also be one that holds `bfcl_eval`).

    A folder has no version; a wheel's is read from its name. Raises DataError where there is nothing to read.
    """
    if path is None:
        return _installed()
    if path.is_dir():
        nested = path / _DATA
        return BfclSource("folder", "unknown", _folder_reader(nested if nested.is_dir() else path))
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    if path.suffix != ".whl":
        raise DataError(f"{path}: expected a folder of BFCL_v4_*.json files or a .whl file")
    return BfclSource("wheel", path.name.split("-")[1] if "-" in path.name else "unknown", _wheel_reader(path))


def read_json_lines(source: BfclSource, name: str) -> list[dict[str, Any]]:
    """The objects of a JSON lines file. Raises DataError naming the file and the line that is not an object with an id."""
    records = []
    for number, line in enumerate(source.read(name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{name}, line {number}: not JSON ({error})") from error
        if not isinstance(record, dict) or "id" not in record:
            raise DataError(f"{name}, line {number}: not an object with an 'id'")
        records.append(record)
    return records


def read_category(
    source: BfclSource, category: str, answered: bool = True
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """(entry, ground-truth calls) of one category, no calls where it is not `answered`: its rows are to be refused.

    Raises DataError where an entry of an answered category has no answer.
    """
    name = f"BFCL_v4_{category}.json"
    if not answered:
        return [(entry, []) for entry in read_json_lines(source, name)]
    answers = {record["id"]: record for record in read_json_lines(source, f"possible_answer/{name}")}
    pairs = []
    for entry in read_json_lines(source, name):
        answer = answers.get(entry["id"])
        if answer is None or not answer.get("ground_truth"):
            raise DataError(f"possible_answer/{name}: no ground_truth for the id {entry['id']!r}")
        missing = [key for key in ("question", "function") if not entry.get(key)]
        if missing:
            raise DataError(f"{name}, id {entry['id']!r}: the field {missing[0]!r} is missing or empty")
        pairs.append((entry, answer["ground_truth"]))
    return pairs
