"""What a user can get wrong, and what is said of it: two tables of inputs, exit codes and messages."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.config import AwpoConfig
from awpo_ext.data.rows import RL_SCHEMA, write_parquet
from reward_models.judges import JudgeNotReadyError
from reward_models.labelled import write_labelled
from reward_models.reward import preflight
from tests.reward_models.judge_eval.fakes import rows

HERE = Path(__file__).parent


def table(name: str) -> list[tuple[str, str, list[str]]]:
    """(before the bar, after it, parts of the message) for each entry."""
    lines = [line for line in (HERE / name).read_text().splitlines() if line and not line.startswith("#")]
    entries = [line.split(" | ", 1) for line in lines[::2]]
    return [(*entry, message.strip().split(" .. ")) for entry, message in zip(entries, lines[1::2], strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files of each kind: right ones, foreign ones, ones that are not text."""
    folder = tmp_path_factory.mktemp("in")
    (folder / "foreign.jsonl").write_text('{"hello": 1}\n{"hello": 2}\n')
    (folder / "list.json").write_text("[]")
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "binary.parquet").write_bytes(bytes(range(256)))
    (folder / "rollout.json").write_text('{"response": "<think>a</think>hi"}')
    metrics = [json.dumps({"step": step, "data": {"awpo/outcome/mean": 1.0}}) for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("\n".join(metrics))
    (folder / "sweep.json").write_text('{"base": "nope.sh", "out": "x"}')
    info = {"index": 0, "split": "train", "question": "Weather?", "tools": "[]", "id": "a", "category": "c"}
    call = '<tool_call>\n{"name": "a", "parameters": {}}\n</tool_call>'
    row = {"data_source": "x", "prompt": [{"role": "user", "content": "Weather?"}], "ability": "t"}
    row |= {"reward_model": {"style": "rule", "ground_truth": call}, "extra_info": info}
    write_parquet(folder / "rows.parquet", [row], RL_SCHEMA)
    write_labelled(folder / "labelled.jsonl", rows(6))
    return folder


def flat(output: str) -> str:
    """On one line."""
    return " ".join(output.split())


@pytest.mark.parametrize(("code", "command", "parts"), table("messages_cli.txt"))
def test_a_command_says_what_is_wrong(code, command, parts, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [part.replace("{tmp}", str(folder)) for part in command.split(" ")]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}, input="")
    expected = [part.replace("{tmp}", str(folder)) for part in parts]
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == int(code), result.output
    assert [part for part in expected if part not in flat(result.output)] == [], flat(result.output)


@pytest.mark.parametrize(("where", "options", "parts"), table("messages_options.txt"))
def test_options_of_a_run_are_refused_by_name(where, options, parts):
    given = json.loads(options)
    with pytest.raises((ValueError, JudgeNotReadyError)) as caught:
        AwpoConfig.from_mapping(given) if where == "config" else preflight(**given)
    assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)
