"""BFCL conversion: on the installed package's data where it is there, and on a small folder in its form."""

import json
import zipfile

import pyarrow.parquet as pq
import pytest

from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.prompts import load_prompt
from awpo_ext.data.rows import content_sha256, load_rows
from awpo_ext.data.sources.bfcl import CATEGORIES, BfclOptions, convert_bfcl
from awpo_ext.data.sources.bfcl_source import find_source
from awpo_ext.data.split import question_key
from awpo_ext.data.tagged import parse_tagged
from awpo_ext.data.validate import validate_rows

# Defects of the data: empty lists of alternatives, and arguments that the tool does not have.
DEFECTIVE = {"live_simple_106-63-0", "live_simple_112-68-0", "live_multiple_862-181-3", "live_multiple_964-207-0"}


@pytest.fixture(scope="module")
def everything(bfcl_source):
    return convert_bfcl(bfcl_source, BfclOptions(val_rows=100, sft_rows=10_000, tool_format="compact"))


def by_id(dataset):
    return {row["extra_info"]["id"]: row for row in [*dataset.train, *dataset.val]}


def calls_of(row):
    return parse_tagged(row["reward_model"]["ground_truth"]).calls


def test_all_rows_but_the_defective_are_converted_and_valid(everything):
    assert len(everything.val) == 100
    assert len(everything.train) + len(everything.val) == 2351 - len(DEFECTIVE)
    assert {row_id for ids in everything.skipped.values() for row_id in ids} == DEFECTIVE
    assert not validate_rows(everything.train)
    assert not validate_rows(everything.val)
    assert not validate_rows(everything.sft)


def test_train_and_val_share_no_question(everything):
    questions = [
        {question_key(row["extra_info"]["question"]) for row in side} for side in (everything.train, everything.val)
    ]
    assert questions[0].isdisjoint(questions[1])


def test_sft_answers_are_the_ground_truth_calls_of_train_rows_after_a_thought(everything):
    train = {row["extra_info"]["id"]: row for row in everything.train}
    assert len(everything.sft) == len(train)
    for row in everything.sft:
        answer = parse_tagged(row["messages"][-1]["content"])
        assert answer.calls == calls_of(train[row["id"]])
        assert answer.calls[0].name in answer.thought
        assert row["messages"][:-1] == train[row["id"]]["prompt"]


def test_ground_truths_are_among_the_possible_answers(everything):
    for row in by_id(everything).values():
        possible = json.loads(row["extra_info"]["possible_answer"])
        for call, answer in zip(calls_of(row), possible, strict=True):
            alternatives = answer[call.name]
            for name, value in call.arguments.items():
                if not isinstance(value, dict | list):
                    assert value in alternatives[name]
            left_out = alternatives.keys() - call.arguments.keys()
            assert all("" in alternatives[name] or not alternatives[name] for name in left_out)


@pytest.mark.parametrize(
    ("row_id", "argument", "value"),
    [
        ("simple_python_200", "fuel_efficiency", 25.0),  # required, though its first alternative is ""
        ("simple_python_260", "exclusion", {"type": "window", "area": 15}),
        (
            "simple_python_96",
            "conditions",
            [
                {"field": "age", "operation": ">", "value": "25"},
                {"field": "job", "operation": "=", "value": "engineer"},
            ],
        ),
        ("simple_python_122", "table", [[10, 20], [30, 40]]),
        ("live_simple_42-17-2", "body", {"airCleanOperationMode": "POWER_OFF", "coolTargetTemperature": 22}),
        ("live_multiple_507-149-4", "origin_airport", ""),
    ],
)
def test_known_answers(everything, row_id, argument, value):
    assert calls_of(by_id(everything)[row_id])[0].arguments[argument] == value


def test_tools_have_json_schema_types_only(everything):
    def types(schema):
        yield schema.get("type", "string")
        for inner in [*schema.get("properties", {}).values(), schema.get("items", {})]:
            if inner:
                yield from types(inner)

    for row in by_id(everything).values():
        for tool in json.loads(row["extra_info"]["tools"]):
            assert set(types(tool["parameters"])) <= {"object", "array", "string", "number", "integer", "boolean"}


def test_simple_rows_are_short_in_the_compact_form(everything):
    simple = [row for row in everything.sft if row["category"] == "simple_python"]
    chars = sorted(sum(len(message["content"]) for message in row["messages"]) for row in simple)
    # SmolLM2's tokenizer and template make 3.2 characters a token here: 700 to 900 are about 220 to 280 tokens.
    assert 700 <= chars[len(chars) // 2] <= 900


def test_the_same_options_give_the_same_rows_and_a_seed_another_split(bfcl_source):
    options = BfclOptions(("simple_python",), val_rows=40, sft_rows=20)
    first, second = (convert_bfcl(bfcl_source, options) for _ in range(2))
    other = convert_bfcl(bfcl_source, BfclOptions(("simple_python",), val_rows=40, sft_rows=20, seed=1))
    for side in ("train", "val", "sft"):
        assert content_sha256(getattr(first, side)) == content_sha256(getattr(second, side))
    assert content_sha256(first.val) != content_sha256(other.val)


def test_conversion_of_a_folder(bfcl_folder, tmp_path):
    dataset = convert_bfcl(find_source(bfcl_folder), BfclOptions(("simple_python",), val_rows=5, sft_rows=7))
    manifest = write_dataset(tmp_path / "out", dataset)
    train, val, sft = (load_rows(tmp_path / "out" / f"{name}.parquet") for name in ("train", "val", "sft"))
    assert [len(train), len(val), len(sft)] == [15, 5, 7]
    assert {row["id"] for row in sft} <= {row["extra_info"]["id"] for row in train}
    assert [row["extra_info"]["index"] for row in val] == list(range(5))
    assert {row["extra_info"]["split"] for row in val} == {"val"}
    assert manifest["files"]["val.parquet"]["content_sha256"] == content_sha256(val)
    assert manifest["files"]["train.parquet"]["categories"] == {"simple_python": 15}
    assert manifest["prompt"] == {"name": "json_v1", "sha256": load_prompt("json_v1").sha256}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    # verl's SFT dataset would give a column of this name to the chat template.
    assert "tools" not in pq.read_schema(tmp_path / "out" / "sft.parquet").names


def test_the_system_message_of_an_entry_follows_ours(bfcl_folder):
    path = bfcl_folder / "BFCL_v4_simple_python.json"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    entries[0]["question"][0].insert(0, {"role": "system", "content": "Answer in German."})
    path.write_text("\n".join(map(json.dumps, entries)))
    dataset = convert_bfcl(find_source(bfcl_folder), BfclOptions(("simple_python",), val_rows=0, tool_format="compact"))
    prompt = by_id(dataset)["simple_python_0"]["prompt"]
    assert [message["role"] for message in prompt] == ["system", "user"]
    assert prompt[0]["content"].endswith("</tool_call>\n\nAnswer in German.")
    assert "add(a: integer, b: number = ...) - Calculate the sum of two numbers" in prompt[0]["content"]


def test_a_wheel_is_read_like_a_folder(bfcl_folder, tmp_path):
    wheel = tmp_path / "bfcl_eval-2030.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in bfcl_folder.rglob("*.json"):
            archive.write(path, f"bfcl_eval/data/{path.relative_to(bfcl_folder)}")
    options = BfclOptions(("simple_python",), val_rows=5)
    source = find_source(wheel)
    assert source.version == "2030.1.2"
    assert convert_bfcl(source, options).train == convert_bfcl(find_source(bfcl_folder), options).train


def test_long_prompts_are_left_out_and_listed(bfcl_folder):
    options = BfclOptions(("simple_python",), val_rows=0, tool_format="compact", max_prompt_chars=10)
    with pytest.raises(DataError, match="no row is left"):
        convert_bfcl(find_source(bfcl_folder), options)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda entry: entry.pop("function"), "'function' is missing"),
        (lambda entry: entry["function"][0].pop("name"), "'simple_python_0': not in the form"),
        (lambda entry: entry.update(question=[[{"role": "assistant", "content": "x"}]]), "expected one turn"),
        (lambda entry: entry.update(id="other"), "no ground_truth for the id 'other'"),
    ],
)
def test_a_damaged_entry_is_named(bfcl_folder, change, says):
    path = bfcl_folder / "BFCL_v4_simple_python.json"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    change(entries[0])
    path.write_text("\n".join(map(json.dumps, entries)))
    with pytest.raises(DataError, match=says):
        convert_bfcl(find_source(bfcl_folder), BfclOptions(("simple_python",), val_rows=0))


def test_a_damaged_line_and_a_missing_file_are_named(bfcl_folder):
    with pytest.raises(DataError, match=r"the file possible_answer/BFCL_v4_multiple\.json is missing"):
        convert_bfcl(find_source(bfcl_folder), BfclOptions(("multiple",)))
    path = bfcl_folder / "BFCL_v4_simple_python.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"BFCL_v4_simple_python\.json, line 20: not JSON"):
        convert_bfcl(find_source(bfcl_folder), BfclOptions(("simple_python",)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"categories": ("simple_java",)}, "'simple_java'"),
        ({"categories": ()}, "--categories"),
        ({"categories": CATEGORIES[:1] * 2}, "named twice"),
        ({"val_rows": -1}, "--val-rows"),
        ({"sft_rows": -1}, "--sft-rows"),
        ({"max_prompt_chars": 0}, "--max-prompt-chars"),
        ({"tool_format": "xml"}, "--tool-format"),
    ],
)
def test_bad_options_are_named(options, says):
    with pytest.raises(DataError, match=says):
        BfclOptions(**options)
