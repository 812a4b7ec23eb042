"""The index: columns as the record has them, rows that keep their numbers while a run goes on, and none that is lost."""

import json
import shutil
import struct

import numpy as np
import pyarrow.parquet as pq
import pytest

from awpo_ext.explorer.api import Explorer, run_names
from awpo_ext.explorer.demo import DemoRun, write_demo_run
from awpo_ext.explorer.export import BLOCK, _frame, _kept
from awpo_ext.explorer.index import RunIndex
from awpo_ext.record import open_record
from awpo_ext.record.parts import write_part


def unpacked(frame):
    (length,) = struct.unpack("<I", frame[:4])
    head = json.loads(frame[4 : 4 + length])
    values = np.frombuffer(frame[4 + length :], "<f4").reshape(len(head["columns"]), head["count"])
    return head, dict(zip(head["columns"], values, strict=True))


@pytest.fixture
def run(tmp_path):
    return write_demo_run(tmp_path / "run", DemoRun("run", steps=3, groups=2, size=3, null_share=0.5))


def index_of(folder):
    index = RunIndex(open_record(folder))
    index.refresh()
    return index


def test_columns_are_those_of_the_record(run):
    head, columns = unpacked(index_of(run).frame())
    stored = open_record(run).rollouts().to_pylist()
    assert head["count"] == len(stored) == 18
    for i, row in enumerate(stored):
        assert columns["advantage"][i] == pytest.approx(row["advantage"], rel=1e-6)
        assert columns["share"][i] == pytest.approx((row["outcome"] + 3) / 7, abs=1e-6)
        assert head["groups"]["uid"][int(columns["group"][i])] == row["group"]
        assert head["words"]["reason"][int(columns["reason"][i])] == row["outcome_reason"]
        assert np.isnan(columns["score"][i]) == (row["reasoning"] is None)
    truths = {row["group"]: "null" in row["ground_truth"] for row in open_record(run).groups().to_pylist()}
    assert [bool(one) for one in columns["null_truth"]] == [truths[row["group"]] for row in stored]


def test_a_step_that_comes_later_is_added_and_one_that_is_replaced_starts_anew(run, tmp_path):
    index = index_of(run)
    last = run / "record/rollouts/step_000003.train.00.parquet"
    kept = tmp_path / "kept"
    shutil.copy(last, kept)
    last.unlink()
    before = index.generation
    index.refresh()
    head, _ = unpacked(index.frame(18, before))
    assert (head["first"], head["count"], head["generation"]) == (0, 12, before + 1)
    shutil.copy(kept, last)
    index.refresh()
    head, columns = unpacked(index.frame(12, before + 1))
    assert (head["first"], head["count"], head["generation"]) == (12, 6, before + 1)
    assert columns["group"].min() == 4 and len(head["groups"]["uid"]) == 2
    assert index.place(17)[1] == 5 and index.place(17)[0].key.step == 3
    with pytest.raises(IndexError, match="no rollout 18"):
        index.place(18)


def test_a_torn_part_is_left_out_and_the_rest_keeps_its_place(run):
    (run / "record/rollouts/step_000002.train.00.parquet").write_bytes(b"PAR1 torn")
    explorer = Explorer([run])
    head, _ = unpacked(explorer.rows(0, 0, -1))
    assert head["count"] == 12 and set(head["groups"]["step"]) == {1, 3}
    assert explorer.rollout(0, 11)["step"] == 3


def test_a_record_without_texts_of_a_group_is_shown(run):
    for file in (run / "record/groups").iterdir():
        file.unlink()
    explorer = Explorer([run])
    head, columns = unpacked(explorer.rows(0, 0, -1))
    assert head["count"] == 18 and np.isnan(columns["null_truth"]).all()
    assert explorer.rollout(0, 0)["comparison"]["problem"] == "no ground truth was kept"
    assert explorer.search(0, "think")["rows"] == list(range(18))


def test_a_record_without_any_text_is_shown(run):
    record = open_record(run)
    texts = (
        "response",
        "texts",
        "calls",
        "extra",
        "words",
        "prompt",
        "question",
        "tools",
        "ground_truth",
        "extra_info",
    )
    for part in record.parts():
        tables = (record.table(name, [part]).to_pylist() for name in ("rollouts", "groups"))
        bare = [
            [{**row, **{key: None for key in texts if key in row}, "has_text": False} for row in rows]
            for rows in tables
        ]
        write_part(record.folder, part.key, part.info(), *bare)
    explorer = Explorer([run])
    assert unpacked(explorer.rows(0, 0, -1))[0]["count"] == 18
    shown = explorer.rollout(0, 0)
    assert shown["has_text"] is False and shown["terms"]["advantage"] is not None
    assert explorer.search(0, "think")["rows"] == []


def test_a_record_whose_parts_lack_columns_is_shown(run):
    for path in (run / "record/rollouts").iterdir():
        table = pq.read_table(path)
        older = table.drop_columns(["unread", "spread", "words", "closed"])
        pq.write_table(older.replace_schema_metadata(table.schema.metadata), path)
    explorer = Explorer([run])
    head, columns = unpacked(explorer.rows(0, 0, -1))
    assert head["count"] == 18 and np.isnan(columns["problem"]).all() and np.isnan(columns["closed"]).all()
    assert explorer.rollout(0, 0)["judge"]["words"] == ""


def test_search_finds_what_pandas_finds(run):
    explorer = Explorer([run])
    explorer.rows(0, 0, -1)
    stored = open_record(run)
    asked = {
        row["group"] for row in stored.groups().to_pylist() if "kyoto" in (row["prompt"] + row["ground_truth"]).lower()
    }
    wanted = [
        i
        for i, row in enumerate(stored.rollouts().to_pylist())
        if row["group"] in asked or "kyoto" in (row["response"] + row["words"]).lower()
    ]
    assert explorer.search(0, "KYOTO")["rows"] == wanted
    assert explorer.search(0, "")["rows"] == explorer.search(0, ".*\\")["rows"] == []


def test_runs_of_one_name_are_told_apart(run):
    record = open_record(run)
    assert run_names([record, record, record]) == ["run", "run (2)", "run (3)"]


def test_an_export_keeps_whole_groups(run):
    columns = index_of(run).columns
    rows = _kept(columns, 9)
    head, kept = unpacked(_frame(columns, rows))
    assert head["count"] == 9 <= BLOCK and sorted(kept["group"]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert set(head["groups"]["step"]) == {1, 2, 3}
