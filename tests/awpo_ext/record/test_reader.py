"""A record is read whole, in part, while it is written, and where parts of it are damaged."""

import json
import math

import pyarrow.compute as pc
import pytest

from awpo_ext.record import RecordError, open_record
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.schema import ROLLOUTS, VERSION, as_markdown, schema_of
from tests.awpo_ext.record.made_up import made_up_record, validated
from tests.paths import ROOT


@pytest.fixture
def folder(tmp_path):
    return made_up_record(tmp_path)


def test_what_was_written_is_read(folder):
    record = open_record(folder)
    assert record.steps() == [1, 2, 3]
    assert record.steps("validation") == [3]
    table = record.rollouts(phase="train")
    assert table.num_rows == 3 * 16
    assert table.schema.names == [column.name for column in ROLLOUTS]
    assert record.groups(steps=[2]).column("size").to_pylist() == [4] * 4
    assert list(record.metrics()) == [1, 2, 3]
    assert record.problems() == []


def test_columns_and_filter(folder):
    record = open_record(folder)
    low = record.rollouts(columns=["outcome", "session"], where=pc.field("outcome") < 0)
    assert low.schema.names == ["outcome", "session"]
    assert low.num_rows == sum(value < 0 for value in record.rollouts().column("outcome").to_pylist()) > 0
    with pytest.raises(RecordError, match="no column 'outcom'"):
        record.rollouts(columns=["outcom"])


def test_one_rollout_has_its_prompt(folder):
    record = open_record(folder.parent)  # the run's folder does too
    first = next(record.rows([2]))
    one = record.rollout(2, first["group"], first["session"])
    assert one == first
    assert first["group"] in one["question"] and one["response"].startswith("<think>")
    with pytest.raises(RecordError, match="no rollout nobody_0 in step 2"):
        record.rollout(2, "nobody", 0)


def test_pandas_reads_it_without_us(folder):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(folder / "rollouts")
    assert len(frame) == 4 * 16
    assert set(frame["phase"]) == {"train", "validation"}
    assert math.isfinite(frame["advantage"].dropna().sum())


def test_a_torn_part_is_left_out_and_named(folder):
    part = open_record(folder).parts([2])[0]
    whole = part.path("rollouts").read_bytes()
    part.path("rollouts").write_bytes(whole[: len(whole) // 2])
    record = open_record(folder)
    assert set(record.rollouts(phase="train").column("step").to_pylist()) == {1, 3}
    (problem,) = record.problems()
    assert "step_000002.train.00.parquet is torn" in problem


def test_half_written_files_are_not_seen(folder):
    (folder / "rollouts" / "step_000004.train.00.parquet.77.part").write_bytes(b"PAR1")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "metr')
    record = open_record(folder)
    assert record.steps() == [1, 2, 3] and list(record.metrics()) == [1, 2, 3]


def test_the_same_step_again_replaces_it(folder):
    record = open_record(folder)
    rows, prompts = record.rollouts([2]).to_pylist()[:4], record.groups([2]).to_pylist()[:1]
    write_part(folder, PartKey(2), PartInfo(), *validated(rows, prompts))
    assert record.rollouts([2]).num_rows == 4


def test_a_column_that_an_older_part_lacks_is_null(folder):
    import pyarrow.parquet as pq

    path = open_record(folder).parts([1])[0].path("rollouts")
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["words"]).replace_schema_metadata(table.schema.metadata), path)
    words = open_record(folder).rollouts().column("words")
    assert words.type == schema_of("rollouts").field("words").type and words.null_count == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": VERSION + 1}, "install a newer awpo-ext"),
        ({"version": None}, "says no version"),
        ({"format": "other"}, "not the head of a record"),
    ],
)
def test_heads_that_are_not_ours(folder, change, message):
    head = folder / "run.json"
    head.write_text(json.dumps(json.loads(head.read_text()) | change))
    with pytest.raises(RecordError, match=message):
        open_record(folder)


def test_no_record(tmp_path):
    with pytest.raises(RecordError, match="holds no record"):
        open_record(tmp_path)
    with pytest.raises(RecordError, match="no such folder"):
        open_record(tmp_path / "nowhere")


@pytest.mark.parametrize("table", ["rollouts", "groups"])
def test_the_page_has_the_columns(table):
    assert as_markdown(table) in (ROOT / "docs" / "record.md").read_text()
