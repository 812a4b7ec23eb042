"""The ablation runner on a recipe that only writes metrics: resuming, failing, killing, and the table against numpy."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from awpo_ext.ablation.report import estimate, markdown, measure, report
from awpo_ext.ablation.sweep import AblationError, read_sweep, run_cell
from awpo_ext.cli.ablation import app
from tests.paths import ROOT

# A recipe that "trains" three steps: what it logs depends on preset and seed alone. FAIL names cells that fail.
RECIPE = """
set -euo pipefail
for argument in "$@"; do case "$argument" in
    +algorithm.awpo.preset=*) preset="${argument#*=}" ;;
    data.seed=*) seed="${argument#*=}" ;;
esac; done
echo "$preset $seed $JUDGE" >>"$CALLS"
[[ " ${FAIL:-} " != *" $preset-$seed "* ]] || { echo "it broke here" >&2; exit 3; }
sleep "${SLEEP:-0}"
value="${#preset}.$seed"
for step in 0 1 2 3; do
    echo "{\\"step\\": $step, \\"data\\": {\\"awpo/outcome/mean\\": $value, \\"val-core/x/reward/mean@1\\": $step.$seed}}"
done >"$OUT/metrics.jsonl"
"""


@pytest.fixture
def sweep_file(tmp_path, monkeypatch):
    (tmp_path / "recipe.sh").write_text(RECIPE)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))

    def write(**changes):
        sweep = {
            "base": str(tmp_path / "recipe.sh"), "out": str(tmp_path / "out"), "presets": ["awpo", "outcome_only"],
            "seeds": [0, 1], "judges": ["none"], **changes,
        }  # fmt: skip
        path = tmp_path / "sweep.json"
        path.write_text(json.dumps(sweep))
        return path

    return write


def calls(tmp_path):
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def ablation(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_every_cell_runs_once_and_the_table_has_them_all(sweep_file, tmp_path):
    path = sweep_file()
    result = ablation("run", path)
    assert result.exit_code == 0, result.output
    assert calls(tmp_path) == ["awpo 0 none", "outcome_only 0 none", "awpo 1 none", "outcome_only 1 none"]
    figures = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [row["outcome"]["mean"] for row in figures["rows"]] == [pytest.approx(4.05), pytest.approx(12.05)]
    assert [row["gain"]["mean"] for row in figures["rows"]] == [3.0, 3.0]
    assert figures["rows"][1]["versus"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 2}
    assert figures["missing"] == {} and (tmp_path / "out" / "ablation.png").stat().st_size > 1000
    assert "| awpo | none | 0, 1 | 3.050 [" in (tmp_path / "out" / "table.md").read_text()
    assert ablation("run", path).exit_code == 0 and len(calls(tmp_path)) == 4  # nothing is left to do


def test_a_cell_that_fails_stops_no_other_and_is_tried_again(sweep_file, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIL", "outcome_only-0")
    path = sweep_file(attempts=2)
    result = ablation("run", path)
    assert result.exit_code == 1 and calls(tmp_path).count("outcome_only 0 none") == 2
    assert "exit code 3" in result.output and "it broke here" in result.output
    assert (
        "Not in the table: 1 of the runs" in result.output and "outcome_only-none-seed0: exit code 3" in result.output
    )
    monkeypatch.delenv("FAIL")
    result = ablation("run", path)
    assert result.exit_code == 0 and calls(tmp_path)[-1] == "outcome_only 0 none" and len(calls(tmp_path)) == 6
    assert "Not in the table" not in result.output


def test_killed_and_started_again_it_goes_on(sweep_file, tmp_path):
    path = sweep_file(environment={"SLEEP": "1.5"})
    command = [sys.executable, "-c", "from awpo_ext.cli.ablation import app; app()", "run", str(path)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(calls(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    started.wait()
    # the run outlives the runner, and holds its cell until it ends
    (cell,) = [cell for cell in read_sweep(path).cells() if cell.name == "outcome_only-none-seed0"]
    said = []
    assert run_cell(cell, said.append) == "busy" and "runs already" in said[0]
    while not cell.metrics_files() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    assert ablation("run", path).exit_code == 0
    assert sorted(set(calls(tmp_path))) == sorted(
        ["awpo 0 none", "outcome_only 0 none", "awpo 1 none", "outcome_only 1 none"]
    )
    assert calls(tmp_path).count("awpo 0 none") == 1  # it was done before the kill


def test_a_run_that_takes_too_long_is_ended(sweep_file, tmp_path):
    path = sweep_file(presets=["awpo"], seeds=[0], environment={"SLEEP": "60"}, timeout_minutes=0.01)
    result = ablation("run", path)
    assert result.exit_code == 1 and "took longer than timeout_minutes=0.01" in result.output
    assert not Path(f"{tmp_path}/out/cells/awpo-none-seed0/metrics.jsonl").exists()


def test_a_recipe_that_logs_nowhere_is_no_success(sweep_file, tmp_path):
    (tmp_path / "recipe.sh").write_text("true")
    result = ablation("run", sweep_file(presets=["awpo"], seeds=[0]))
    assert result.exit_code == 1 and "it left no metrics*.jsonl" in result.output


def test_cells_of_other_settings_are_not_mixed_in(sweep_file):
    assert ablation("run", sweep_file()).exit_code == 0
    result = ablation("run", sweep_file(overrides=["trainer.total_epochs=3"]))
    assert result.exit_code == 1
    assert "holds a run with overrides=" in result.output and "choose another `out`" in result.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "nowhere.sh"}, "base='nowhere.sh' is not a file"),
        ({"presets": ["grpo"]}, "presets=['grpo']: choose from awpo, outcome_only"),
        ({"presets": ["awpo", "awpo"]}, "names one twice"),
        ({"seeds": [-1]}, "seeds=[-1] must be whole numbers"),
        ({"judges": []}, "judges is empty"),
        ({"preset": ["awpo"]}, "unknown key 'preset'"),
        ({"seeds": 3}, "seeds=3 must be a list"),
        ({"attempts": 0}, "attempts=0 must be"),
        ({"judges": {"big": "llm"}}, "judges={'big': 'llm'} must be a list of names"),
    ],
)
def test_sweep_files_that_do_not_fit_are_named(sweep_file, changes, message):
    with pytest.raises(AblationError) as caught:
        read_sweep(sweep_file(**changes))
    assert message in str(caught.value)


def test_a_named_judge_brings_its_environment(sweep_file):
    path = sweep_file(judges={"big": {"JUDGE": "llm", "PORT": 8000}}, environment={"SIZE": "8b"})
    cell = read_sweep(path).cells()[0]
    assert (
        cell.spec()["environment"] == {"SIZE": "8b", "JUDGE": "llm", "PORT": "8000"} and cell.name == "awpo-big-seed0"
    )


def test_the_examples_can_be_read(monkeypatch):
    pytest.importorskip("yaml")
    monkeypatch.chdir(ROOT)
    for path in Path("recipes/ablation").glob("*.yaml"):
        assert len(read_sweep(path).cells()) >= 6


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8))
def test_intervals_are_students(values):
    found = estimate(values)
    assert found.mean == pytest.approx(np.mean(values)) and found.n == len(values)
    if len(values) == 1:
        assert found.low is None and found.high is None
        return
    scale = stats.sem(values)
    if scale > 0:  # 0 for equal values, and where their differences underflow
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scale)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)
    assert found.low <= found.mean <= found.high


def test_a_run_without_validation_has_no_validation_reward():
    steps = {step: {"awpo/outcome/mean": float(step)} for step in range(1, 11)}
    assert measure(steps) == {"outcome": 9.5}  # the last two of ten steps


def test_a_sweep_of_which_nothing_is_done_has_an_empty_table(sweep_file):
    figures = report(read_sweep(sweep_file()))
    assert len(figures["missing"]) == 4 and "| awpo | none | none |" in markdown(figures)
    assert set(figures["missing"].values()) == {"not run to its end"}
