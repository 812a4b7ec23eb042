"""Finds runs and reads their metrics: files of verl's file logger, or the record's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from reward_models.errors import UserError

Steps = dict[int, dict[str, float]]

OF_ONE_RUN = "metrics*.jsonl"  # files of one folder with such a name are one run and its resumptions
RECORD = "record"


@dataclass(frozen=True)
class Run:
    """name: to tell runs apart; preset: of `algorithm.awpo`, "" where there is no record that says it."""

    name: str
    preset: str
    steps: Steps


def read_runs(given: Sequence[str]) -> list[Run]:
    """Runs in the order in which they were first named.

    Args:
        given: of each run its folder, or its metrics files, oldest first; `NAME=` before a path names the run. Files
            named metrics*.jsonl in one folder are one run, and so are files given under one name; another file is a run
            of its own, as verl names it by the experiment.

    Raises:
        UserError: as `read_steps`; a folder holds no metrics; one name for two folders.
    """
    files: dict[tuple[str, Path], list[str]] = {}
    for argument in given:
        name, path = _named(argument)
        of_one = path.is_dir() or fnmatch(path.name, OF_ONE_RUN)
        place = path if path.is_dir() else path.parent
        known = next((key for key in files if name and key[0] == name), None)
        if known and known[1] != place:
            raise UserError(f"{name}= names {known[1]} and {place}; give each run a name of its own")
        key = known or (name, place if of_one or name else path)
        files.setdefault(key, []).extend(_files(path))
    heads = [_head(place if place.is_dir() else place.parent) for _, place in files]
    names = _distinct([(name, place, head[0]) for (name, place), head in zip(files, heads, strict=True)])
    return [
        Run(name, preset, read_steps(paths))
        for name, (_, preset), paths in zip(names, heads, files.values(), strict=True)
    ]


def _named(argument: str) -> tuple[str, Path]:
    name, equals, path = argument.partition("=")
    if equals and name and path and not Path(argument).exists():
        return name, Path(path).expanduser()
    return "", Path(argument).expanduser()


def _files(path: Path) -> list[str]:
    if not path.is_dir():
        return [str(path)]
    found = sorted(map(str, path.glob(OF_ONE_RUN))) or sorted(map(str, path.glob(f"{RECORD}/metrics.jsonl")))
    if not found:
        raise UserError(f"{path} holds no {OF_ONE_RUN} and no record; set trainer.logger=[console,file]")
    return found


def _head(folder: Path) -> tuple[str, str]:
    """Name and preset, as the record says them; empty where it does not."""
    for file in (folder / "run.json", folder / RECORD / "run.json", folder / "checkpoints" / RECORD / "run.json"):
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
            name = str(run["name"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        try:
            return name, str(run["config"]["algorithm"]["awpo"].get("preset", "awpo"))
        except (KeyError, TypeError, AttributeError):
            return name, ""
    return "", ""


def _distinct(runs: Sequence[tuple[str, Path, str]]) -> list[str]:
    """The name given, else the record's where no other run has it, else that of the folder or file; numbered if need be."""
    recorded = Counter(name for _, _, name in runs)
    names: list[str] = []
    for given, place, name in runs:
        shown = given or (name if recorded[name] == 1 else "") or _name_of(place.resolve())
        known = sum(other == shown or other.rpartition(" (")[0] == shown for other in names)
        names.append(f"{shown} ({known + 1})" if known else shown)
    return names


def _name_of(place: Path) -> str:
    if place.is_dir():
        return place.parent.name if place.name == RECORD else place.name
    return place.stem


def read_steps(paths: Sequence[str]) -> Steps:
    """Metrics by step; a later file (a resumed run) wins where steps overlap.

    Raises:
        UserError: a file cannot be read or holds no metrics, or a line is not one of verl's file logger or of a record;
            the message names it. A half-written last line of a killed run is dropped.
    """
    steps: Steps = {}
    for path in paths:
        lines = _lines(path)
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                if number == len(lines):
                    continue
                raise UserError(f"{path}:{number} is not JSON: {error}") from error
            step, data = _step_of(record, f"{path}:{number}")
            steps.setdefault(step, {}).update(data)
    if not steps:
        raise UserError(f"no metrics in {', '.join(paths)}; set trainer.logger=[console,file]")
    return dict(sorted(steps.items()))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"{path}: cannot be read ({reason}); give a metrics*.jsonl of verl's file logger") from None


def _step_of(line: Any, where: str) -> tuple[int, dict[str, float]]:
    step, data = (line.get("step"), line.get("data", line.get("metrics"))) if isinstance(line, dict) else (None, None)
    if not (type(step) is int and isinstance(data, dict)):
        raise UserError(f'{where} is not a step of verl\'s file logger: expected {{"step": 1, "data": {{..}}}}')
    return step, {key: float(value) for key, value in data.items() if isinstance(value, int | float)}
