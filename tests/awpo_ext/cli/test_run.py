"""`awpo follow` and `awpo summary` as a user types them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from tests.awpo_ext.reports.made_up import metrics_files

STEP = "step:1 - awpo/outcome/mean:1.0 - timing_s/step:60.0\n"


def test_follow_shows_the_time_left_and_keeps_the_log(tmp_path):
    log = tmp_path / "deep" / "console.log"
    done = CliRunner().invoke(app, ["follow", "--log", str(log), "--steps", "3"], input=f"hello\n{STEP}")
    assert done.exit_code == 0
    assert done.output == "step 1 of 3 (60 s a step, 2 min 00 s left): outcome 1.000, seconds 60.000\n"
    assert log.read_text() == f"hello\n{STEP}"


def test_follow_goes_on_whatever_the_console_holds(tmp_path):
    log = tmp_path / "console.log"
    done = CliRunner().invoke(
        app, ["follow", "--log", str(log)], input=b"\xff\xfe\x00 " + b"x" * 100_000 + b"\n" + STEP.encode()
    )
    assert done.exit_code == 0 and done.output.startswith("step 1 (60 s a step): outcome 1.000")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_follow_goes_on_where_the_disk_is_full():
    done = CliRunner().invoke(app, ["follow", "--log", "/dev/full"], input=STEP + STEP)
    assert done.exit_code == 0 and done.stdout.count("step 1") == 2
    assert done.stderr.count("The log /dev/full ends here (No space left on device). The run goes on.") == 1


def test_summary_of_several_runs(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        metrics_files(tmp_path / name)
    figure = tmp_path / "new" / "figure.pdf"
    done = CliRunner().invoke(
        app, ["summary", f"[bold]first={tmp_path / 'a'}", str(tmp_path / "b"), "--figure", str(figure)]
    )
    assert done.exit_code == 0 and figure.read_bytes().startswith(b"%PDF")
    assert "[bold]first" in done.output and done.output.count("Validation reward: -2.000 before, 1.500 after") == 2
    assert "Not in the figure: Entropy: not logged (actor/entropy)" in done.output
    wrong = CliRunner().invoke(app, ["summary", str(tmp_path / "a"), "--png", str(tmp_path / "figure.gif")])
    assert wrong.exit_code == 1 and "a figure is a .png, .pdf or .svg file" in wrong.output
