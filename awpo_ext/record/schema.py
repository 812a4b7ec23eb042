"""What a record holds, column by column. The page docs/record.md and the readers go by these tables.

A record is a folder:

    run.json                                what was run: see `run_info.py`
    metrics.jsonl                           a step's metrics, one JSON line each: {"step": 12, "time": .., "metrics": {..}}
    rollouts/step_000012.train.00.parquet   ROLLOUTS, one row a rollout, in the order in which the estimator had them
    groups/step_000012.train.00.parquet     GROUPS, one row a prompt, by first appearance
    replaced/                               parts of steps that a resumed run has done again

Where verl updates several times a step (separate_async), each update is a part of its own: 00, 01, .. Validation is
`.validation.`. A part is whole or absent: it is written under another name and then renamed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from reward_models.errors import UserError

VERSION = 1  # of the tables below; a column may be added within a version, and is null where a part lacks it
FORMAT = "awpo-record"
TRAIN, VALIDATION = "train", "validation"
PHASES = (TRAIN, VALIDATION)
SCORED = ""  # `failure` of a score

_TEXT = pa.large_string()
_NAME = pa.dictionary(pa.int32(), pa.string())
SIGNAL = pa.struct([("name", pa.string()), ("score", pa.float64()), ("failure", pa.string())])


class RecordError(UserError, ValueError):
    """A record that cannot be read, or does not hold what was asked for; the message says which and what to do."""


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    meaning: str


KEYS = (
    Column("step", pa.int32(), "verl's global step; a validation before training has 0"),
    Column("batch", pa.int32(), "which update of the step, from 0; of a validation, which batch of prompts"),
    Column("phase", _NAME, "train or validation"),
    Column("group", pa.string(), "verl's `uid` of the prompt in this step"),
)

ROLLOUTS = (
    *KEYS,
    Column("session", pa.int32(), "verl's `session_id`: which rollout of the prompt"),
    Column("key", pa.string(), "verl's key of the row that stands for the rollout, `{uid}_{session}_{output}`"),
    Column("outputs", pa.int32(), "rows of verl's batch that the rollout has; above 1 in some agent loops"),
    Column("min_version", pa.int32(), "weights at the start of sampling, as a global step"),
    Column("max_version", pa.int32(), "weights at the end of sampling"),
    # outcome
    Column(
        "outcome",
        pa.float64(),
        "the outcome reward, or the sum of its components, before a KL penalty; null without one",
    ),
    Column("kl_penalty", pa.float64(), "what verl took off it (algorithm.use_kl_in_reward); 0 without"),
    Column("outcome_valid", pa.bool_(), "false where the verifier itself failed; the outcome then says nothing"),
    Column("outcome_min", pa.float64(), "lowest outcome that the row allows"),
    Column("outcome_max", pa.float64(), "highest outcome that the row allows"),
    Column("outcome_reason", _NAME, "the verifier's main reason; null where the reward function gives none"),
    Column("outcome_reasons", pa.list_(pa.string()), "every reason it found"),
    Column("outcome_parts", pa.string(), "JSON: the parts of the outcome, by name"),
    Column("unread", _NAME, "why the response could not be read; empty where it was, null where nobody said"),
    Column("columns", pa.string(), "JSON: the numbers that the reward function returned, by name"),
    # judges
    Column("reasoning", pa.float64(), "score of the first signal in [0, 1]; null where there is none"),
    Column("failure", _NAME, "why the first signal has no score (`UnscoredReason`, or untold); empty where it has one"),
    Column("signals", pa.list_(SIGNAL), "every signal, in the order of `reasoning_key`: name, score, failure"),
    Column("spread", pa.float64(), "standard deviation of the judge's votes; null where there are not several"),
    Column("votes", pa.list_(pa.float64()), "the judge's votes in [0, 1]"),
    Column("words", _TEXT, "what the judge said, or how it failed; cut at a limit"),
    Column("step_scores", pa.list_(pa.float64()), "the judge's scores of the steps; null where it judged the whole"),
    Column("rubric", _NAME, "name and hash of what an LLM judge was asked by; null where it was not"),
    Column("judge_tokens", pa.int64(), "tokens that the judge read and wrote for this rollout; null where not counted"),
    # advantage, null in a validation
    Column("advantage", pa.float64(), "A, what the policy loss used"),
    Column("a_outcome", pa.float64(), "A_out, of the outcome alone"),
    Column("a_judge", pa.float64(), "A_mix or A_rea, where w = 1 leads (`integration`)"),
    Column("outcome_part", pa.float64(), "what A would be without a judge, before `whiten`"),
    Column("judge_part", pa.float64(), "what the judge adds to it, before `whiten`"),
    Column("gate", pa.float64(), "w of the group, in [0, 1]"),
    Column("difficulty", pa.float64(), "d of the group"),
    Column("success_rate", pa.float64(), "p of the group, in [0, 1]"),
    Column("closed", _NAME, "why the group's gate is 0 (`Closed`, in small letters), or open"),
    Column("radius", pa.float64(), "clip radius of the rollout"),
    Column("leverage", pa.float64(), "the judge's share of the group's update: rms of judge_part over rms of the sum"),
    # sizes and texts
    Column("tokens", pa.int32(), "response tokens that the model wrote, over all outputs"),
    Column("response_length", pa.int32(), "tokens of the last output, tools' answers included"),
    Column("has_text", pa.bool_(), "false where the texts below, and the group's, were not kept (`text_share`)"),
    Column("cut", pa.bool_(), "true where a text was longer than `max_text` and is cut"),
    Column("response", _TEXT, "the response as the reward function saw it"),
    Column(
        "texts", pa.list_(_TEXT), "the model's own texts step by step, where the agent loop keeps them apart; else null"
    ),
    Column("calls", _TEXT, "JSON: for each step, the calls as parsed, [{name, arguments}, ..]; null where nobody said"),
    Column("extra", _TEXT, "JSON: what the agent loop added to `extra_info`, such as `tool_answers` and `executed`"),
)

GROUPS = (
    *KEYS,
    Column("size", pa.int32(), "rollouts of the prompt"),
    Column("data_source", _NAME, "the row's data source"),
    Column("prompt_length", pa.int32(), "tokens"),
    Column("has_text", pa.bool_(), "false where the texts below were not kept"),
    Column("cut", pa.bool_(), "true where a text was longer than `max_text` and is cut"),
    Column("prompt", _TEXT, "JSON: the prompt's messages"),
    Column("question", _TEXT, "`extra_info.question`"),
    Column("tools", _TEXT, "`extra_info.tools`, JSON as a text"),
    Column("ground_truth", _TEXT, "what the verifier compares with"),
    Column("extra_info", _TEXT, "JSON: the rest of the row's `extra_info`"),
)

TABLES: dict[str, tuple[Column, ...]] = {"rollouts": ROLLOUTS, "groups": GROUPS}


def schema_of(table: str) -> pa.Schema:
    """The columns of `rollouts` or `groups` as parquet has them."""
    return pa.schema([pa.field(column.name, column.type) for column in TABLES[table]])


def as_markdown(table: str) -> str:
    """The columns as a table for docs/record.md."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{c.name}` | {_shown(c.type)} | {c.meaning} |" for c in TABLES[table]])


def _shown(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind):
        return "string"
    if pa.types.is_list(kind):
        return f"list of {_shown(kind.value_type)}"
    return "struct" if pa.types.is_struct(kind) else str(kind)
