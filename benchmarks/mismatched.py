"""Real reasoning of tool calls beside reasoning that does not belong to them, from ToolRL's `rlla_sft.json`.

For measuring judges. Only rows with one user message and tool calls: what a judge is shown of them is all that the
writer of the thought had seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from awpo_ext.data.rows import Row
from awpo_ext.data.sources.toolrl import toolrl_row
from awpo_ext.data.sources.toolrl_source import read_source
from awpo_ext.data.sources.toolrl_text import user_messages
from awpo_ext.data.split import hash_order, question_key, split_rows, stable_hash
from awpo_ext.data.tagged import parse_tagged, render_answer
from reward_models.labelled import HONEST, LabelledRollout
from reward_models.parsing import ToolCall
from reward_models.types import Rollout

KINDS = ("other_thought", "nearest_thought", "tool_swapped", "values_swapped")
HALVES = ("choose", "report")  # rubrics are chosen on the first and reported on the second
_MIN_THOUGHT_CHARS = 200


def read_rows(path: Path) -> list[Row]:
    """The usable rows of a ToolRL file of reasoning traces, each question once; DataError where it cannot be read."""
    rows: dict[str, Row] = {}
    for number, record in enumerate(read_source(str(path)).train):
        row = toolrl_row(record, f"{path.name}, row {number}")
        asked = [
            text for message in row["prompt"] if message["role"] == "user" for text in user_messages(message["content"])
        ]
        answer = parse_tagged(row["reward_model"]["ground_truth"])
        if len(asked) == 1 and answer.calls and len(answer.thought.strip()) >= _MIN_THOUGHT_CHARS:
            rows.setdefault(question_key(asked[0]), row)
    return list(rows.values())


def half(rows: Sequence[Row], name: str, seed: int = 0) -> list[Row]:
    """One of the two HALVES, in an order of which every beginning is a random sample; they share no question."""
    first, second = split_rows(rows, len(rows) // 2, seed)
    return hash_order(first if name == HALVES[0] else second, seed, "rubric quality")


def mismatched(rows: Sequence[Row], count: int, seed: int = 0) -> list[LabelledRollout]:
    """For each of the first `count` rows its own thought and call, then one rollout of each of KINDS that it allows.

    - other_thought: the thought of a row drawn from `rows`, with the row's own calls.
    - nearest_thought: the same of the row whose question is nearest by TF-IDF, calls with equal arguments left out.
    - tool_swapped: the own thought, the calls under the names of other offered tools. Needs a second tool.
    - values_swapped: the own thought, all values of the first call replaced by values of the same type out of other rows.
    """
    answers = [parse_tagged(row["reward_model"]["ground_truth"]) for row in rows]
    nearest = _nearest([row["extra_info"]["question"] for row in rows])
    made = []
    for i, row in enumerate(rows[:count]):
        own, calls = answers[i], list(answers[i].calls)
        others = [j for j in nearest[i] if not _share_arguments(calls, answers[j].calls)]
        drawn = others[int(stable_hash(seed, "other", row["extra_info"]["id"]), 16) % len(others)]
        variants = {
            HONEST: (own.thought, calls),
            "other_thought": (answers[drawn].thought, calls),
            "nearest_thought": (answers[others[0]].thought, calls),
        }
        if swapped := _other_tools(calls, json.loads(row["extra_info"]["tools"])):
            variants["tool_swapped"] = (own.thought, swapped)
        if swapped := _other_values(calls, [call for j in others for call in answers[j].calls]):
            variants["values_swapped"] = (own.thought, swapped)
        made += [_labelled(row, kind, thought, calls, seed) for kind, (thought, calls) in variants.items()]
    return made


def _labelled(row: Row, kind: str, thought: str, calls: list[ToolCall], seed: int) -> LabelledRollout:
    about = row["extra_info"]
    truth = row["reward_model"]["ground_truth"]
    rollout = Rollout(
        about["question"],
        about["tools"],
        render_answer(thought, calls),
        truth,
        row["data_source"],
        {"index": about["id"]},
    )
    pair = None if kind == HONEST else f"{about['id']}/{HONEST}"
    made_by = {"program": "benchmarks/mismatched.py", "seed": seed}
    return LabelledRollout(f"{about['id']}/{kind}", about["id"], kind, float(kind == HONEST), rollout, pair, made_by)


def _nearest(questions: Sequence[str]) -> list[list[int]]:
    """For each question the indices of all others, the most similar first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer().fit_transform(questions)
    similar = (vectors @ vectors.T).toarray()
    return [[int(j) for j in (-similar[i]).argsort(kind="stable") if j != i] for i in range(len(questions))]


def _share_arguments(calls: Sequence[ToolCall], others: Sequence[ToolCall]) -> bool:
    """Whether a call of the one is a call of the other: then the other's thought may well be right here."""
    return any(call == other for call in calls for other in others)


def _other_tools(calls: list[ToolCall], tools: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """The calls with each name changed into that of the next offered tool which is not called; [] where there is none."""
    called = {call.name for call in calls}
    free = [tool["name"] for tool in tools if tool["name"] not in called]
    return [ToolCall(free[i % len(free)], call.arguments) for i, call in enumerate(calls)] if free else []


def _other_values(calls: list[ToolCall], others: Sequence[ToolCall]) -> list[ToolCall]:
    """The calls with the first one's values replaced by the first other value of their type; [] where none is."""
    pool = [value for call in others for value in call.arguments.values()]
    first = calls[0]
    arguments: dict[str, Any] = {}
    for key, value in first.arguments.items():
        found = next((i for i, other in enumerate(pool) if type(other) is type(value) and other != value), None)
        arguments[key] = value if found is None else pool.pop(found)
    return [ToolCall(first.name, arguments), *calls[1:]] if arguments != first.arguments else []
