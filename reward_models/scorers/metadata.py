"""`awpo_scorer.json`, which every scorer's folder has: its format, its family and what the family says of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
METADATA = "awpo_scorer.json"


def read_family(folder: Path) -> str:
    """The scorer's family; ValueError, with the fix, where the folder is not a scorer's or has another format."""
    return str(_read_json(folder).get("family"))


def read_values(folder: Path, family: str, keys: Iterable[str]) -> dict[str, Any]:
    """What the file says under exactly `keys`; ValueError, with file and fix, where it is missing, broken or another one."""
    data, path = _read_json(folder), folder / METADATA
    if data.get("family") != family:
        raise ValueError(f"{path}: family={data.get('family')!r} is not {family!r}")
    wanted = {"format", "family", *keys}
    if set(data) != wanted:
        off = ", ".join(repr(key) for key in sorted(set(data) ^ wanted))
        raise ValueError(f"{path}: missing or unknown: {off}; the keys are {', '.join(sorted(wanted))}")
    return {key: data[key] for key in keys}


def write_values(folder: Path, family: str, values: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    text = json.dumps({"format": FORMAT, "family": family, **values}, indent=2, ensure_ascii=False, allow_nan=False)
    temporary = folder / f".{METADATA}.new"
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, folder / METADATA)


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: not a scorer's folder, {METADATA} is missing; `awpo scorer train` makes such folders"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None
    found = data.get("format") if isinstance(data, dict) else data
    if not isinstance(data, dict) or found != FORMAT:
        raise ValueError(
            f"{path}: format={found!r} is not {FORMAT}, the one this release reads: train the scorer again, or install "
            "the release that wrote it"
        )
    return data
