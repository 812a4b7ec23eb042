"""What may come back from a task: its process is where the arguments were at work, so anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from reward_models.sandbox.jobs import RAISED, RETURNED
from reward_models.sandbox.snapshot import MAX_DEPTH
from reward_models.sandbox.types import TaskResult, TaskStatus

_SAYABLE = {TaskStatus.MEMORY.value: TaskStatus.MEMORY, TaskStatus.RAISED.value: TaskStatus.RAISED}
_MAX_LEVELS = 3 * MAX_DEPTH + 8  # a form needs up to three levels of lists for one of its value


def read_reply(body: bytes) -> TaskResult:
    """A task's own reply; CRASHED where it is not one that a task can give."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError, MemoryError):
        reply = None
    if isinstance(reply, dict) and isinstance(status := reply.get("status"), str):
        if status == TaskStatus.OK.value and reply.keys() == {"status", "value"}:
            return TaskResult(TaskStatus.OK, reply["value"])
        if status in _SAYABLE and reply.keys() == {"status", "detail"} and isinstance(reply["detail"], str):
            return TaskResult(_SAYABLE[status], detail=reply["detail"])
    return TaskResult(TaskStatus.CRASHED, detail="the reply is not a task's")


def are_results(value: Any, count: int) -> bool:
    """Whether `value` is what `jobs.run_calls` returns for `count` calls."""
    return isinstance(value, list) and len(value) == count and all(map(_is_result, value))


def are_turns(value: Any, counts: Sequence[int], classes: Collection[str]) -> bool:
    """Whether `value` is what `jobs.run_turns` returns for turns of `counts` calls on `classes`."""
    return (
        isinstance(value, list)
        and len(value) == len(counts)
        and all(_is_turn(turn, count, classes) for turn, count in zip(value, counts, strict=True))
        and value[0]["state"].keys() == set(classes)
    )


def _is_turn(turn: Any, count: int, classes: Collection[str]) -> bool:
    if not isinstance(turn, dict) or turn.keys() != {"results", "state"} or not isinstance(turn["state"], dict):
        return False
    forms: Mapping[str, Any] = turn["state"]
    return are_results(turn["results"], count) and forms.keys() <= set(classes) and all(map(_is_form, forms.values()))


def _is_result(result: Any) -> bool:
    if not isinstance(result, list) or not result:
        return False
    if result[0] == RETURNED:
        return len(result) == 2 and _is_form(result[1])
    return result[0] == RAISED and len(result) == 3 and all(isinstance(part, str) for part in result)


def _is_form(value: Any) -> bool:
    """Whether it can be a snapshot's form as far as comparing asks: scalars and lists, not nested beyond what it makes."""
    level = [value]
    for _ in range(_MAX_LEVELS):
        level = [item for form in level if type(form) is list for item in form]
        if not level:
            break
        if any(type(item) is dict for item in level):
            return False
    return not level and type(value) is not dict
