"""A run's metrics -> its table, and one line a step of a console."""

import json

from awpo_ext.reports.run_files import read_steps
from awpo_ext.reports.run_summary import HEADINGS, alarms_line, before_after, console_step, shown_rows, step_text
from tests.awpo_ext.reports.made_up import metrics_files


def test_the_table(tmp_path):
    steps = read_steps(metrics_files(tmp_path))
    assert before_after(steps) == "Validation reward: -2.000 before, 1.500 after"
    shown = shown_rows(steps, every=5)
    assert [row[0] for row in shown] == ["0", "1", "3"] and shown[-1][-1] == "1.500"
    by_name = dict(zip(HEADINGS, shown[-1], strict=True))
    assert (by_name["leverage"], by_name["reliability"]) == ("0.150", "0.300 [0.20, 0.40]")
    assert "" in shown[0]  # a validation before training has no judge


def test_verls_console_is_read():
    line = "(TaskRunnerV1 pid=1) step:7 - awpo/outcome/mean:-1.25 - awpo/clip_radius:np.float64(0.15) - x:oops"
    step, metrics = console_step(line)
    assert step == 7 and step_text(metrics) == "outcome -1.250, clip radius 0.150"
    judge = {"awpo/leverage/mean": 0.25, "awpo/reliability": 0.2}
    judge |= {"awpo/reliability/low": 0.1, "awpo/reliability/high": 0.3}
    assert step_text(judge) == "leverage 0.250, reliability 0.200 [0.10, 0.30]"
    assert console_step("Training Progress: 10%") is None and step_text({"loss": 1.0}) == ""


def test_alarms_are_named_in_the_summary(tmp_path):
    watched = tmp_path / "watched.jsonl"
    rows = [{"awpo/alarm/count": 0.0}, {"awpo/alarm/count": 1.0, "awpo/alarm/since/gap": 41.0}]
    watched.write_text("".join(json.dumps({"step": 60 + i, "data": row}) + "\n" for i, row in enumerate(rows)))
    assert alarms_line(read_steps([str(watched)])) == "Alarms: gap in step 61 (since 41)"
    assert alarms_line({1: {"awpo/alarm/count": 0.0}}) == "Alarms: none"
    assert "not watched" in alarms_line({1: {"awpo/outcome/mean": 0.0}})
