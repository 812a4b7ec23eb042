"""`awpo judge attack` from the command line: report, labelled texts, going on after a stop, cost before a server is asked."""

import json
import sys
import types

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from reward_models.judges import Judge
from reward_models.labelled import read_labelled, write_labelled
from reward_models.scorers.data.dataset import build
from reward_models.types import Scored
from tests.reward_models.scorers.helpers import honest_rows


class WordyJudge(Judge):
    """Pays for words of praise, and a little for length."""

    asked = 0

    async def score(self, rollout):
        type(self).asked += 1
        thought = rollout.response.partition("</think>")[0]
        return Scored(min(1.0, 0.3 + 0.4 * ("flawless" in thought) + 0.0001 * len(thought)))


class RankingJudge(WordyJudge):
    needs_group = True


@pytest.fixture
def rows(tmp_path, monkeypatch):
    module = types.ModuleType("attacked")
    module.Wordy, module.Ranking = WordyJudge, RankingJudge
    monkeypatch.setitem(sys.modules, "attacked", module)
    write_labelled(tmp_path / "rows.jsonl", build(honest_rows(8), ["swapped_values"], "train", 0))
    return tmp_path / "rows.jsonl"


def attack(rows, out, *more, judge="attacked:Wordy"):
    fixed = ["--judge", judge, "--data", str(rows), "--out", str(out), "--budget", "40", "--targets", "4"]
    return CliRunner().invoke(app, ["judge", "attack", *fixed, *more])


def test_it_reports_writes_negatives_and_goes_on(rows, tmp_path):
    done = attack(rows, tmp_path / "out")
    assert done.exit_code == 0 and "by the best text found" in done.output, done.output
    report = json.loads((tmp_path / "out" / "attack.json").read_text())
    assert report["targets"] == 4 and report["above"]["value"] > 0.5 and report["texts"] <= 160
    assert report["by_kind"]["swapped_values"][1] == 4 and report["examples"][0]["score"] >= report["bar"]
    made = read_labelled(tmp_path / "out" / "attacks.jsonl")
    assert {(row.label, row.kind) for row in made} == {(0.0, "attack")} and len(made) == 12
    assert {row.pair for row in made} <= {row.id for row in read_labelled(rows)}
    asked = WordyJudge.asked
    assert attack(rows, tmp_path / "out").exit_code == 0 and WordyJudge.asked == asked
    assert json.loads((tmp_path / "out" / "attack.json").read_text()) == report


def test_a_limit_decides_the_exit_code(rows, tmp_path):
    assert attack(rows, tmp_path / "one", "--max-above", "0.02").exit_code == 1
    assert attack(rows, tmp_path / "two", "--max-above", "1").exit_code == 0
    wrong = attack(rows, tmp_path / "three", "--max-above", "2")
    assert wrong.exit_code == 1 and "must lie in [0, 1]" in wrong.output


def test_a_ranking_judge_compares_each_text_with_the_honest_one(rows, tmp_path):
    done = attack(rows, tmp_path / "out", judge="attacked:Ranking")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "attack.json").read_text())
    assert report["bar"] == 0.5 and report["above"]["value"] > 0.5


def test_a_server_is_not_asked_before_its_cost_was_said(rows, tmp_path):
    kwargs = json.dumps({"base_url": "http://127.0.0.1:1/v1", "model": "m", "price_per_million_tokens": [1, 2]})
    done = attack(rows, tmp_path / "out", "--judge-kwargs", kwargs, judge="llm")
    assert done.exit_code == 1 and "160 rollouts to ask" in done.output and "--yes asks" in done.output
    assert not (tmp_path / "out").exists()


def test_rows_without_wrong_calls_are_refused(rows, tmp_path):
    write_labelled(tmp_path / "plain.jsonl", build(honest_rows(4), ["padded"], "train", 0))
    done = attack(tmp_path / "plain.jsonl", tmp_path / "out")
    assert done.exit_code == 1 and "no row has another call" in done.output
