"""ToolRL conversion: the shared samples where they are there, and small files in each of the forms."""

import json
import sys
from types import SimpleNamespace

import pytest

from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import RL_SCHEMA, content_sha256, load_rows, write_parquet
from awpo_ext.data.sources.toolrl import ToolrlOptions, convert_toolrl, toolrl_row
from awpo_ext.data.sources.toolrl_source import read_source
from awpo_ext.data.sources.toolrl_text import parse_tools, user_messages
from awpo_ext.data.split import question_key
from awpo_ext.data.tagged import RESERVED_TAG, parse_tagged
from awpo_ext.data.validate import validate_rows

PLACEHOLDER = "I should use the appropriate tool with proper parameters to respond to the user's need."


def test_the_shared_validation_split(shared_data):
    source = read_source(str(shared_data / "toolrl" / "test.parquet"))
    dataset = convert_toolrl(source, ToolrlOptions(val_rows=16))
    assert [len(dataset.train), len(dataset.val), len(dataset.sft)] == [64, 16, 0]
    rows = [*dataset.train, *dataset.val]
    originals = {record["reward_model"]["ground_truth"]: record["prompt"] for record in source.train}
    unlisted = set()
    for row in rows:
        prompt = originals[row["reward_model"]["ground_truth"]]
        assert row["prompt"] == [{"role": m["role"], "content": m["content"]} for m in prompt]
        named = {tool["name"] for tool in json.loads(row["extra_info"]["tools"])}
        unlisted |= {call.name for call in parse_tagged(row["reward_model"]["ground_truth"]).calls} - named
    assert unlisted == {"DAX Point Changes for Each Month "}  # one label of the data is cut short
    assert not validate_rows(rows)


def test_the_shared_reasoning_traces(shared_data):
    dataset = convert_toolrl(read_source(str(shared_data / "toolrl" / "rlla_sft.json")), ToolrlOptions(val_rows=50))
    assert len(dataset.train) + len(dataset.val) == 400
    assert len(dataset.sft) == len(dataset.train)
    for row in dataset.sft:
        assert not RESERVED_TAG.search(parse_tagged(row["messages"][-1]["content"]).thought)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_api_bank(shared_data, level):
    source = read_source(str(shared_data / "api_bank" / f"level-{level}-api_processed.json"))
    dataset = convert_toolrl(source, ToolrlOptions(val_rows=10))
    assert not dataset.sft
    for row in [*dataset.train, *dataset.val]:
        assert row["data_source"] == "api_bank"
        assert json.loads(row["extra_info"]["tools"])
        assert "make one tool call" not in row["extra_info"]["question"]


def test_instruction_records(toolrl_file, tmp_path):
    dataset = convert_toolrl(read_source(str(toolrl_file)), ToolrlOptions(val_rows=3, sft_rows=4))
    manifest = write_dataset(tmp_path / "out", dataset)
    assert [manifest["files"][f"{name}.parquet"]["rows"] for name in ("train", "val", "sft")] == [9, 3, 4]
    row = load_rows(tmp_path / "out" / "val.parquet")[0]
    assert row["extra_info"]["question"].startswith("Add ")
    tool = json.loads(row["extra_info"]["tools"])[0]
    assert (tool["name"], tool["description"]) == ("add", "Add numbers")
    assert tool["parameters"]["properties"]["a"]["type"] == "integer"
    assert tool["parameters"]["properties"]["b"] == {"type": "array", "items": {"type": "number"}}
    assert manifest["source"] == {"name": "rlla.json", "sft": None}


def test_json_lines_and_what_was_written_give_the_same_rows(toolrl_file, tmp_path):
    lines = tmp_path / "rlla.jsonl"
    lines.write_text("\n".join(map(json.dumps, json.loads(toolrl_file.read_text()))) + "\n")
    expected = convert_toolrl(read_source(str(toolrl_file)), ToolrlOptions(val_rows=0)).train
    assert convert_toolrl(read_source(str(lines)), ToolrlOptions(val_rows=0)).train == expected
    write_parquet(tmp_path / "rows.parquet", expected, RL_SCHEMA)
    again = convert_toolrl(read_source(str(tmp_path / "rows.parquet")), ToolrlOptions(val_rows=0)).train
    assert content_sha256(again) == content_sha256(expected)


def test_a_folder_keeps_its_own_split_and_drops_leaks(tmp_path, make_toolrl_record):
    train = [toolrl_row(make_toolrl_record(i), "") for i in range(6)]
    test = [toolrl_row(make_toolrl_record(9, question="add 5  and 2."), ""), toolrl_row(make_toolrl_record(8), "")]
    write_parquet(tmp_path / "train.parquet", train, RL_SCHEMA)
    write_parquet(tmp_path / "test.parquet", test, RL_SCHEMA)
    dataset = convert_toolrl(read_source(str(tmp_path)), ToolrlOptions())
    assert [len(dataset.train), len(dataset.val)] == [5, 2]
    assert dataset.skipped["shares a question with validation"] == [train[5]["extra_info"]["id"]]


def test_steps_of_one_conversation_stay_on_one_side(tmp_path, make_toolrl_record):
    records = []
    for i in range(8):
        first = make_toolrl_record(i, question=f"Hello {i}")
        second = {**first, "input": f"<user> Hello {i} </user>\n<obs> 3 </obs>\n<user> Thanks {i} </user>"}
        records += [first, second]
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(records))
    dataset = convert_toolrl(read_source(str(path)), ToolrlOptions(val_rows=6))
    openings = [
        {question_key(user_messages(row["prompt"][-1]["content"])[0]) for row in side}
        for side in (dataset.train, dataset.val)
    ]
    assert len(dataset.val) == 6
    assert openings[0].isdisjoint(openings[1])


def test_placeholders_are_no_sft_rows_and_another_source_gives_them(tmp_path, make_toolrl_record, toolrl_file):
    rl = tmp_path / "rl.json"
    rl.write_text(json.dumps([make_toolrl_record(i, thought=PLACEHOLDER) for i in range(12)]))
    options = ToolrlOptions(val_rows=4)
    assert not convert_toolrl(read_source(str(rl)), options).sft
    dataset = convert_toolrl(read_source(str(rl)), options, read_source(str(toolrl_file)))
    held_out = {row["extra_info"]["question"] for row in dataset.val}
    assert len(dataset.sft) == 8
    assert held_out.isdisjoint(user_messages(row["messages"][1]["content"])[0] for row in dataset.sft)


def test_tags_quoted_in_a_thought_lose_their_brackets(make_toolrl_record):
    row = toolrl_row(make_toolrl_record(1, thought="I fill <tool_call> tags."), "")
    assert row["reward_model"]["ground_truth"].startswith("<think> I fill tool_call tags. </think>\n<tool_call>\n")


def test_turns_of_a_dialogue_are_kept():
    prompt = [{"role": role, "content": text} for role, text in [("user", "a"), ("assistant", "b"), ("user", "c")]]
    record = {"prompt": prompt, "reward_model": {"ground_truth": "<think> t </think>\n<response> d </response>"}}
    row = toolrl_row(record, "")
    assert row["prompt"] == prompt
    assert (row["extra_info"]["question"], row["extra_info"]["category"]) == ("c", "response")
    assert row["extra_info"]["tools"] == "[]"


def test_invalid_rows_stop_the_conversion_or_are_listed(tmp_path, make_toolrl_record):
    records = [make_toolrl_record(i) for i in range(3)]
    records[1]["output"] = "<think> t </think>\n<tool_call>\n{'name': 'add'}\n</tool_call>"
    records.append(records[0])
    path = tmp_path / "rlla.json"
    path.write_text(json.dumps(records))
    with pytest.raises(DataError, match=r"rlla\.json, row 1, reward_model\.ground_truth: .*not_json.*--drop-invalid"):
        convert_toolrl(read_source(str(path)), ToolrlOptions(val_rows=0))
    dataset = convert_toolrl(read_source(str(path)), ToolrlOptions(val_rows=0, drop_invalid=True))
    assert len(dataset.train) == 2
    assert dataset.skipped["the same as an earlier row"] == ["rlla.json, row 3"]
    assert "row 1" in dataset.skipped["not valid"][0]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"text": "x"}, "unknown form with the fields text"),
        ({"prompt": None, "reward_model": None}, "prompt: no messages"),
        ({"prompt": [{"role": "user"}], "reward_model": {"ground_truth": ""}}, r"prompt\[0\]: not a"),
        ({"system": "s", "user": "u", "answer": [{"name": "f"}]}, "answer: not one or more"),
        ({"instruction": "i", "input": "u", "output": None}, "ground_truth: empty"),
    ],
)
def test_a_bad_record_names_place_and_field(record, says):
    with pytest.raises(DataError, match=f"^here.*{says}"):
        toolrl_row(record, "here")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.json", "[{", "not JSON"),
        ("x.jsonl", '{"a": 1}\n{', "line 2: not JSON"),
        ("x.json", "[1]", "record 0: not a JSON object"),
        ("x.json", "[]", "no records"),
        ("x.csv", "a,b", "expected .parquet, .json or .jsonl"),
        ("x.parquet", "PAR1 cut", "not a readable parquet file"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"{name}.*{says}"):
        read_source(str(tmp_path / name))


@pytest.mark.parametrize("source", ["missing.parquet", "no such thing", "a/b/c", "../up"])
def test_a_missing_source_is_named(source):
    with pytest.raises(DataError, match="no such file"):
        read_source(source)


def test_a_hub_dataset_and_a_hub_that_cannot_be_reached(monkeypatch, make_toolrl_record):
    def offline(name):
        raise ConnectionError("offline")

    splits = {"train": [make_toolrl_record(i) for i in range(4)], "test": [make_toolrl_record(7)]}
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=lambda name: splits))
    dataset = convert_toolrl(read_source("owner/name"), ToolrlOptions())
    assert [len(dataset.train), len(dataset.val)] == [4, 1]
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline))
    with pytest.raises(DataError, match=r"owner/name: .*ConnectionError: offline.*pass a local file"):
        read_source("owner/name")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        read_source("owner/name")


def test_a_prompt_in_another_form_gives_no_tools_and_its_text_as_question():
    assert parse_tools("You are helpful.") == []
    assert user_messages(" What time is it? ") == ["What time is it?"]
