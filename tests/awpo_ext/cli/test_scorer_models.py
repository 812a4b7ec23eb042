"""The commands, from data to card: they work together, and say what is wrong in one line."""

import json

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from reward_models.judges.base import Judge
from reward_models.labelled import read_labelled, write_labelled
from reward_models.types import Scored
from tests.reward_models.scorers.classifier.tiny_models import labelled_rows

runner = CliRunner()


@pytest.fixture
def tiny_bert(tmp_path):
    from tests.reward_models.scorers.classifier.tiny_models import save_tiny

    return save_tiny(tmp_path / "bert", "bert")


class WordJudge(Judge):
    """Bananas are no reason."""

    async def score(self, rollout):
        return Scored(0.1 if "Bananas" in rollout.response else 0.9)


def run(*arguments, ok=True):
    result = runner.invoke(app, ["scorer", *map(str, arguments)])
    assert (result.exit_code == 0) == ok, result.output
    return result.output


def test_from_rollouts_to_a_card(tiny_bert, tmp_path):
    rows = labelled_rows(24)
    lines = [
        {
            "response": row.rollout.response,
            "question": row.rollout.question,
            "tools": row.rollout.tools,
            "source": row.source,
        }
        for row in rows
    ]
    (tmp_path / "rollouts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    judge = f"{__name__}:WordJudge"
    run("distil", tmp_path / "rollouts.jsonl", "--out", tmp_path / "all.jsonl", "--judge", judge, "--margin", "0.5")
    distilled = read_labelled(tmp_path / "all.jsonl")
    assert sum(row.pair is not None for row in distilled) == 24

    held = sorted({row.source for row in distilled})[:8]
    write_labelled(tmp_path / "train.jsonl", [row for row in distilled if row.source not in held])
    write_labelled(tmp_path / "held.jsonl", [row for row in distilled if row.source in held])
    folder = tmp_path / "scorer"
    options = ("--max-tokens", "160", "--epochs", "2", "--learning-rate", "2e-3", "--device", "cpu")
    output = run("train-classifier", tmp_path / "train.jsonl", "--out", folder, "--base", tiny_bert, *options)
    assert "pair_accuracy" in output
    assert "ece_after" in run("calibrate", folder, "--data", tmp_path / "held.jsonl")
    run("card", folder)
    assert "calibration error after" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("card", "{tmp}/none"), "awpo_scorer.json is missing"),
        (("calibrate", "{tmp}/none", "--data", "{tmp}/x"), "awpo_scorer.json is missing"),
        (("train-classifier", "{tmp}/x", "--out", "{tmp}/y", "--base", "b"), "no such file"),
        (("train-classifier", "{tmp}/x", "--out", "{tmp}/y", "--base", "b", "--objective", "z"), "objective='z'"),
        (("distil", "{tmp}/x", "--out", "{tmp}/y", "--judge", "none"), "does not exist"),
        (("distil", "{tmp}/x", "--out", "{tmp}", "--judge", "none"), "already exists"),
        (("distil", "{tmp}/x", "--out", "{tmp}/y", "--judge-kwargs", "[sk-1]"), "must be a JSON object"),
    ],
)
def test_errors_are_one_line(arguments, message, tmp_path):
    output = run(*(argument.format(tmp=tmp_path) for argument in arguments), ok=False)
    assert "error:" in output and message in output.replace("\n", "") and "sk-1" not in output
    assert "Traceback" not in output
