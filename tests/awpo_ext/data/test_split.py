"""The split: disjoint by id and by question, stable, and independent of the input's order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.data.errors import DataError
from awpo_ext.data.split import question_key, split_rows


def rows_with(questions):
    return [{"extra_info": {"id": f"r{i}", "question": question}} for i, question in enumerate(questions)]


def ids(rows):
    return [row["extra_info"]["id"] for row in rows]


@given(
    st.lists(st.sampled_from(["a", "A ", "b", "c", "d", "e f", "e  f"]), min_size=4, max_size=20),
    st.integers(0, 3),
    st.integers(0, 5),
)
def test_disjoint_complete_and_stable(questions, val_rows, seed):
    rows = rows_with(questions)
    train, val = split_rows(rows, val_rows, seed)
    assert sorted(ids(train) + ids(val)) == sorted(ids(rows))
    assert len(val) <= val_rows
    keys = [{question_key(row["extra_info"]["question"]) for row in side} for side in (train, val)]
    assert keys[0].isdisjoint(keys[1])
    random.Random(seed).shuffle(rows)
    assert split_rows(rows, val_rows, seed) == (train, val)


def test_the_split_is_the_same_on_every_machine():
    _, val = split_rows(rows_with([f"q{i}" for i in range(10)]), 3, 0)
    assert ids(val) == ["r2", "r8", "r6"]


def test_rows_connected_through_another_row_stay_together():
    rows = rows_with(["x"] * 4)
    asked = {"r0": ["a"], "r1": ["a", "b"], "r2": ["b"], "r3": ["c"]}
    for seed in range(10):
        train, val = split_rows(rows, 3, seed, questions=lambda row: asked[row["extra_info"]["id"]])
        sides = [side for side in (train, val) if side]
        assert all({"r0", "r1", "r2"} <= set(ids(side)) or set(ids(side)) == {"r3"} for side in sides)


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(DataError, match="--val-rows 2 leave nothing"):
        split_rows(rows_with(["a", "b"]), 2, 0)


def test_a_repeated_id_is_named():
    with pytest.raises(DataError, match="'r0' occurs more than once"):
        split_rows(rows_with(["a"]) + rows_with(["b"]), 0, 0)
