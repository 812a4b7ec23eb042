"""What a replay says: nothing changed is nothing different, and a change is what the method makes of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.config import AwpoConfig, AwpoConfigError
from awpo_ext.record import RecordError, open_record
from awpo_ext.record.parts import PartKey, write_part
from awpo_ext.record.replay import Change, changed_config, parse_settings, replay
from awpo_ext.record.rewards import rollout_of_row, verified
from reward_models.judges import Judge
from reward_models.types import Scored, Unscored, UnscoredReason
from tests.awpo_ext.record.made_up import made_up_record

TRUTH = '<think> </think>\n<tool_call>\n{"name": "add", "parameters": {"a": 1}}\n</tool_call>'
WRONG = TRUTH.replace("add", "sub")


class LengthJudge(Judge):
    """Likes long questions; has no score for the second rollout."""

    asked = 0

    async def score(self, rollout):
        LengthJudge.asked += 1
        if rollout.extra_info.get("second"):
            return Unscored(UnscoredReason.TIMEOUT)
        return Scored(min(1.0, len(rollout.response) / 200))


def quiet(name, total, done=0):
    return lambda: None


def run(path, out=Path("unused"), steps=None, confirm=lambda text: None, **change):
    return replay(path, Change(**change), out, steps, confirm, quiet)


@pytest.fixture
def readable(tmp_path):
    """A record whose texts a verifier can read: the first half of each group is right."""
    folder = made_up_record(tmp_path, steps=2, groups=2, size=4, validation=False)
    record = open_record(folder)
    for part in record.parts():
        rows = record.table("rollouts", [part]).to_pylist()
        for row in rows:
            row["response"] = TRUTH if row["session"] < 2 else WRONG
            row["extra"] = json.dumps({"second": row["session"] == 1})
        groups = [{**row, "ground_truth": TRUTH} for row in record.groups([part.key.step]).to_pylist()]
        write_part(folder, PartKey(part.key.step), part.info(), rows, groups)
    return folder


def test_nothing_changed(readable):
    found = run(readable)
    assert found.checked.difference < 1e-6 and (found.updates, found.rollouts) == (2, 16)
    assert found.comparison is None


@pytest.mark.parametrize("thinking", ["auto", "opened"])
def test_the_runs_own_outcomes_are_recomputed(readable, thinking):
    """With an open prompt a response without tags is a thought that was cut off, and the replay reads it so."""
    head = readable / "run.json"
    run_json = json.loads(head.read_text())
    run_json["starts"][0]["reward"] = {
        "path": "pkg://reward_models.reward", "reward_kwargs": {"verifier": "toolrl", "thinking": thinking}
    }  # fmt: skip
    head.write_text(json.dumps(run_json))
    record = open_record(readable)
    for part in record.parts():
        rows = list(record.part_rows(part))
        said = [rollout_of_row(row, thinking == "opened") for row in rows]
        outcomes = verified(said, "toolrl", {}).outcome
        rows = [
            {**row, "outcome": float(value)}
            for row, value in zip(record.table("rollouts", [part]).to_pylist(), outcomes, strict=True)
        ]
        write_part(readable, part.key, part.info(), rows, record.groups([part.key.step]).to_pylist())
    found = run(readable)
    assert found.rewards == {"recomputed": 16, "different": 0, "unread": 0}
    rows[0]["outcome"] += 1.0
    write_part(readable, part.key, part.info(), rows, record.groups([part.key.step]).to_pylist())
    assert run(readable).rewards["different"] == 1


def test_the_same_settings_change_nothing(readable):
    figures = run(readable, settings={"gate": "ratio"}).comparison.figures()
    assert figures["sign_flips"]["new"].value == 0 and figures["rank_correlation"]["new"].value == pytest.approx(1)
    assert figures["leverage"]["difference"].value == 0 and figures["groups_closed"]["new"].value == 0


def test_without_a_judge(readable):
    found = run(readable, settings={"preset": "outcome_only"}).comparison
    figures = found.figures()
    assert figures["leverage"]["new"].value == 0 < figures["leverage"]["old"].value
    assert figures["gate"]["new"].value == 0
    movers = found.movers()
    assert 0 < len(movers) <= 20 and movers == sorted(movers, key=lambda row: -row["moved"])
    assert movers[0]["moved"] == pytest.approx(abs(movers[0]["advantage"][1] - movers[0]["advantage"][0]))


def test_another_verifier(readable):
    found = run(readable, verifier="toolrl")
    assert found.unread == 0
    new = {tuple(row["outcome"][1:]) for row in found.comparison.movers()}
    assert new <= {(4.0,), (0.5,), (-2.0,), (1.0,), (-1.0,)} and (4.0,) in new
    assert found.comparison.figures()["outcome"]["new"].value != found.comparison.figures()["outcome"]["old"].value


def test_another_judge_is_asked_once(readable, tmp_path):
    LengthJudge.asked = 0
    name = f"{__name__}:LengthJudge"
    figures = run(readable, tmp_path / "out", judge=name).comparison.figures()
    assert LengthJudge.asked == 16
    assert figures["unscored"]["new"].value == pytest.approx(0.25, abs=0.1)
    again = run(readable, tmp_path / "out", judge=name, settings={"gate": "signal"}).comparison.figures()
    assert LengthJudge.asked == 16  # from the file: a replay that was cut goes on
    assert again["reasoning"]["new"] == figures["reasoning"]["new"]


def test_a_server_is_not_asked_before_its_cost_was_seen(readable, tmp_path):
    said = []

    def stop(text):
        said.append(text)
        raise KeyboardInterrupt

    kwargs = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "price_per_million_tokens": [1.0, 2.0]}
    with pytest.raises(KeyboardInterrupt):
        run(readable, tmp_path, judge="llm", judge_kwargs=kwargs, confirm=stop)
    assert said[0].startswith("16 rollouts to ask, about ") and "cost about 0.0" in said[0]


def test_texts_that_were_not_kept_are_named(tmp_path):
    folder = made_up_record(tmp_path, steps=1, validation=False)
    record = open_record(folder)
    (part,) = record.parts()
    rows = [{**row, "has_text": False, "response": None} for row in record.table("rollouts", [part]).to_pylist()]
    write_part(folder, part.key, part.info(), rows, record.groups().to_pylist())
    assert run(folder).checked.difference < 1e-6
    with pytest.raises(RecordError, match="could read no rollout: their texts were not kept"):
        run(folder, verifier="strict")
    with pytest.raises(RecordError, match="no rollout to judge"):
        run(folder, judge="embedding")


def test_presets_replace_the_runs_switches():
    config = AwpoConfig(gate="signal", difficulty="band", reward_max=9.0)
    changed = changed_config(config, {"preset": "gdpo", "whiten": False})
    assert (changed.gate, changed.integration, changed.whiten) == ("always", "decoupled", False)
    assert changed.reward_max == 9.0
    assert changed_config(config, {"preset": "awpo"}).gate == "ratio"
    with pytest.raises(AwpoConfigError, match="preset='best' is unknown"):
        changed_config(config, {"preset": "best"})
    with pytest.raises(AwpoConfigError, match=r"unknown key algorithm\.awpo\.gat"):
        changed_config(config, {"gat": "none"})


def test_settings_are_read_as_json_or_text():
    assert parse_settings(["gate=none", "clip_max=0.3", "whiten=true", "reasoning_weight=[1,2]"]) == {
        "gate": "none", "clip_max": 0.3, "whiten": True, "reasoning_weight": [1, 2]
    }  # fmt: skip
    with pytest.raises(RecordError, match="write key=value"):
        parse_settings(["gate"])


def test_verls_dumps_say_what_they_lack(tmp_path):
    rows = [
        {"input": "q", "output": TRUTH if s else WRONG, "gts": TRUTH, "score": 4.0 * s, "step": 1, "uid": f"u{g}_{s}_0"}
        for g in range(3)
        for s in range(2)
    ]
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(tmp_path, verifier="toolrl", settings={"gate": "none"})
    assert found.checked is None and found.rollouts == 6
    assert any("judge scores" in text for text in found.missing) and any("configuration" in t for t in found.missing)
    assert not any("ground truths" in text for text in found.missing)
    assert found.comparison.figures()["rank_correlation"]["new"].value == pytest.approx(1.0)
    (tmp_path / "2.jsonl").write_text('{"output": "x", "score": 1}\n')
    with pytest.raises(RecordError, match=r"2\.jsonl:1 has no group: none of the keys uid, group"):
        run(tmp_path)


def test_the_command(readable, tmp_path):
    result = CliRunner().invoke(app, ["replay", str(readable), "--set", "gate=none", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "Advantages equal the recorded ones" in result.output and "sign flips" in result.output
    report = json.loads((tmp_path / "out" / "replay.json").read_text())
    assert report["figures"]["leverage"]["new"]["value"] == 0 and np.isfinite(report["movers"][0]["moved"])
    wrong = CliRunner().invoke(app, ["replay", str(readable), "--steps", "9"])
    assert wrong.exit_code == 1 and "no training step to replay among [9]" in wrong.output


def test_the_report_keeps_a_text_that_says_nan(tmp_path):
    rows = [
        {"input": "q", "output": "x", "gts": "y", "score": float(s), "step": 1, "uid": f"NaN_{s}_0"} for s in range(2)
    ]
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = CliRunner().invoke(
        app, ["replay", str(tmp_path / "1.jsonl"), "--no-rewards", "--set", "gate=none", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "replay.json").read_text()
    assert {row["group"] for row in json.loads(text)["movers"]} == {"NaN"}
