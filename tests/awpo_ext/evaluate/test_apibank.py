"""`awpo eval apibank`: the reading of an answer, and the command on a small folder."""

import json

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.evaluate.apibank import judge
from tests.awpo_ext.evaluate.fake_endpoint import MODEL, FakeEndpoint

pytest.importorskip("openai")
GOLD = {"name": "AddAlarm", "parameters": {"time": "07:00", "days": [1, 2]}}


def called(value):
    return f"<tool_call>\n{json.dumps(value)}\n</tool_call>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"<think> Set it. </think>\n{called(GOLD)}", "exact"),
        (called(GOLD), "exact"),
        (f"Sure!\n{called(GOLD)}\n<response>Done</response>", "exact"),
        (f"<think>first I call <tool_call></think>{called(GOLD)}", "exact"),
        (called({**GOLD, "name": "addalarm"}), "wrong_name"),
        (called({**GOLD, "parameters": {"time": "07:00"}}), "wrong_parameters"),
        (called({**GOLD, "parameters": {"time": "07:00", "days": [2, 1]}}), "wrong_parameters"),
        (called(GOLD).replace("</tool_call>", f"{json.dumps(GOLD)}\n</tool_call>"), "several_calls"),
        ("<response>I cannot.</response>", "no_call"),
        ("", "no_call"),
        ("<tool_call>\n{", "unreadable"),
        ("<tool_call>\nAddAlarm(7)\n</tool_call>", "unreadable"),
    ],
)
def test_an_answer_is_exact_or_says_why_not(text, reason):
    assert judge(text, GOLD) == reason


def folder(path, count=3):
    for level in (1, 2, 3):
        gold = GOLD if level == 2 else [GOLD]  # the published files have both
        rows = [{"system": "Tools", "user": f"Alarm {level} {n}", "answer": gold, "other": {}} for n in range(count)]
        (path / f"level-{level}-api_processed.json").write_text(json.dumps(rows))
    return path


def run(base_url, data, out, *more):
    command = [
        "eval",
        "apibank",
        "--base-url",
        base_url,
        "--model",
        MODEL,
        "--data",
        str(data),
        "--out",
        str(out),
        *more,
    ]
    return CliRunner().invoke(app, command)


def test_each_level_is_a_category(tmp_path):
    with FakeEndpoint(lambda body: called(GOLD) if " 1 " in body["messages"][1]["content"] else "no") as endpoint:
        done = run(endpoint.base_url, folder(tmp_path), tmp_path / "o")
    assert done.exit_code == 0, done.output
    rows = {row["category"]: row for row in json.loads((tmp_path / "o" / "result.json").read_text())["categories"]}
    assert [rows[f"level {level}"]["accuracy"] for level in (1, 2, 3)] == [1.0, 0.0, 0.0]
    assert rows["all rows"]["rows"] == 9 and rows["level 2"]["reasons"] == {"no_call": 3}


@pytest.mark.parametrize(
    ("more", "said"),
    [(("--levels", "4"), "--levels 4"), (("--levels", "x"), "must be numbers"), (("--levels", ","), "at least one")],
)
def test_bad_levels_are_named(tmp_path, more, said):
    assert said in " ".join(run("http://127.0.0.1:9/v1", folder(tmp_path), tmp_path / "o", *more).output.split())


def test_a_folder_without_the_files_is_named(tmp_path):
    done = run("http://127.0.0.1:9/v1", tmp_path, tmp_path / "o")
    assert done.exit_code == 1 and "level-1-api_processed.json" in " ".join(done.output.split())
