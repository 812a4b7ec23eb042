"""API-Bank (arXiv 2304.08244), levels 1 to 3, in ToolRL's prompt format -> rows to evaluate on, or to train on.

The three files `level-{1,2,3}-api_processed.json` are in ToolRL's repository, under `benchmarks/API-Bank`. Level 1 gives the
tools, level 2 makes the model ask for one, level 3 several one after another. Each row expects one call.
"""

import re
from pathlib import Path
from typing import Any

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row
from awpo_ext.data.sources.toolrl import toolrl_row
from awpo_ext.data.sources.toolrl_source import read_records

LEVELS = (1, 2, 3)
LICENCE = "MIT (API-Bank); in ToolRL's format: Apache-2.0"
_FILE = "level-{}-api_processed.json"


def convert_api_bank(source: Path, levels: tuple[int, ...] = LEVELS) -> Dataset:
    """The levels' rows, all of them for evaluation, with the category `level-<n>`.

    `source` is the folder with the files, or one of them, whose name says its level. Raises DataError for a level that does
    not exist, a missing file, and a record that is not valid, naming it. Records that occur twice are
    kept, as published figures count them.
    """
    unknown = [level for level in levels if level not in LEVELS]
    if unknown or not levels:
        raise DataError(f"--levels: {unknown[0] if unknown else 'none'}; choose from 1, 2, 3")
    files = {level: source / _FILE.format(level) for level in levels}
    if source.is_file():
        named = re.search(r"level-([123])", source.name)
        if named is None:
            raise DataError(f"{source}: the name must say the level, such as {_FILE.format(1)}")
        files = {int(named[1]): source}
    rows = [
        _row(record, level, number, f"{path.name}, row {number}")
        for level, path in files.items()
        for number, record in enumerate(read_records(path))
    ]
    about: dict[str, Any] = {
        "source": {"name": source.name, "levels": sorted(files)},
        "licence": LICENCE,
        "options": {"levels": sorted(files)},
    }
    return Dataset([], rows, [], about)


def _row(record: dict[str, Any], level: int, number: int, where: str) -> Row:
    missing = [key for key in ("system", "user", "answer") if not record.get(key)]
    if missing:
        raise DataError(
            f"{where}: the field {missing[0]!r} is missing or empty; API-Bank's rows have system, user and answer"
        )
    row = toolrl_row(record, where)
    info = {**row["extra_info"], "category": f"level-{level}", "id": f"level-{level}-{number}"}
    return {**row, "data_source": f"api_bank/level-{level}", "extra_info": info}
