"""API-Bank levels 1-3 in ToolRL's prompt format: one call is expected, right where name and parameters are the gold ones.

The protocol is a RECONSTRUCTION of the one under which ToolRL and the work after it report API-Bank (arXiv 2504.13958):
greedy, one answer, its first `<tool_call>` compared with the gold call by tool name and parameter object. API-Bank's own
evaluator (arXiv 2304.08244) runs the called API instead and compares its result, so its figures are not these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from awpo_ext.data.errors import DataError
from awpo_ext.data.sources.toolrl_source import read_records
from awpo_ext.evaluate.chat import Chat
from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.types import Answer, Score, Task
from reward_models.parsing import Status, parse_response

LEVELS = (1, 2, 3)
_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_FILE = "level-{}-api_processed.json"


class ApiBank:
    """`folder` holds level-{1,2,3}-api_processed.json of ToolRL's repository (benchmarks/API-Bank)."""

    name = "apibank"

    def __init__(self, folder: Path, levels: Sequence[int]) -> None:
        for level in levels:
            if level not in LEVELS:
                raise EvalError(f"--levels {level}: must be of {', '.join(map(str, LEVELS))}")
        if not levels:
            raise EvalError("--levels: name at least one")
        self._tasks = [task for level in sorted(set(levels)) for task in _read(folder / _FILE.format(level), level)]
        content = json.dumps([(task.key, task.payload) for task in self._tasks], sort_keys=True)
        self._sha = hashlib.sha256(content.encode()).hexdigest()[:16]

    def about(self) -> dict[str, Any]:
        return {"protocol": "tool name and parameters equal the gold call (reconstruction of ToolRL's; see docs)"}

    def identity(self) -> dict[str, Any]:
        return {"data": self._sha}

    def data(self) -> str:
        return self._sha

    def close(self) -> None:
        """Nothing to let go of."""

    def tasks(self) -> list[Task]:
        return self._tasks

    def ask(self, task: Task, chat: Chat, sample: int) -> Answer:
        return chat.ask(task.payload["messages"], None, sample).json()

    def score(self, task: Task, answer: Answer) -> Score:
        reason = judge(answer.get("text") or "", task.payload["gold"])
        cut = " (cut at max_tokens)" if answer.get("finish") == "length" and reason != "exact" else ""
        return Score(reason == "exact", reason + cut)


def judge(text: str, gold: Mapping[str, Any]) -> str:
    """`exact`, or why the response is not: no_call, unreadable, wrong_name, wrong_parameters, several_calls."""
    # The published reading asks for no thought, and ignores what surrounds the block.
    after = text[text.rfind("</think>") + 1 :] if "</think>" in text else text
    start, end = after.find(_OPEN), after.find(_CLOSE)
    if start < 0:
        return "no_call"
    if end < start:
        return "unreadable"
    parsed = parse_response(after[start : end + len(_CLOSE)], "toolrl")
    if parsed.status is not Status.VALID:
        return "unreadable"
    if len(parsed.calls) > 1:
        return "several_calls"
    (call,) = parsed.calls
    if call.name != gold["name"]:
        return "wrong_name"
    return "exact" if call.arguments == gold["parameters"] else "wrong_parameters"


def _read(path: Path, level: int) -> list[Task]:
    try:
        records = read_records(path)
    except DataError as error:
        raise EvalError(f"{error}; --data must be a folder with {_FILE.format('{1,2,3}')}") from None
    return [_task(record, level, number, f"{path}, record {number}") for number, record in enumerate(records)]


def _task(record: Mapping[str, Any], level: int, number: int, where: str) -> Task:
    answers = record.get("answer")
    gold = answers[0] if isinstance(answers, list) and len(answers) == 1 else answers
    if not (isinstance(gold, dict) and isinstance(gold.get("name"), str) and isinstance(gold.get("parameters"), dict)):
        raise EvalError(f"{where}: its answer is not one {{name, parameters}}")
    if not all(isinstance(record.get(key), str) and record[key] for key in ("system", "user")):
        raise EvalError(f"{where}: no system or user text")
    messages = [{"role": role, "content": record[role]} for role in ("system", "user")]
    return Task(f"level{level}_{number}", f"level {level}", {"messages": messages, "gold": gold})
