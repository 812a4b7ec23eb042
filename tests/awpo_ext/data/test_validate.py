"""Validation: each kind of bad row is named by row, field and fix; good rows pass."""

import copy
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from awpo_ext.data.dataset import Dataset, write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import SFT_SCHEMA, rl_row, sft_row, write_parquet
from awpo_ext.data.validate import off_schema, validate_file, validate_rows
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier

TRUTH = '<think> </think>\n<tool_call>\n{"name": "f", "parameters": {}}\n</tool_call>'


def good_row(row_id="a"):
    return rl_row(
        data_source="test",
        prompt=[{"role": "user", "content": "hello"}],
        ground_truth=TRUTH,
        row_id=row_id,
        category="single",
        question="hello",
        tools=[],
    )


def changed(path, value):
    row = copy.deepcopy(good_row("b"))
    *parents, last = path
    target = row
    for key in parents:
        target = target[key]
    target[last] = value
    return row


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["data_source"], "", "data_source"),
        (["prompt"], None, "prompt"),
        (["prompt"], [], "prompt"),
        (["prompt", 0], {"role": "user"}, "prompt[0]"),
        (["prompt", 0, "role"], "robot", "prompt[0].role"),
        (["prompt", 0, "content"], " ", "prompt[0].content"),
        (["reward_model"], None, "reward_model.ground_truth"),
        (["reward_model", "ground_truth"], "", "reward_model.ground_truth"),
        (["reward_model", "ground_truth"], "42", "reward_model.ground_truth"),
        (["reward_model", "ground_truth"], TRUTH.replace('"f"', "f"), "reward_model.ground_truth"),
        (["extra_info"], None, "extra_info"),
        (["extra_info", "question"], None, "extra_info.question"),
        (["extra_info", "tools"], "{", "extra_info.tools"),
        (["extra_info", "tools"], None, "extra_info.tools"),
        (
            ["extra_info", "tools"],
            '[{"name": "f", "parameters": {"type": "object", "properties": {"x": {"enum": 1}}}}]',
            "extra_info.tools",
        ),
        (["extra_info", "possible_answer"], '{"f": 1, "g": 2}', "extra_info.possible_answer"),
        (["extra_info", "id"], "a", "extra_info.id"),
    ],
)
def test_a_bad_rl_row_names_row_field_and_fix(path, value, field):
    problems = validate_rows([good_row(), changed(path, value)])
    assert [(problem.row, problem.field) for problem in problems] == [(1, field)]
    assert problems[0].fix in str(problems[0])


# Tagged texts around the one call, and whether they can be ground truths.
TEXTS = [
    "<think> </think>\n<tool_call>\nCALL\n\nCALL\n</tool_call>",
    "<think> </think>\n<tool_call>\nCALL\n</tool_call> <tool_call>\nCALL\n</tool_call>",
    "<think>a </think> b</think>\n<tool_call>\nCALL\n</tool_call>",
    "<think> </think>\n<response></response>",
    "<think> </think>\n<response>the <tool_call> tag</response>",
    "<think> </think>\n<response>```\nprint(1)</response>",
    "<think> </think>\n<response>\N{THUMBS UP SIGN}</response>",
    '[{"name": "f", "args": {}}]',
    '[{"name": "f", "arguments": {}, "x": 1}]',
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "call", ['{"name": "f", "parameters": {"a": 1}}', '{"name": "f", "parameters": {"a": 1, "a": 2}}']
)
def test_what_is_valid_is_what_the_verifier_reads(text, call):
    truth = text.replace("CALL", call)
    try:
        make_verifier("strict", dialect="toolrl").verify(Rollout("", "", "x", truth, "", {}))
        readable = True
    except ValueError:
        readable = False
    assert (validate_rows([changed(["reward_model", "ground_truth"], truth)]) == []) is readable


def test_truths_that_break_their_tools_are_counted_by_kind():
    tools = [
        {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}
    ]
    rows = [changed(["extra_info", "tools"], json.dumps(tools)), good_row("c")]
    assert validate_rows(rows) == []
    assert off_schema(rows) == {"lacks a required argument": ["row 0: the call of 'f' lacks a required argument: 'x'"]}


def test_good_rows_have_no_problems():
    assert validate_rows([good_row("a"), good_row("b")]) == []
    assert validate_rows([sft_row(good_row(), TRUTH)]) == []


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([{"role": "user", "content": "hello"}], "messages[-1].role"),
        ([{"role": "assistant", "content": "hello"}], "messages[-1].content"),
    ],
)
def test_a_bad_sft_row_is_named(messages, field):
    assert [problem.field for problem in validate_rows([{"messages": messages, "id": "a"}])] == [field]


def test_nothing_is_written_if_a_row_is_invalid(tmp_path):
    bad = changed(["prompt", 0, "content"], "")
    with pytest.raises(DataError, match=r"train\.parquet would have 1 invalid.*\n  row 0, prompt\[0\]\.content: empty"):
        write_dataset(tmp_path / "out", Dataset([bad], [], [], {}))
    assert not (tmp_path / "out").exists()


def test_files_of_an_earlier_run_do_not_stay(tmp_path):
    write_dataset(tmp_path, Dataset([good_row("a")], [good_row("b")], [sft_row(good_row("a"), TRUTH)], {}))
    write_dataset(tmp_path, Dataset([good_row("a")], [], [], {}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "train.parquet"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(DataError, match=r"--out .*out: cannot make this folder"):
        write_dataset(tmp_path / "out", Dataset([good_row()], [], [], {}))


def test_a_file_without_a_column_or_rows_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"prompt": ["a"], "answer": ["b"]}), path)
    with pytest.raises(DataError, match="'data_source' is missing"):
        validate_file(path)
    write_parquet(path, [], SFT_SCHEMA)
    with pytest.raises(DataError, match="no rows"):
        validate_file(path)
    with pytest.raises(DataError, match="no such file"):
        validate_file(tmp_path / "y.parquet")
