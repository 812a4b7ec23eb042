"""Checks of rows in verl's schemas: each problem names row, field and fix. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row, read_columns
from awpo_ext.data.tagged import TaggedTextError, parse_tagged
from reward_models.types import Rollout
from reward_models.verifiers.expected import parse_expected, read_expected
from reward_models.verifiers.schema import read_tools
from reward_models.verifiers.tools.state_truth import read_truth
from reward_models.verifiers.truth_check import check_truth

_RL_COLUMNS = ("data_source", "prompt", "reward_model", "extra_info")
_ROLES = ("system", "user", "assistant", "tool")
_FORM = 'write <think>..</think> and a <tool_call> block with one {"name", "parameters"} object a line, or a <response>'


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field of one row (counted from 0), and how to put it right."""

    row: int
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: {self.message} (fix: {self.fix})"


def _check_messages(row: int, field: str, messages: Any) -> list[Problem]:
    if not isinstance(messages, list) or not messages:
        return [Problem(row, field, "no messages", "give a list of {role, content}, with at least the user's message")]
    problems = []
    for i, message in enumerate(messages):
        at = f"{field}[{i}]"
        if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
            problems.append(Problem(row, at, "not a {role, content} message", "give each message both fields"))
            continue
        if message["role"] not in _ROLES:
            problems.append(Problem(row, f"{at}.role", f"unknown role {message['role']!r}", f"use one of {_ROLES}"))
        if not isinstance(message["content"], str) or not message["content"].strip():
            problems.append(Problem(row, f"{at}.content", "empty", "remove the message or give it text"))
    return problems


def _check_tagged(row: int, field: str, text: Any) -> list[Problem]:
    if not isinstance(text, str) or not text.strip():
        return [Problem(row, field, "empty", _FORM)]
    try:
        parse_tagged(text)
    except TaggedTextError as error:
        return [Problem(row, field, str(error), _FORM)]
    return []


def _check_truth(row: int, field: str, text: Any) -> list[Problem]:
    """As the verifiers read it; a thought beside the calls does not matter to them."""
    if not isinstance(text, str) or not text.strip():
        return [Problem(row, field, "empty", _FORM)]
    try:
        parse_expected(text)
    except ValueError as error:
        return [Problem(row, field, str(error), _FORM)]
    return []


def _check_state(row: int, field: str, text: Any) -> list[Problem]:
    try:
        read_truth(text if isinstance(text, str) else "")
    except ValueError as error:
        return [Problem(row, field, str(error), "give what the verifier `state` reads, see docs/verifiers.md")]
    return []


def _check_extra_info(row: int, info: Any) -> list[Problem]:
    if not isinstance(info, dict):
        return [Problem(row, "extra_info", "missing", "give a struct; the data commands fill it")]
    problems = []
    if "question" in info and not (isinstance(info["question"], str) and info["question"].strip()):
        problems.append(Problem(row, "extra_info.question", "empty", "give the user's last message"))
    if "tools" in info:
        problems += _check_tools(row, info["tools"])
    if info.get("possible_answer"):
        problems += _check_truth(row, "extra_info.possible_answer", info["possible_answer"])
    return problems


def _check_tools(row: int, text: Any) -> list[Problem]:
    """Compiled as the verifiers do it: a schema that cannot be would end a run at the row's first rollout."""
    if not isinstance(text, str):
        return [Problem(row, "extra_info.tools", "not a JSON list", "give the tool definitions as JSON")]
    try:
        read_tools(text)
    except ValueError as error:
        return [Problem(row, "extra_info.tools", str(error), "give the tool definitions as a JSON list")]
    return []


def check_rl_row(number: int, row: Row) -> list[Problem]:
    """Problems of one row of RL data; `number` is the row's place in its file."""
    problems = []
    if not isinstance(row.get("data_source"), str) or not row["data_source"]:
        problems.append(Problem(number, "data_source", "empty", "name the source, for example 'rlla'"))
    problems += _check_messages(number, "prompt", row.get("prompt"))
    reward_model = row.get("reward_model")
    truth = reward_model.get("ground_truth") if isinstance(reward_model, dict) else None
    several_turns = isinstance(row.get("extra_info"), dict) and row["extra_info"].get("user_turns") is not None
    problems += (_check_state if several_turns else _check_truth)(number, "reward_model.ground_truth", truth)
    return problems + _check_extra_info(number, row.get("extra_info"))


def check_sft_row(number: int, row: Row) -> list[Problem]:
    """Problems of one row of SFT data: the last message must be the assistant's, in the tagged form."""
    messages: Any = row.get("messages")
    problems = _check_messages(number, "messages", messages)
    if problems:
        return problems
    if messages[-1]["role"] != "assistant":
        return [Problem(number, "messages[-1].role", "not 'assistant'", "end with the answer to be learned")]
    if any(message["role"] == "tool" for message in messages):
        return []  # a trajectory: its texts are of the model's own form, not the tagged one
    return _check_tagged(number, "messages[-1].content", messages[-1]["content"])


def validate_rows(rows: Sequence[Row]) -> list[Problem]:
    """Problems of the rows, in order; RL or SFT data by whether a row has `messages`. An id must occur once only."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows):
        sft = "messages" in row
        problems += check_sft_row(number, row) if sft else check_rl_row(number, row)
        info = row if sft else row.get("extra_info")
        row_id = info.get("id") if isinstance(info, dict) else None
        if isinstance(row_id, str) and seen.setdefault(row_id, number) != number:
            field = "id" if sft else "extra_info.id"
            problems.append(Problem(number, field, f"{row_id!r} is row {seen[row_id]} too", "make ids unique"))
    return problems


def off_schema(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What ground truths of valid RL rows ask for against their own tools' schemas: by kind, each with its row.

    No problem of the file's form, and published data has such rows: the model is then rewarded for what a server refuses.
    """
    found: dict[str, list[str]] = {}
    for number, row in enumerate(rows):
        info = row.get("extra_info") or {}
        if "messages" in row or info.get("user_turns") is not None or not info.get("tools"):
            continue
        truth = read_expected(Rollout("", "", "", row["reward_model"]["ground_truth"], "", info))
        for fault in check_truth(truth, read_tools(info["tools"])):
            found.setdefault(fault.kind.value, []).append(f"row {number}: {fault}")
    return found


def validate_file(path: Path) -> tuple[list[Row], list[Problem]]:
    """Rows and problems of a parquet file in verl's RL or SFT schema.

    Raises DataError where the file cannot be read, has no rows, or lacks a column that every row needs.
    """
    columns, rows = read_columns(path)
    if "messages" not in columns:
        missing = [name for name in _RL_COLUMNS if name not in columns]
        if missing:
            raise DataError(
                f"{path}: the column {missing[0]!r} is missing (there are {', '.join(columns) or 'none'}); verl's RL "
                f"data needs {', '.join(_RL_COLUMNS)}, its SFT data 'messages'; convert the file with `awpo data`"
            )
    if not rows:
        raise DataError(f"{path}: the file has no rows")
    return rows, validate_rows(rows)
