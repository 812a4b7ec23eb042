"""API-Bank by level, BFCL's irrelevance rows, and its multi-turn rows with their tools."""

import json
from pathlib import Path

import pytest

from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import load_rows
from awpo_ext.data.sources.api_bank import convert_api_bank
from awpo_ext.data.sources.bfcl import IRRELEVANCE, BfclOptions, convert_bfcl
from awpo_ext.data.sources.bfcl_multi_turn import (
    CATEGORIES,
    convert_multi_turn,
    read_tools,
    targets,
    tools_file,
    write_tools,
)
from awpo_ext.data.sources.hub import local_or_hub
from awpo_ext.data.tagged import parse_tagged
from awpo_ext.data.validate import validate_file, validate_rows
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier


def test_api_bank_has_all_rows_of_its_levels(shared_data, tmp_path):
    dataset = convert_api_bank(shared_data / "api_bank")
    counts = [sum(row["extra_info"]["category"] == f"level-{level}" for row in dataset.val) for level in (1, 2, 3)]
    assert counts == [399, 67, 131] and not dataset.train and not validate_rows(dataset.val)
    assert {row["data_source"] for row in dataset.val} == {f"api_bank/level-{level}" for level in (1, 2, 3)}
    assert all(len(parse_tagged(row["reward_model"]["ground_truth"]).calls) >= 1 for row in dataset.val)
    assert all(json.loads(row["extra_info"]["tools"]) for row in dataset.val)
    one = convert_api_bank(shared_data / "api_bank" / "level-2-api_processed.json")
    assert len(one.val) == 67
    assert write_dataset(tmp_path, one)["files"].keys() == {"val.parquet"}


@pytest.mark.parametrize(
    ("levels", "record", "message"),
    [
        ((4,), {}, "--levels: 4; choose from 1, 2, 3"),
        ((1,), {"system": "s", "user": "u"}, "level-1-api_processed.json, row 0: the field 'answer' is missing"),
        ((2,), {}, "level-2-api_processed.json: no such file"),
    ],
)
def test_bad_api_bank_sources_are_named(tmp_path, levels, record, message):
    (tmp_path / "level-1-api_processed.json").write_text(json.dumps([record]))
    with pytest.raises(DataError, match=message):
        convert_api_bank(tmp_path, levels)


def test_rows_whose_tools_do_not_fit_ask_for_no_call(bfcl_source):
    dataset = convert_bfcl(
        bfcl_source, BfclOptions(categories=("simple_python", *IRRELEVANCE), val_rows=50, sft_rows=2000)
    )
    rows = [row for row in [*dataset.train, *dataset.val] if row["extra_info"]["category"] in IRRELEVANCE]
    left_out = sum(map(len, dataset.skipped.values()))
    assert len(rows) + left_out == 240 + 884 and left_out < 10
    assert dataset.about["prompt"]["name"] == "json_v2" and "<response>" in rows[0]["prompt"][0]["content"]
    assert {row["category"] for row in dataset.sft} == {"simple_python"}
    verifier = make_verifier("irrelevance")
    for response, outcome in (
        ("<think>No.</think>\n<response> I cannot. </response>", 1.0),
        ('[{"name": "f", "arguments": {}}]', 0.0),
    ):
        info = rows[0]["extra_info"]
        rollout = Rollout(
            info["question"], info["tools"], response, rows[0]["reward_model"]["ground_truth"], "bfcl", info
        )
        assert verifier.verify(rollout).outcome == outcome


@pytest.fixture(scope="module")
def multi_turn(bfcl_source):
    return convert_multi_turn(bfcl_source, CATEGORIES, 80, 0)


def test_multi_turn_rows_are_whole_and_their_variants_stay_together(multi_turn, tmp_path):
    assert (len(multi_turn.train), len(multi_turn.val)) == (720, 80)
    tasks = [{row["extra_info"]["id"].rsplit("_", 1)[1] for row in side} for side in (multi_turn.train, multi_turn.val)]
    assert tasks[0].isdisjoint(tasks[1]) and len(tasks[1]) == 20
    write_dataset(tmp_path, multi_turn)
    rows, problems = validate_file(tmp_path / "val.parquet")
    assert len(rows) == 80 and not problems
    for row in load_rows(tmp_path / "val.parquet"):
        truth, info = json.loads(row["reward_model"]["ground_truth"]), row["extra_info"]
        assert len(truth["turns"]) == 1 + len(info["user_turns"]) == 1 + len(info["later_tools"])
        assert all(text.strip() for text in info["user_turns"])


def test_withheld_tools_come_with_the_turn_that_hands_them_over(multi_turn):
    rows = {row["extra_info"]["id"]: row for row in [*multi_turn.train, *multi_turn.val]}
    info = rows["multi_turn_miss_func_0"]["extra_info"]
    assert info["later_tools"].count(["sort"]) == 1 and "sort" not in info["tool_selection"]
    place = info["later_tools"].index(["sort"])
    assert '"name": "sort"' in info["user_turns"][place] and "updated some more functions" in info["user_turns"][place]
    assert "cp" not in rows["multi_turn_base_0"]["extra_info"]["tool_selection"]  # excluded by BFCL
    assert "mv" in rows["multi_turn_base_0"]["extra_info"]["tool_selection"]


def test_verl_loads_the_tools_file(bfcl_source, tmp_path):
    registry = pytest.importorskip("verl.tools.tool_registry", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
    write_tools(tmp_path, bfcl_source)
    tools = registry.load_all_tools(str(tmp_path / "tools.yaml"), None)
    assert len(tools) == 128 and {tool.config["class"] for tool in tools} == set(targets())
    lines = (tmp_path / "overrides.txt").read_text().splitlines()
    assert len(lines) == 8 and all("verifier_kwargs.classes." in line for line in lines)


def test_two_tools_of_one_name_are_refused(bfcl_source):
    tools = read_tools(bfcl_source)
    tools["MathAPI"] = [tools["TicketAPI"][0]]
    with pytest.raises(DataError, match="is in MathAPI and in TicketAPI; verl knows one a name"):
        tools_file(tools)


def test_a_hub_id_is_a_folder_of_files_and_offline_says_so(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = []
    monkeypatch.setattr(
        hub, "snapshot_download", lambda name, repo_type: asked.append((name, repo_type)) or str(tmp_path)
    )
    assert local_or_hub(Path("owner/api-bank")) == tmp_path and asked == [("owner/api-bank", "dataset")]
    assert local_or_hub(tmp_path) == tmp_path and len(asked) == 1  # what is there is not asked for
    assert local_or_hub(Path("data/missing.json")) == Path("data/missing.json") and len(asked) == 1

    def offline(name, repo_type):
        raise OSError("no route\nto the hub")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(DataError, match=r"owner/x: no such local path.*OSError: no route\); without a network"):
        local_or_hub(Path("owner/x"))
