"""A run's metrics -> table, figure, one line a step: resumed runs, half-written lines, steps without validation."""

import json

import pytest

from awpo_ext.reports.run_summary import (
    HEADINGS,
    alarms_line,
    before_after,
    console_line,
    plot,
    read_steps,
    shown_rows,
    step_line,
)
from reward_models.errors import UserError


def metrics(step, gate):
    judge = {"awpo/leverage/mean": gate / 2, "awpo/leverage/equal": gate, "awpo/reliability": gate}
    judge |= {"awpo/reliability/low": gate - 0.1, "awpo/reliability/high": gate + 0.1}
    outcome = {"awpo/outcome/mean": float(step), "awpo/gate/mean": gate, "awpo/clip_radius": 0.2 - gate / 10}
    return json.dumps({"step": step, "data": outcome | judge})


def validation(step, value):
    return json.dumps({"step": step, "data": {"val-core/bfcl/simple_python/reward/mean@1": value}})


@pytest.fixture
def files(tmp_path):
    first, resumed = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text("\n".join([validation(0, -2.0), metrics(1, 0.1), metrics(2, 0.9), '{"step": 3, "da']))
    resumed.write_text("\n".join([metrics(2, 0.2), metrics(3, 0.3), validation(3, 1.5)]) + "\n")
    return [str(first), str(resumed)]


def test_a_resumed_run_wins_and_a_half_written_line_is_dropped(files):
    steps = read_steps(files)
    assert list(steps) == [0, 1, 2, 3]
    assert steps[2]["awpo/gate/mean"] == 0.2
    assert before_after(steps) == "Validation reward: -2.000 before, 1.500 after"


def test_table_and_figure(files, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    steps = read_steps(files)
    shown = shown_rows(steps, every=5)
    assert [row[0] for row in shown] == ["0", "1", "3"] and shown[-1][-1] == "1.500"
    by_name = dict(zip(HEADINGS, shown[-1], strict=True))
    assert (by_name["leverage"], by_name["reliability"]) == ("0.150", "0.300 [0.20, 0.40]")
    assert "" in shown[0]  # a validation before training has no judge
    plot(steps, str(tmp_path / "run.png"))
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no metrics in"),
        ("nonsense\n" + '{"step": 1, "data": {}}', ":1 is not JSON"),
        ('{"hello": 1}\n{"hello": 2}\n', ":1 is not a step"),
        ("[]", ":1 is not a step"),
        ('{"step": "1", "data": {}}', ":1 is not a step"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_steps([str(path)])


def test_step_line_reads_verls_console():
    line = "(TaskRunnerV1 pid=1) step:7 - awpo/outcome/mean:-1.25 - awpo/clip_radius:np.float64(0.15) - x:oops"
    assert step_line(line) == "step 7: outcome -1.250, clip radius 0.150"
    judge = (
        "step:8 - awpo/leverage/mean:0.25 - awpo/reliability:0.2 - awpo/reliability/low:0.1 - awpo/reliability/high:0.3"
    )
    assert step_line(judge) == "step 8: leverage 0.250, reliability 0.200 [0.10, 0.30]"
    assert step_line("Training Progress: 10%") is None


def test_alarms_are_named_in_the_summary(tmp_path):
    watched = tmp_path / "watched.jsonl"
    rows = [{"awpo/alarm/count": 0.0}, {"awpo/alarm/count": 1.0, "awpo/alarm/since/gap": 41.0}]
    watched.write_text("".join(json.dumps({"step": 60 + i, "data": row}) + "\n" for i, row in enumerate(rows)))
    assert alarms_line(read_steps([str(watched)])) == "Alarms: gap in step 61 (since 41)"
    assert alarms_line({1: {"awpo/alarm/count": 0.0}}) == "Alarms: none"
    assert "not watched" in alarms_line({1: {"awpo/outcome/mean": 0.0}})


def test_follow_shows_alarms_too():
    line = "\x1b[36m(TaskRunner pid=7)\x1b[0m awpo-ext: ALARM gap: the judge rises, since step 41\x1b[0m\n"
    assert console_line(line) == "ALARM gap: the judge rises, since step 41"
    assert console_line("step:3 - awpo/outcome/mean:0.5") == "step 3: outcome 0.500"
    assert console_line("ALARM gap: what a model wrote") is None
