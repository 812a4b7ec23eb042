"""Labelled rollouts survive both file formats, and a bad row is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.labelled import LabelledRollout, from_row, read_labelled, to_row, write_labelled
from reward_models.types import Rollout

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@st.composite
def labelled_rollouts(draw):
    rollout = Rollout(*(draw(TEXT) for _ in range(5)), extra_info=draw(st.dictionaries(TEXT, TEXT, max_size=2)))
    return LabelledRollout(
        id=draw(TEXT.filter(bool)),
        source=draw(TEXT.filter(bool)),
        kind=draw(TEXT.filter(bool)),
        label=draw(st.floats(0, 1)),
        rollout=rollout,
        pair=draw(st.none() | TEXT),
        provenance=draw(st.dictionaries(TEXT, st.integers(-9, 9), max_size=2)),
    )


@given(st.lists(labelled_rollouts(), min_size=1, max_size=4, unique_by=lambda row: row.id))
def test_rows_survive_both_formats(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("labelled")
    assert [from_row(json.loads(json.dumps(to_row(row)))) for row in rows] == rows
    for name in ("rows.jsonl", "rows.parquet"):
        assert write_labelled(folder / name, rows) == len(rows)
        assert read_labelled(folder / name) == rows


def row(**changes) -> dict:
    return {"id": "a", "source": "s", "kind": "honest", "label": 1.0, "response": "<think>x</think>", **changes}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(label=1.5), r"label=1.5 must be a number in \[0, 1\]"),
        (row(label=None), "label=None"),
        (row(response=3), "field 'response' must be a text"),
        (row(extra_info=[1]), "field 'extra_info' must be an object"),
        (row(pair=1), "field 'pair'"),
        (row(colour="red"), "unknown field 'colour'"),
        (row(kind=""), "kind=''"),
        ([], "expected an object"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad, message: str):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row()) + "\n\n" + json.dumps(bad))
    with pytest.raises(ValueError, match=f"rows.jsonl: row 3: {message}"):
        read_labelled(path)


def test_an_id_is_unique_and_a_file_not_empty(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row()) + "\n" + json.dumps(row(label=0.0)))
    with pytest.raises(ValueError, match="'a' is not unique"):
        read_labelled(path)
    path.write_text("\n")
    with pytest.raises(ValueError, match="no rows"):
        read_labelled(path)
