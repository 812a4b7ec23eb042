"""The sequential tests: their false alarms are bounded as stated, by enumeration, by coupling and by simulation."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awpo_ext.guard.evidence import POWERS, RiseTest, StuckTest, Wealth, rank_factors, start_share

VALUES = st.lists(st.integers(0, 5).map(float) | st.floats(-1e6, 1e6), max_size=60)


def looked(values) -> RiseTest:
    test = RiseTest()
    for step, value in enumerate(values):
        test.look(step, value)
    return test


def held(values) -> StuckTest:
    test = StuckTest()
    for step, value in enumerate(values):
        test.look(step, value)
    return test


def spent(looks):
    return sum(start_share(look) for look in range(looks))


def test_all_starts_together_have_one_unit():
    assert spent(100_000) == pytest.approx(1 - 200 / 100_200)


@settings(max_examples=60)
@given(st.integers(1, 300))
def test_a_factor_has_mean_1_over_the_places(t):
    before = [float(i) for i in range(t - 1)]
    factors = np.array([rank_factors(before, k - 0.5) for k in range(t)])
    assert factors.mean(axis=0) == pytest.approx([1.0] * len(POWERS), rel=1e-9)
    assert (np.diff(factors, axis=0) > 0).all() and (factors > 0).all()


def test_money_has_mean_1_over_all_orders_of_different_values():
    for n in range(1, 7):
        orders = [looked(map(float, order)).wealth.value for order in itertools.permutations(range(n))]
        assert np.mean(orders) == pytest.approx(spent(n), rel=1e-12)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 2).map(float), min_size=1, max_size=5))
def test_ties_only_lose_money(values):
    orders = [looked(order).wealth.value for order in itertools.permutations(values)]
    assert np.mean(orders) <= spent(len(values)) * (1 + 1e-12)


@given(VALUES.filter(len), st.data())
def test_a_series_that_sinks_has_no_more_evidence(values, data):
    """Ordinary learning: whatever the values, with a growing amount taken off them no start has more money."""
    steps = data.draw(st.lists(st.integers(0, 1000), min_size=len(values), max_size=len(values)))
    values = [float(round(value)) for value in values]  # so that differences are exact
    sunk = [value - off for value, off in zip(values, itertools.accumulate(steps), strict=True)]
    for n in {1, len(values) // 2, len(values) - 1, len(values)} - {0}:
        assert looked(sunk[:n]).wealth.value <= looked(values[:n]).wealth.value * (1 + 1e-9)


@pytest.mark.parametrize("chance", [0.5, 0.3])
def test_a_thing_that_holds_in_half_of_the_looks_makes_no_money(chance):
    for n in range(1, 9):
        cases = [(held(case), chance ** sum(case) * (1 - chance) ** (n - sum(case)))
                 for case in itertools.product([False, True], repeat=n)]  # fmt: skip
        mean = sum(test.wealth.value * weight for test, weight in cases)
        assert mean == pytest.approx(spent(n)) if chance == 0.5 else mean < spent(n)


@pytest.mark.parametrize("draw", ["normal", "pareto", "few values"])
def test_false_alarms_of_whole_runs_are_as_rare_as_stated(draw):
    rng = np.random.default_rng(0)
    sample = {
        "normal": lambda: rng.normal(size=250),
        "pareto": lambda: rng.pareto(1.0, size=250),
        "few values": lambda: rng.integers(0, 3, size=250).astype(float),
    }[draw]
    alarms = 0
    for _ in range(150):
        test, series = RiseTest(), sample().tolist()
        alarms += any(test.look(step, value) or test.wealth.value >= 10 for step, value in enumerate(series))
    assert alarms <= 15 + 3 * math.sqrt(150 * 0.1 * 0.9)  # at most 10 %, and three standard deviations


@pytest.mark.parametrize("onset", [30, 100])
def test_a_rise_is_found_and_dated(onset):
    rng = np.random.default_rng(1)
    test, money = RiseTest(), []
    for step, value in enumerate([*rng.normal(size=onset), *rng.normal(4.0, size=25)]):
        test.look(step, float(value))
        money.append(test.wealth.value)
    before, after = test.before_after(test.onset())
    assert max(money[:onset]) < 100 < 200 < max(money) and abs(test.onset() - onset) <= 3 and before < 1 and after > 3


@given(VALUES, VALUES)
def test_a_saved_test_goes_on_as_if_nothing_had_been(first, then):
    test = looked(first)
    again = RiseTest.from_dict(json.loads(json.dumps(test.as_dict())))
    for step, value in enumerate(then):
        test.look(step, value)
        again.look(step, value)
    assert again.as_dict() == test.as_dict() and again.onset() == test.onset()


@given(st.lists(st.booleans(), max_size=40), st.lists(st.booleans(), max_size=40))
def test_a_saved_stuck_test_goes_on_too(first, then):
    test = held(first)
    again = StuckTest.from_dict(json.loads(json.dumps(test.as_dict())))
    for value in then:
        test.look(9, value)
        again.look(9, value)
    assert vars(again.wealth) == vars(test.wealth) and again.steps == test.steps


@pytest.mark.parametrize("change", [
    {"raw": [1.0]}, {"values": [float("nan")] * 3}, {"wealth": {}}, {"steps": "abc"},
    {"wealth": vars(Wealth.of(2))}, {"wealth": {"looks": 3, "money": [-1.0, 0.0, 0.0]}},
])  # fmt: skip
def test_a_damaged_state_is_refused(change):
    with pytest.raises((ValueError, KeyError, TypeError)):
        RiseTest.from_dict({**looked([1.0, 2.0, 3.0]).as_dict(), **change})


def test_money_never_overflows():
    test = held([True] * 5000)
    assert math.isfinite(test.wealth.value) and test.onset() == 0
