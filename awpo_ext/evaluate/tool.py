"""Our verifiers on any of our parquet files: does the model earn full marks, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row, content_sha256, load_rows
from awpo_ext.evaluate.chat import Chat
from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.types import Answer, Score, Task
from reward_models.rollout_view import with_opened_thought
from reward_models.types import Rollout
from reward_models.verifiers import Verifier, make_verifier


class Tool:
    """A row is right where its outcome is the highest that the verifier gives for it; means of the outcome stand beside."""

    name = "tool"

    def __init__(
        self, data: Path, verifier: str, options: Mapping[str, Any] | None = None, thinking: str = "auto"
    ) -> None:
        """`thinking`: how an answer without any tag of a thought is read, see `parse_response`; a row's own comes first."""
        try:
            self._rows = load_rows(data)
        except DataError as error:
            raise EvalError(str(error)) from None
        self._verifier = checked_verifier(verifier, options or {})
        for number, row in enumerate(self._rows):
            _check(row, f"{data}, row {number}")
        if not self._rows:
            raise EvalError(f"{data}: there are no rows in it")
        self._thinking = thinking
        self._data, self._named = data, {"verifier": verifier, "thinking": thinking, **(options or {})}
        self._sha = content_sha256(self._rows)[:16]

    def about(self) -> dict[str, Any]:
        low, high = self._verifier.outcome_range
        return {"data": self._data.name, "right": f"outcome {high:g} of [{low:g}, {high:g}]", **self._named}

    def identity(self) -> dict[str, Any]:
        return {"data": self._sha}

    def data(self) -> str:
        return self._sha

    def close(self) -> None:
        """Nothing to let go of."""

    def tasks(self) -> list[Task]:
        return [
            Task(f"{number}", str(_info(row).get("category") or row["data_source"]), row)
            for number, row in enumerate(self._rows)
        ]

    def ask(self, task: Task, chat: Chat, sample: int) -> Answer:
        return chat.ask(task.payload["prompt"], None, sample).json()

    def score(self, task: Task, answer: Answer) -> Score:
        row, info = task.payload, _info(task.payload)
        rollout = Rollout(
            question=str(info.get("question") or ""),
            tools=str(info.get("tools") or ""),
            response=_response(answer),
            ground_truth=row["reward_model"]["ground_truth"],
            data_source=row["data_source"],
            extra_info=with_opened_thought(info) if self._thinking == "opened" else info,
        )
        try:
            outcome = self._verifier.verify(rollout)
        except ValueError as error:
            raise EvalError(f"{self._data}, row {task.key}: its tools or ground truth do not fit: {error}") from None
        if not outcome.valid:
            raise EvalError(f"the verifier's machinery failed on row {task.key} ({outcome.reason}); run it again")
        right = outcome.outcome >= (outcome.limits or self._verifier.outcome_range)[1]
        cut = " (cut at max_tokens)" if answer.get("finish") == "length" and not right else ""
        values = {"outcome": outcome.outcome, "format": outcome.format, "correctness": outcome.correctness}
        return Score(right, outcome.reason + cut, values)


def checked_verifier(name: str, options: Mapping[str, Any]) -> Verifier:
    """The verifier, ready; EvalError for an unknown one, or options that are not its own."""
    try:
        verifier = make_verifier(name, **options)
        verifier.check()
    except ValueError as error:
        raise EvalError(f"--verifier: {error}") from None
    return verifier


def _response(answer: Answer) -> str:
    """The text as the model wrote it, where the server has split its reasoning off."""
    reasoning, text = answer.get("reasoning") or "", answer.get("text") or ""
    return f"<think>{reasoning}</think>{text}" if reasoning else text


def _info(row: Row) -> Mapping[str, Any]:
    return row.get("extra_info") or {}


def _check(row: Row, where: str) -> None:
    prompt, marks = row.get("prompt"), row.get("reward_model")
    if not (isinstance(prompt, list) and prompt and all(isinstance(item, dict) for item in prompt)):
        raise EvalError(f"{where}: no prompt; awpo data validate says more (SFT files have none: use the RL ones)")
    truth = marks.get("ground_truth") if isinstance(marks, dict) else None
    if not (isinstance(truth, str) and truth.strip() and isinstance(row.get("data_source"), str)):
        raise EvalError(f"{where}: no reward_model.ground_truth or data_source; awpo data validate says more")
