"""`awpo scorer data`: rows of every origin, sides that share nothing, a manifest that says what was made."""

import hashlib
import json

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.sources.bfcl import BfclOptions, convert_bfcl
from awpo_ext.data.sources.bfcl_source import find_source
from reward_models.labelled import HONEST, read_labelled
from reward_models.parsing import parse_response
from reward_models.scorers.data.corruptions import CORRUPTIONS, HELD_OUT


def make(*arguments):
    return CliRunner().invoke(app, ["scorer", "data", "--encoder", "none", *map(str, arguments)])


def check(out, suffix=".jsonl"):
    """The files of a run: (train, eval), after what holds for all of them."""
    train, held = (read_labelled(out / f"{half}{suffix}") for half in ("train", "eval"))
    assert not {row.source for row in train} & {row.source for row in held}
    assert not {row.rollout.question for row in train} & {row.rollout.question for row in held}
    kinds = {row.kind for row in train}
    assert HONEST in kinds and not kinds & set(HELD_OUT) and kinds < {HONEST, *CORRUPTIONS}
    assert {row.kind for row in held} - kinds <= set(HELD_OUT)
    manifest = json.loads((out / "manifest.json").read_text())
    for rows, half in ((train, "train"), (held, "eval")):
        said = manifest["files"][f"{half}{suffix}"]
        assert said["rows"] == len(rows) and sum(said["kinds"].values()) == len(rows)
        assert said["sha256"] == hashlib.sha256((out / f"{half}{suffix}").read_bytes()).hexdigest()
        assert all(row.provenance.get("phrases", half) == half for row in rows)
    return train, held


def test_recorded_thoughts_of_toolrl(toolrl_file, tmp_path):
    made = make("--from", "toolrl", toolrl_file, "--out", tmp_path / "out", "--eval-rows", 4)
    assert made.exit_code == 0, made.output
    train, held = check(tmp_path / "out")
    assert len({row.source for row in held}) == 4
    thoughts = {parse_response(row.rollout.response).thought for row in train if row.kind == HONEST}
    assert thoughts == {"The add tool sums, so I call it."}
    again = make("--from", "toolrl", toolrl_file, "--out", tmp_path / "again", "--eval-rows", 4)
    assert again.exit_code == 0
    assert (tmp_path / "again" / "train.jsonl").read_bytes() == (tmp_path / "out" / "train.jsonl").read_bytes()


def test_thoughts_written_by_program_for_a_parquet_file_of_bfcl(bfcl_folder, tmp_path):
    options = BfclOptions(categories=("simple_python",), val_rows=4, sft_rows=0)
    write_dataset(tmp_path / "data", convert_bfcl(find_source(bfcl_folder), options))
    rows = tmp_path / "data" / "train.parquet"
    made = make("--from", "bfcl", rows, "--out", tmp_path / "out", "--eval-rows", 5, "--train-rows", 8, "--parquet")
    assert made.exit_code == 0, made.output
    train, _ = check(tmp_path / "out", ".parquet")
    assert len({row.source for row in train}) == 8
    honest = next(row for row in train if row.kind == HONEST)
    assert "add" in parse_response(honest.rollout.response).thought
    assert honest.provenance["thought"] == "thought written by program"


def test_honest_rows_of_a_labelled_file(toolrl_file, tmp_path):
    assert make("--from", "toolrl", toolrl_file, "--out", tmp_path / "one", "--eval-rows", 2).exit_code == 0
    made = make("--from", "labelled", tmp_path / "one" / "train.jsonl", "--out", tmp_path / "two", "--eval-rows", 3)
    assert made.exit_code == 0, made.output
    train, held = check(tmp_path / "two")
    assert len({row.source for row in train + held}) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "web"], "--from 'web' is not one of"),
        (["--from", "toolrl"], "needs a file"),
        (["--from", "toolrl", "no/such.json"], "no such file"),
        (
            ["--from", "toolrl", "FILE", "--eval-rows", "2", "--hold-out", "padded,odd"],
            "--hold-out: 'odd' is not a kind",
        ),
        (
            ["--from", "toolrl", "FILE", "--eval-rows", "2", "--hold-out", ",".join(CORRUPTIONS)],
            "all kinds are held out",
        ),
        (["--from", "toolrl", "FILE", "--eval-rows", "1"], "the eval side: 1 rows"),
    ],
)
def test_what_cannot_be_made_is_said(toolrl_file, tmp_path, arguments, message):
    given = [str(toolrl_file) if item == "FILE" else item for item in arguments]
    made = make("--out", tmp_path / "out", *given)
    assert made.exit_code == 1 and message in made.output
