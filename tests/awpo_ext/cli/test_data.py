"""The commands, through typer's runner: what they write, print and exit with."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.data import app
from awpo_ext.data.rows import RL_SCHEMA, load_rows, write_parquet
from tests.paths import ROOT


@pytest.fixture
def awpo_data():
    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})

    return run


@pytest.fixture
def converted(awpo_data, bfcl_folder, tmp_path):
    out = tmp_path / "out"
    options = ["--source", bfcl_folder, "--categories", "simple_python", "--val-rows", 5, "--tool-format", "compact"]
    result = awpo_data("bfcl", "--out", out, *options)
    assert result.exit_code == 0, result.output
    return out, result.output


def test_bfcl_prints_the_split_and_writes_valid_files(awpo_data, converted):
    out, printed = converted
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["val_ids_sha256"] in printed
    assert manifest["options"]["tool_format"] == "compact"
    result = awpo_data("validate", *sorted(out.glob("*.parquet")))
    assert result.exit_code == 0
    assert "train.parquet: 15 rows, valid" in result.output


def test_toolrl(awpo_data, toolrl_file, tmp_path):
    result = awpo_data("toolrl", toolrl_file, "--out", tmp_path / "t", "--val-rows", 3, "--sft-source", toolrl_file)
    assert result.exit_code == 0, result.output
    assert len(load_rows(tmp_path / "t" / "sft.parquet")) == 9


def test_toolrl_says_why_there_is_no_sft_file(awpo_data, toolrl_file, tmp_path):
    result = awpo_data("toolrl", toolrl_file, "--out", tmp_path / "t", "--val-rows", 3, "--sft-rows", 0)
    assert result.exit_code == 0
    assert "sft.parquet was not written" in result.output


def test_validate_names_file_row_and_field(awpo_data, converted, tmp_path):
    rows = load_rows(converted[0] / "train.parquet")
    rows[2]["reward_model"]["ground_truth"] = "<think> t </think>"
    bad = tmp_path / "bad.parquet"
    write_parquet(bad, rows, RL_SCHEMA)
    result = awpo_data("validate", bad, tmp_path / "missing.parquet", converted[0] / "val.parquet")
    assert result.exit_code == 1
    assert "bad.parquet: row 2, reward_model.ground_truth: unreadable (no_action)" in result.output
    assert "missing.parquet: no such file" in result.output
    assert "val.parquet: 5 rows, valid" in result.output


def test_show(awpo_data, converted):
    rl = awpo_data("inspect", converted[0] / "train.parquet", "--row", 1)
    assert rl.exit_code == 0
    for shown in ("simple_python_", "ground truth", "possible answers", "a, b?", "Add one to"):
        assert shown in rl.output
    sft = awpo_data("inspect", converted[0] / "sft.parquet")
    assert "assistant" in sft.output
    assert "<think>" in sft.output


def test_show_reads_broken_rows_too(awpo_data, converted, tmp_path):
    row = load_rows(converted[0] / "train.parquet")[0]
    row["extra_info"]["tools"] = "[not json"
    row["prompt"][0]["content"] = "[red]not markup[/red]"
    write_parquet(tmp_path / "bad.parquet", [row], RL_SCHEMA)
    output = awpo_data("inspect", tmp_path / "bad.parquet").output
    assert "[not json" in output
    assert "[red]not markup[/red]" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bfcl", "--out", "x", "--categories", "simple_java"], "choose from simple_python"),
        (["bfcl", "--out", "x", "--source", "missing.whl"], "missing.whl: no such file or folder"),
        (["toolrl", "missing.parquet", "--out", "x"], "missing.parquet: no such file"),
        (["toolrl", "missing.parquet", "--out", "x", "--val-rows", "-1"], "--val-rows: must not be negative"),
        (["inspect", "missing.parquet"], "missing.parquet: no such file"),
    ],
)
def test_errors_are_messages_not_tracebacks(awpo_data, arguments, says):
    result = awpo_data(*arguments)
    assert result.exit_code == 1
    assert says in result.output
    assert isinstance(result.exception, SystemExit)


def test_show_of_a_row_that_is_not_there(awpo_data, converted):
    result = awpo_data("inspect", converted[0] / "val.parquet", "--row", 5)
    assert result.exit_code == 1
    assert "no row 5; 5 fit" in result.output


def test_the_data_commands_of_the_docs_run(awpo_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "your_own_data.md").read_text()
    for line in re.findall(r"^python docs/.*$", text, flags=re.M):
        _, script, *rest = shlex.split(line)
        subprocess.run([sys.executable, str(ROOT / script), *rest], check=True)
    commands = re.findall(r"^awpo data (.*)$", text, flags=re.M)
    assert len(commands) == 5
    for command in commands:
        if "path/or/hub-id" in command:  # a tokenizer of one's own
            continue
        words = shlex.split(command, comments=True)
        words = [name for word in words for name in (map(str, tmp_path.glob(word)) if "*" in word else [word])]
        result = awpo_data(*words)
        assert result.exit_code == 0, result.output
    assert "train with verifier_kwargs.dialect=toolrl" in awpo_data("convert", "mine.jsonl", "--out", "again").output
