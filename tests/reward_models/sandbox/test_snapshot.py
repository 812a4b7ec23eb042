"""Snapshots: equal values have equal forms, different ones do not, and what says nothing about itself has none."""

import datetime
import decimal
import enum
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.sandbox.snapshot import NotComparable, same, snapshot

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
keys = st.integers(0, 3) | st.sampled_from(["a", "b"]) | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=8,
)


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point:
    def __init__(self, x, note=""):
        self.x = x
        self._note = note


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x


class Closed:
    def __init__(self, x):
        self._x = x


class Empty:
    pass


@given(values)
def test_a_snapshot_is_json_and_equals_itself(value):
    form = json.loads(json.dumps(snapshot(value)))
    assert same(form, snapshot(value))


@given(st.dictionaries(keys, scalars, max_size=4), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    items = random.sample(list(value.items()), len(value))
    assert same(snapshot(value), snapshot(dict(items)))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (True, 1),
        (False, 0),
        (None, 0),
        ("1", 1),
        ([1], (1,)),
        ([], {}),
        ({1, 2}, [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (b"a", "a"),
        (10**30, 10**30 + 1),
        (Color.RED, Color.BLUE),
        (Point(1), Point(2)),
        (Point(1), {"x": 1}),
        (Slotted(1), Slotted(2)),
        (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        (np.array([1, 2]), np.array([1, 3])),
        (["list", 1], [["list", 1]]),
        (1.0, 1.0001),
    ],
)
def test_different_values_differ(left, right):
    assert not same(snapshot(left), snapshot(right))
    assert not same(snapshot([left]), snapshot([right]))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (float("nan"), float("nan")),
        (10**30, 10**30),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (Point(1, "old"), Point(1, "new")),
        (Slotted(1), Slotted(1)),
        (Empty(), Empty()),
        (np.float32(0.5), 0.5),
        (np.arange(3000), np.arange(3000)),
    ],
)
def test_equal_values_are_the_same(left, right):
    assert same(snapshot(left), snapshot(right))


def test_tolerance_is_relative_or_absolute():
    assert same(1e9, 1e9 + 1, 1e-9)
    assert same(0.0, 1e-10, 1e-9)
    assert not same(1.0, 1.1, 1e-9)
    assert not same(True, 1.0, 1.0)
    assert not same(float("nan"), 1.0, 1.0)


def test_cycles_have_a_form():
    left, right, other = [1], [1], [2]
    for value in (left, right, other):
        value.append({"up": value})
    assert same(snapshot(left), snapshot(right))
    assert not same(snapshot(left), snapshot(other))


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [nested(100), [0] * 300_000, (n for n in [1]), len, Point, Closed(1), {"inner": [Closed(1)]}],
    ids=["deep", "large", "generator", "function", "class", "private", "private_inside"],
)
def test_what_says_nothing_about_itself_has_no_snapshot(value):
    with pytest.raises(NotComparable):
        snapshot(value)


def test_shared_values_do_not_grow_without_bound():
    value = [0]
    for _ in range(40):
        value = [value, value]
    with pytest.raises(NotComparable, match="more than"):
        snapshot(value)


def test_sets_and_keys_that_differ_within_the_tolerance_are_the_same():
    left, right = {10.0, 0.1 + 0.2, "a"}, {0.3, 9.9999999999999, "a"}
    assert same(snapshot(left), snapshot(right), 1e-9)
    assert not same(snapshot(left), snapshot(right))
    assert same(snapshot({9.9999999999999: 1, 10.5: 2}), snapshot({10.5: 2, 10.0: 1}), 1e-9)
    assert not same(snapshot({True}), snapshot({1}), 0.5)
