"""MMLU-Pro with lm-eval's own tasks: its prompts (5 worked examples), its extraction of the letter, its metric; our requests.

The whole prompt goes as one user message, as with lm-eval's `--apply_chat_template`. The questions are TIGER-Lab/MMLU-Pro's
from the hub, or local files of the same schema.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import logging
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from awpo_ext.evaluate.chat import Chat
from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.types import Answer, Score, Task
from reward_models.errors import install_extra

SUBJECTS = (
    *("biology", "business", "chemistry", "computer_science", "economics", "engineering", "health", "history", "law"),
    *("math", "other", "philosophy", "physics", "psychology"),
)
_FIELDS = ("question", "options", "answer", "cot_content", "category")
_SPLITS = ("test", "validation")


class MmluPro:
    """`subjects` of SUBJECTS; `data` a folder with test and validation as .jsonl or .parquet, None for the hub."""

    name = "mmlu_pro"

    def __init__(self, subjects: list[str], data: Path | None) -> None:
        for subject in subjects:
            if subject not in SUBJECTS:
                near = get_close_matches(subject, SUBJECTS, 1, 0.4)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise EvalError(f"--subjects: unknown subject {subject!r}{hint} Known: {', '.join(SUBJECTS)}")
        self._source = "TIGER-Lab/MMLU-Pro from the hub" if data is None else f"local files in {data.name}"
        here = None if data is None else _local(data)
        for subject in subjects if here is not None else ():
            if subject.replace("_", " ") not in here["subjects"]:
                raise EvalError(f"--data {data}: no question of the category {subject.replace('_', ' ')!r} in test")
        manager = _manager()
        self._tasks: list[Task] = []
        self._harness: dict[str, Any] = {}
        for subject in subjects:
            self._load(manager, subject, here and here["files"])

    def about(self) -> dict[str, Any]:
        version = importlib.metadata.version("lm_eval")
        return {
            "questions": self._source,
            "protocol": f"lm-eval {version}: 5 examples, reasoning, exact match of the letter",
        }

    def identity(self) -> dict[str, Any]:
        return {"data": self.data()}

    def data(self) -> str:
        content = json.dumps(
            [(task.key, task.payload["doc"], task.payload["prompt"]) for task in self._tasks], default=str
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def close(self) -> None:
        """Nothing to let go of."""

    def tasks(self) -> list[Task]:
        return self._tasks

    def ask(self, task: Task, chat: Chat, sample: int) -> Answer:
        message = {"role": "user", "content": task.payload["prompt"]}
        return chat.ask([message], None, sample, stop=task.payload["stop"]).json()

    def score(self, task: Task, answer: Answer) -> Score:
        harness = self._harness[task.category]
        instance = task.payload["instance"]
        instance.resps, instance.filtered_resps = [answer.get("text") or ""], {}
        for ensemble in harness._filters:
            ensemble.apply([instance])
        (found,) = instance.filtered_resps.values()
        right = harness.process_results(task.payload["doc"], [found])["exact_match"] == 1
        reason = "right" if right else "no letter" if found == "[invalid]" else "wrong letter"
        cut = " (cut at max_tokens)" if answer.get("finish") == "length" and not right else ""
        return Score(right, reason + cut)

    def _load(self, manager: Any, subject: str, files: dict[str, str] | None) -> None:
        config: dict[str, Any] = {"task": f"mmlu_pro_{subject}"}
        if files is not None:
            config |= {"dataset_path": "json" if files["test"].endswith("jsonl") else "parquet"}
            config |= {"dataset_kwargs": {"data_files": files}}
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
                # As the member of a group: there lm-eval lets a registered task be changed.
                group = {"group": f"local_{subject}", "task": [config]}
                harness = manager.load([group])["tasks"][config["task"]]
                harness.build_all_requests()
        except Exception as error:  # the hub's and datasets' many kinds
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EvalError(
                f"lm-eval cannot load mmlu_pro_{subject} ({first}); without the hub, pass --data FOLDER"
            ) from error
        self._harness[subject] = harness
        for number, instance in enumerate(harness.instances):
            prompt, options = instance.args
            key = f"{subject}_{instance.doc.get('question_id', number)}"
            payload = {"prompt": prompt, "stop": options["until"], "doc": instance.doc, "instance": instance}
            self._tasks.append(Task(key, subject, payload))


def _manager() -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise EvalError(f"awpo eval mmlu_pro needs lm-eval: {install_extra('eval')}") from error
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return TaskManager()


def _local(folder: Path) -> dict[str, Any]:
    """{"files": split -> path, "subjects": those in test}. EvalError where a file or a field is missing."""
    from awpo_ext.data.errors import DataError
    from awpo_ext.data.sources.toolrl_source import read_records

    files, subjects = {}, set()
    for split in _SPLITS:
        path = next((path for path in (folder / f"{split}.jsonl", folder / f"{split}.parquet") if path.is_file()), None)
        if path is None:
            raise EvalError(f"--data {folder}: no {split}.jsonl or {split}.parquet in it")
        try:
            records = read_records(path)
        except DataError as error:
            raise EvalError(str(error)) from None
        for number, record in enumerate(records):
            missing = [name for name in _FIELDS if name not in record]
            if missing:
                raise EvalError(f"{path}, record {number}: no field {missing[0]!r}; MMLU-Pro has {', '.join(_FIELDS)}")
        files[split] = str(path)
        subjects |= {record["category"] for record in records} if split == "test" else set()
    if len({Path(path).suffix for path in files.values()}) > 1:
        raise EvalError(f"--data {folder}: test and validation must be of one kind, .jsonl or .parquet")
    return {"files": files, "subjects": subjects}
