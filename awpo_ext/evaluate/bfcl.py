"""BFCL through the official package `bfcl-eval`: its data, prompts, loop, decoders and checkers; our requests.

What is ours: sending the requests, keeping the answers, counting. See `bfcl_jobs` for how the package is driven, and
docs/evaluation.md for how a figure compares with the leaderboard's.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from awpo_ext.evaluate.chat import Chat
from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.types import Answer, Score, Task
from reward_models.errors import install_extra
from reward_models.sandbox import PayloadTooLarge, Sandbox, SandboxConfig, SandboxUnavailable, TaskStatus

PACKAGE = "bfcl-eval"
MODES = ("prompt", "tools")
TEMPERATURE = 0.001  # the package's default
_JOBS = "awpo_ext.evaluate.bfcl_jobs"
_INSTALL = f"{install_extra('bfcl')}, and pip install --no-deps bfcl-eval==2026.3.23"
_NEEDS = (
    "bfcl_eval",
    "tree_sitter",
    "tree_sitter_java",
    "overrides",
    "tenacity",
    "filelock",
    "mpmath",
    "pandas",
    "dotenv",
)
_UNSUPPORTED = {
    "memory": "their conversations share a memory and cannot run side by side; use the package's own `bfcl generate`",
    "web_search": "they need a paid search API; use the package's own `bfcl generate`",
    "format_sensitivity": "it is not scored on the leaderboard; use the package's own `bfcl generate`",
}


class Bfcl:
    """`categories` are the package's names, or of its groups (single_turn, live, multi_turn, python ...)."""

    name = "bfcl"

    def __init__(self, categories: Sequence[str], mode: str, workers: int | None = None) -> None:
        if mode not in MODES:
            raise EvalError(f"--mode {mode}: must be one of {', '.join(MODES)}")
        missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
        if missing:
            raise EvalError(f"awpo eval bfcl needs {', '.join(missing)}: {_INSTALL}")
        self.mode = mode
        self._root = tempfile.TemporaryDirectory(prefix="bfcl-")
        self._package = _utilities(self._root.name)
        self.categories = choose(categories, self._package)
        self._version = importlib.metadata.version(PACKAGE)
        self._tasks: list[Task] | None = None
        config = SandboxConfig(
            workers=workers or min(8, os.cpu_count() or 2),
            timeout_seconds=120.0,
            cpu_seconds=60,
            memory_mb=1024,
            request_mb=64,
            response_mb=64,
            startup_seconds=180.0,
            require_landlock=False,  # nothing that the model writes is run as code, and the tools work in memory
            environment={"BFCL_PROJECT_ROOT": self._root.name},
        )
        self._starting, self._started = threading.Lock(), False
        self._sandbox = Sandbox(config, preload=[_JOBS])

    def close(self) -> None:
        self._sandbox.close()
        self._root.cleanup()

    def about(self) -> dict[str, Any]:
        form = (
            "BFCL's system prompt" if self.mode == "prompt" else "tools= of the chat API (names' dots as underscores)"
        )
        return {
            "categories": ", ".join(self.categories),
            "mode": f"{self.mode}: {form}",
            "scored by": f"{PACKAGE} {self._version}, its own inference loop and checkers",
        }

    def identity(self) -> dict[str, Any]:
        return {"mode": self.mode, "package": f"{PACKAGE} {self._version}"}

    def data(self) -> str:
        digest = hashlib.sha256(self._version.encode())
        for task in self.tasks():
            digest.update(json.dumps(task.payload, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def tasks(self) -> list[Task]:
        if self._tasks is None:
            self._tasks = [task for category in self.categories for task in self._load(category)]
        return self._tasks

    def ask(self, task: Task, chat: Chat, sample: int) -> Answer:
        replies: list[Mapping[str, Any]] = []
        while True:
            job = {"entry": task.payload["asked"], "mode": self.mode, "replies": replies}
            step = self._run("advance", job)
            if not isinstance(step, dict) or "request" not in step:
                return {"replies": len(replies), **(step if isinstance(step, dict) else {})}
            request = step["request"]
            replies.append(chat.ask(request["messages"], request["tools"], sample).json())

    def score(self, task: Task, answer: Answer) -> Score:
        if "result" not in answer:
            return Score(False, str(answer.get("stopped", "no_result")))
        about = {"mode": self.mode, "category": task.category}
        decoded = self._run("decode", {**about, "result": answer["result"]})
        if not isinstance(decoded, str):
            return _no_verdict(decoded)
        payload = {"entry": task.payload["checked"], "truth": task.payload["truth"], "decoded": decoded}
        verdict = self._run("check", {**about, **payload})
        if not isinstance(verdict, dict) or verdict.keys() != {"valid", "reason"}:
            return _no_verdict(verdict)
        return Score(verdict["valid"] is True, str(verdict["reason"]))

    def write_official(self, folder: Path, name: str, answers: Mapping[str, Answer]) -> Path:
        """Result files where `bfcl evaluate` looks for them under BFCL_PROJECT_ROOT=`folder`; returns the model's folder."""
        package, root = self._package, folder / "result" / name.replace("/", "_")
        for category in self.categories:
            path = root / package.get_directory_structure_by_category(category)
            path.mkdir(parents=True, exist_ok=True)
            lines = [
                json.dumps({"id": task.key, "result": answers[task.key]["result"], **answers[task.key]["metadata"]})
                for task in self.tasks()
                if task.category == category and "result" in answers.get(task.key, {})
            ]
            file = path / package.get_file_name_by_category(category, is_result_file=True)
            file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return root

    def _load(self, category: str) -> Iterable[Task]:
        package = self._package
        # As the package does: hints on the language are in what is asked, not in what is checked.
        asked = package.load_dataset_entry(category)
        checked = package.load_dataset_entry(category, include_language_specific_hint=False)
        truths = [None] * len(asked)
        if "relevance" not in category:
            truths = [entry["ground_truth"] for entry in package.load_ground_truth_entry(category)]
        for one, other, truth in zip(asked, checked, truths, strict=True):
            yield Task(one["id"], category, {"asked": one, "checked": other, "truth": truth})

    def _run(self, name: str, job: dict[str, Any]) -> Any:
        """The job's value; {"stopped": why} where it broke a limit, the package raised, or its process died: one row.

        EvalError where the sandbox does not start at all.
        """
        self._start()
        try:
            result = self._sandbox.submit(f"{_JOBS}:{name}", job).result()
        except SandboxUnavailable:
            return {"stopped": "sandbox: the task could not be run"}
        except PayloadTooLarge:
            return {"stopped": "sandbox: too large"}
        if result.status is TaskStatus.OK:
            return result.value
        detail = f": {result.detail.split(':')[0]}" if result.status is TaskStatus.RAISED else ""
        return {"stopped": f"official code: {result.status.value}{detail}"}

    def _start(self) -> None:
        with self._starting:
            if self._started:
                return
            try:
                self._sandbox.submit(f"{_JOBS}:ready", None).result()
            except SandboxUnavailable as error:
                raise EvalError(f"awpo eval bfcl runs the package in a sandbox, which cannot start: {error}") from None
            self._started = True


def _no_verdict(stopped: Any) -> Score:
    return Score(False, str(stopped.get("stopped", "no_verdict") if isinstance(stopped, dict) else "no_verdict"))


def choose(names: Sequence[str], package: Any) -> list[str]:
    """The categories that `names` stand for, each once. EvalError for an unknown or unsupported one."""
    groups = package.TEST_COLLECTION_MAPPING
    supported = [*package.SINGLE_TURN_CATEGORY, *package.MULTI_TURN_CATEGORY]
    chosen: dict[str, None] = {}
    for name in names:
        for reason_key, reason in _UNSUPPORTED.items():
            if name.startswith(reason_key):
                raise EvalError(f"--categories: {name} is not supported here: {reason}")
        if name in supported:
            chosen[name] = None
        elif name in groups and set(groups[name]) <= set(supported):
            chosen.update(dict.fromkeys(groups[name]))
        else:
            usable = [*supported, *(group for group in groups if set(groups[group]) <= set(supported))]
            near = get_close_matches(name, usable, 1, 0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise EvalError(f"--categories: unknown category {name!r}{hint} Known: {', '.join(usable)}")
    if not chosen:
        raise EvalError("--categories: name at least one")
    return list(chosen)


def _utilities(root: str) -> Any:
    """The package's data functions. Their import makes folders under BFCL_PROJECT_ROOT, so not in site-packages."""
    before = os.environ.get("BFCL_PROJECT_ROOT")
    os.environ["BFCL_PROJECT_ROOT"] = root
    try:
        import bfcl_eval.utils as package
    finally:
        with contextlib.suppress(KeyError):
            del os.environ["BFCL_PROJECT_ROOT"]
        if before is not None:
            os.environ["BFCL_PROJECT_ROOT"] = before
    return package
