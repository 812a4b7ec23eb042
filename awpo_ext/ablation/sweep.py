"""An ablation: presets of the estimator x judges x seeds on one recipe, run one after the other and resumable.

A cell is one training run in a folder of its own. It is finished when `done.json` exists; whatever ends a run before
that (a kill, a failure) leaves a cell that the next call starts again, and the recipe resumes from its checkpoints where it
saves some. Reads no metrics: that is `ablation_report.py`.
"""

import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO

from awpo_ext.config import PRESETS
from reward_models.errors import UserError

DONE, FAILED, SPEC, LOG, LOCK = "done.json", "failed.json", "spec.json", "console.log", "lock"
TAIL_LINES = 15


class AblationError(UserError, ValueError):
    """A sweep file that does not fit; the message names key, value and fix."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says, in YAML or JSON.

    Args:
        base: the recipe, a shell script that passes "$@" to verl and takes OUT and JUDGE from its environment.
        out: the folder of all cells, the table and the figure.
        presets: names of `algorithm.awpo.preset`; the first is what the others are compared with.
        seeds: of the data's order, the mini-batches and vLLM's sampling.
        judges: values of JUDGE, or a name each with its environment (`{big: {JUDGE: llm, JUDGE_URL: ..}}`).
        environment, overrides: for every cell: variables of the recipe, and verl's overrides.
        timeout_minutes: a cell that takes longer is ended and counts as failed; None: no limit.
        attempts: how often a failing cell is started in one call.
    """

    base: str
    out: str
    presets: tuple[str, ...] = ("awpo", "outcome_only", "naive_sum")
    seeds: tuple[int, ...] = (0, 1, 2)
    judges: dict[str, dict[str, str]] = field(default_factory=lambda: {"embedding": {"JUDGE": "embedding"}})
    environment: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    timeout_minutes: float | None = None
    attempts: int = 1

    def __post_init__(self) -> None:
        if not Path(self.base).is_file():
            raise AblationError(f"base={self.base!r} is not a file; give a recipe, such as recipes/run_awpo_qwen3.sh")
        unknown = [name for name in self.presets if name not in PRESETS]
        if unknown or not self.presets:
            raise AblationError(f"presets={list(self.presets)!r}: choose from {', '.join(PRESETS)}")
        if not self.seeds or not all(type(seed) is int and seed >= 0 for seed in self.seeds):
            raise AblationError(f"seeds={list(self.seeds)!r} must be whole numbers from 0 on, at least one")
        for key in ("presets", "seeds"):
            if len(set(getattr(self, key))) != len(getattr(self, key)):
                raise AblationError(f"{key}={list(getattr(self, key))!r} names one twice")
        if not self.judges:
            raise AblationError("judges is empty; give at least one, such as [embedding]")
        if type(self.attempts) is not int or self.attempts < 1:
            raise AblationError(f"attempts={self.attempts!r} must be a whole number above 0")
        if self.timeout_minutes is not None and not self.timeout_minutes > 0:
            raise AblationError(f"timeout_minutes={self.timeout_minutes!r} must be above 0, or null for no limit")

    def cells(self) -> list["Cell"]:
        """All runs, seed by seed, so that a sweep that is cut short has every preset at the first seeds."""
        return [
            Cell(self, preset, judge, seed) for seed in self.seeds for judge in self.judges for preset in self.presets
        ]


def read_sweep(path: Path) -> Sweep:
    """The sweep of a file. AblationError for what does not fit, an unknown key by name."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            values = json.loads(text)
        else:
            import yaml

            values = yaml.safe_load(text)
    except ImportError as error:
        raise AblationError(f"{path}: reading YAML needs `pip install pyyaml`; a .json file does not") from error
    except Exception as error:  # missing, no text, or either parser's own errors
        raise AblationError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    known = [one.name for one in fields(Sweep)]
    if not isinstance(values, dict):
        raise AblationError(f"{path}: not a mapping; its keys are {', '.join(known)}")
    for key in values:
        if key not in known:
            raise AblationError(f"{path}: unknown key {key!r}; its keys are {', '.join(known)}")
    for key in ("base", "out"):
        if not isinstance(values.get(key), str):
            raise AblationError(f"{path}: {key}={values.get(key)!r} must be a path")
    for key in ("presets", "seeds", "overrides"):
        if key in values:
            if not isinstance(values[key], list):
                raise AblationError(f"{path}: {key}={values[key]!r} must be a list")
            values[key] = tuple(values[key])
    judges = values.get("judges")
    if isinstance(judges, list):
        values["judges"] = {str(name): {"JUDGE": str(name)} for name in judges}
    elif "judges" in values:
        if not isinstance(judges, dict) or not all(isinstance(given, dict) for given in judges.values()):
            raise AblationError(f"{path}: judges={judges!r} must be a list of names, or names with their environment")
        values["judges"] = {str(name): _texts(given) for name, given in judges.items()}
    if not isinstance(values.get("environment", {}), dict):
        raise AblationError(f"{path}: environment={values['environment']!r} must map variables to values")
    values["environment"] = _texts(values.get("environment", {}))
    return Sweep(**values)


def _texts(values: dict[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


@dataclass(frozen=True)
class Cell:
    """One run of a sweep."""

    sweep: Sweep
    preset: str
    judge: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.preset}-{self.judge}-seed{self.seed}"

    @property
    def folder(self) -> Path:
        return Path(self.sweep.out) / "cells" / self.name

    @property
    def done(self) -> bool:
        return (self.folder / DONE).is_file()

    def spec(self) -> dict[str, Any]:
        """All that decides the run, the machine aside."""
        overrides = [
            f"+algorithm.awpo.preset={self.preset}",
            f"data.seed={self.seed}",
            f"actor_rollout_ref.actor.data_loader_seed={self.seed}",
            f"actor_rollout_ref.rollout.seed={self.seed}",
            *self.sweep.overrides,
        ]
        environment = {**self.sweep.environment, **self.sweep.judges[self.judge]}
        return {"base": self.sweep.base, "environment": environment, "overrides": overrides}

    def command(self) -> list[str]:
        return ["bash", self.sweep.base, *self.spec()["overrides"]]

    def metrics_files(self) -> list[str]:
        """What verl's file logger wrote for this cell, oldest first: a resumed run has several."""
        return [
            str(path) for path in sorted(self.folder.rglob("metrics*.jsonl"), key=lambda path: path.stat().st_mtime)
        ]


def check_spec(cell: Cell) -> None:
    """AblationError where the cell's folder holds a run with other settings."""
    path = cell.folder / SPEC
    if not path.is_file():
        return
    known, wanted = json.loads(path.read_text()), cell.spec()
    changed = [key for key in wanted if known.get(key) != wanted[key]]
    if changed:
        raise AblationError(
            f"{cell.folder} holds a run with {changed[0]}={known.get(changed[0])!r}, now {wanted[changed[0]]!r}; "
            "choose another `out`, or remove that folder"
        )


def run_cell(cell: Cell, say: Any) -> str:
    """Run the cell to its end: "done", "failed", or "busy" where another process runs it. Skips one that is done.

    KeyboardInterrupt ends the run and is passed on; the cell is then as if it had been killed.
    """
    check_spec(cell)
    if cell.done:
        return "done"
    cell.folder.mkdir(parents=True, exist_ok=True)
    with _locked(cell.folder / LOCK) as lock:
        if lock is None:
            say(f"{cell.name}: runs already, from another call")
            return "busy"
        (cell.folder / SPEC).write_text(json.dumps(cell.spec(), indent=1) + "\n")
        for attempt in range(1, cell.sweep.attempts + 1):
            started = time.monotonic()
            problem = _attempt(cell, lock)
            seconds = round(time.monotonic() - started)
            record = {"attempt": attempt, "seconds": seconds}
            if problem is None:
                (cell.folder / FAILED).unlink(missing_ok=True)
                (cell.folder / DONE).write_text(json.dumps(record) + "\n")
                say(f"{cell.name}: done in {seconds} s")
                return "done"
            (cell.folder / FAILED).write_text(json.dumps({**record, "problem": problem}, indent=1) + "\n")
            say(f"{cell.name}: failed after {seconds} s (attempt {attempt} of {cell.sweep.attempts}): {problem}")
    return "failed"


def _attempt(cell: Cell, lock: TextIO) -> str | None:
    """Start the recipe and wait. None where it ended well, else what went wrong."""
    environment = os.environ | cell.spec()["environment"] | {"OUT": str(cell.folder.resolve())}
    limit = None if cell.sweep.timeout_minutes is None else 60 * cell.sweep.timeout_minutes
    with open(cell.folder / LOG, "a") as log:
        log.write(f"\n$ {shlex.join(cell.command())}\n")
        log.flush()
        # The run inherits the lock: where only this process is killed, nobody starts the cell a second time beside it.
        process = subprocess.Popen(
            cell.command(), env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            pass_fds=[lock.fileno()],
        )  # fmt: skip
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"took longer than timeout_minutes={cell.sweep.timeout_minutes:g}; log: {cell.folder / LOG}"
        except BaseException:
            _end(process)
            raise
    if status != 0:
        return f"exit code {status}; the end of {cell.folder / LOG}:\n{_tail(cell.folder / LOG)}"
    if not cell.metrics_files():
        return f"it left no metrics*.jsonl in {cell.folder}; the recipe must log to a file there (trainer.logger, OUT)"
    return None


def _end(process: subprocess.Popen) -> None:
    """The run's process group: a chance to end by itself, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
            return


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-TAIL_LINES:])


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[TextIO | None]:
    """The open lock file, None where another process holds it."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file
