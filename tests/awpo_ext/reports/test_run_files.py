"""Which files are one run, what runs are called, and what is said of files that are none."""

import json

import pytest

from awpo_ext.reports.run_files import read_runs, read_steps
from reward_models.errors import UserError
from tests.awpo_ext.record.made_up import made_up_record
from tests.awpo_ext.reports.made_up import metrics, metrics_files


def recorded(folder, name, preset=None):
    """A folder of a run, with its record's head."""
    metrics_files(folder)
    section = {"preset": preset} if preset else {}
    (folder / "record").mkdir()
    head = {"name": name, "config": {"algorithm": {"awpo": section}}}
    (folder / "record" / "run.json").write_text(json.dumps(head))
    return str(folder)


def test_a_resumed_run_wins_and_a_half_written_line_is_dropped(tmp_path):
    steps = read_steps(metrics_files(tmp_path))
    assert list(steps) == [0, 1, 2, 3]
    assert steps[2]["awpo/gate/mean"] == 0.2


def test_a_folder_is_a_run_and_so_are_its_metrics_files(tmp_path):
    (by_folder,) = read_runs([str(tmp_path)] if metrics_files(tmp_path) else [])
    (by_files,) = read_runs(metrics_files(tmp_path))
    assert by_folder == by_files and by_folder.name == tmp_path.name and by_folder.preset == ""


def test_files_that_verl_names_by_the_experiment_are_runs_of_their_own(tmp_path):
    paths = [tmp_path / "seed1.jsonl", tmp_path / "seed2.jsonl"]
    for number, path in enumerate(paths):
        path.write_text(metrics(1, number / 10) + "\n")
    runs = read_runs(list(map(str, paths)))
    assert [run.name for run in runs] == ["seed1", "seed2"]
    assert [run.steps[1]["awpo/gate/mean"] for run in runs] == [0.0, 0.1]
    (one,) = read_runs([f"mine={path}" for path in paths])
    assert one.name == "mine" and one.steps[1]["awpo/gate/mean"] == 0.1


def test_names_and_presets_of_the_records(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    given = [recorded(folders[0], "cpu"), recorded(folders[1], "cpu", "outcome_only"), recorded(folders[2], "other")]
    assert [(run.name, run.preset) for run in read_runs(given)] == [
        ("a", "awpo"), ("b", "outcome_only"), ("other", "awpo")
    ]  # fmt: skip
    assert [run.name for run in read_runs([f"x={given[0]}", given[1]])] == ["x", "b"]
    assert [run.name for run in read_runs([f"x={given[0]}", f"{given[1]}/metrics-1.jsonl"])] == ["x", "b"]
    with pytest.raises(UserError, match=r"x= names .*give each run a name of its own"):
        read_runs([f"x={given[0]}", f"x={given[1]}"])


def test_a_record_alone_is_enough(tmp_path):
    made_up_record(tmp_path / "run", steps=2)
    for path in (tmp_path / "run", tmp_path / "run" / "record"):
        (run,) = read_runs([str(path)])
        assert list(run.steps) == [1, 2] and run.name in ("run", "made up 0")


def test_a_folder_without_metrics_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no metrics.*trainer.logger"):
        read_runs([str(tmp_path)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no metrics in"),
        ("nonsense\n" + '{"step": 1, "data": {}}', ":1 is not JSON"),
        ("[" * 100_000 + "\n" + '{"step": 1, "data": {}}', ":1 is not JSON"),
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
