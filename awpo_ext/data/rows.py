"""Rows in verl's parquet schemas: build, read, write and hash them. Knows no data source.

RL rows have the same `extra_info` fields whatever the source, because verl concatenates its training files and
refuses files whose structs differ. SFT rows must not have a column `tools`: verl's SFT dataset would hand it to the
chat template, and the prompt lists the tools already.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from awpo_ext.data.errors import DataError

Row = dict[str, Any]

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

_INFO = [
    ("split", pa.string()),
    ("index", pa.int64()),
    ("id", pa.string()),
    ("category", pa.string()),
    ("question", pa.string()),
    ("tools", pa.string()),
    ("possible_answer", pa.string()),
]


def _rl_schema(info: list[tuple[str, pa.DataType]]) -> pa.Schema:
    return pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", _MESSAGES),
            ("ability", pa.string()),
            ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
            ("extra_info", pa.struct(info)),
        ]
    )


RL_SCHEMA = _rl_schema(_INFO)

# Rows of several user turns, for the agent loop `awpo_tool_agent`; verl takes no file of this and one of RL_SCHEMA together.
MULTI_TURN_SCHEMA = _rl_schema(
    [
        *_INFO,
        ("user_turns", pa.list_(pa.string())),
        ("tool_selection", pa.list_(pa.string())),
        ("later_tools", pa.list_(pa.list_(pa.string()))),
    ]
)

SFT_SCHEMA = pa.schema(
    [("messages", _MESSAGES), ("data_source", pa.string()), ("id", pa.string()), ("category", pa.string())]
)


def rl_row(
    *,
    data_source: str,
    prompt: list[dict[str, str]],
    ground_truth: str,
    row_id: str,
    category: str,
    question: str,
    tools: list[dict[str, Any]],
    possible_answer: Any = None,
) -> Row:
    """One row of RL data; `split` and `index` are filled in when the row is placed in a file.

    `prompt` is a list of {role, content} messages, `question` the user's last message, `tools` the tool definitions
    (name, description, JSON schema), and `possible_answer` every accepted answer where the source has it; the last two
    are kept as JSON strings (the answer as "" where there is none), because parquet cannot hold values of free shape.
    """
    return {
        "data_source": data_source,
        "prompt": prompt,
        "ability": "tool_use",
        "reward_model": {"style": "rule", "ground_truth": ground_truth},
        "extra_info": {
            "split": "",
            "index": -1,
            "id": row_id,
            "category": category,
            "question": question,
            "tools": json.dumps(tools, ensure_ascii=False),
            "possible_answer": "" if possible_answer is None else json.dumps(possible_answer, ensure_ascii=False),
        },
    }


def multi_turn_row(
    row: Row, user_turns: list[str], tool_selection: list[str], later_tools: list[list[str]] | None = None
) -> Row:
    """A row of `rl_row` with the user's later messages, the names of the tools that it may use, and of those that come
    with each later message.

    Its ground truth is that of the verifier `state`.
    """
    later = later_tools or [[] for _ in user_turns]
    turns = {"user_turns": user_turns, "tool_selection": tool_selection, "later_tools": later}
    info = {**row["extra_info"], **turns}
    return {**row, "extra_info": info}


def sft_row(row: Row, answer: str) -> Row:
    """The SFT row of an RL row: its prompt and, as the assistant's turn, the answer."""
    info = row["extra_info"]
    return {
        "messages": [*row["prompt"], {"role": "assistant", "content": answer}],
        "data_source": row["data_source"],
        "id": info["id"],
        "category": info["category"],
    }


def placed(rows: Iterable[Row], split: str) -> list[Row]:
    """The rows with `extra_info.split` and a running `extra_info.index` from 0."""
    return [{**row, "extra_info": {**row["extra_info"], "split": split, "index": i}} for i, row in enumerate(rows)]


def prompt_chars(row: Row) -> int:
    """Characters of the prompt's messages, without what the chat template adds."""
    return sum(len(message["content"]) for message in row["prompt"])


def content_sha256(rows: Sequence[Row]) -> str:
    """Hash of the rows' content in order; unlike the parquet bytes it does not depend on the writer's version."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def write_parquet(path: Path, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Write the rows; every row must have exactly the schema's fields."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def read_columns(path: Path) -> tuple[list[str], list[Row]]:
    """Column names and rows of a parquet file. Raises DataError where the file is missing, corrupt or no parquet."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        # ParquetFile, not read_table: the latter reads partition columns out of folder names like `split=train`.
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable parquet file ({reason}); was the download cut short?") from error
    return table.column_names, table.to_pylist()


def load_rows(path: str | Path) -> list[Row]:
    """The rows of a parquet file as dicts; not validated (see `validate.validate_rows`)."""
    return read_columns(Path(path))[1]
