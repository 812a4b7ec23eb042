"""Calibration: monotone, in [0, 1], truthful on rows it has not seen, and read back only where it is whole."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from reward_models.scorers.calibration import (
    Calibration,
    Isotonic,
    Platt,
    fit_calibration,
    fit_isotonic,
    fit_platt,
)

SCORES = st.floats(-1e6, 1e6, allow_subnormal=False)
ROWS = st.lists(st.tuples(SCORES, st.floats(0, 1)), min_size=2, max_size=40).filter(
    lambda rows: len({y for _, y in rows}) > 1
)
FITS = [fit_platt, fit_isotonic, fit_calibration]


def sample(n, seed, slope=3.0):
    """Scores whose true probability is known: expit(slope * score - 1)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=n)
    return scores, (rng.random(n) < expit(slope * scores - 1)).astype(float)


def slow_ece(probabilities, labels, bins=10):
    total = 0.0
    for number in range(bins):
        inside = [i for i, p in enumerate(probabilities) if min(int(p * bins), bins - 1) == number]
        if inside:
            total += len(inside) * abs(np.mean([probabilities[i] - labels[i] for i in inside]))
    return total / len(labels)


@pytest.mark.parametrize("fit", FITS)
@settings(max_examples=60)
@given(rows=ROWS, others=st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_is_monotone_and_in_range_and_survives_json(fit, rows, others):
    calibration = fit(*map(np.array, zip(*rows, strict=True)))
    points = np.sort(np.array([*others, *(score for score, _ in rows), -np.inf, np.inf]))
    values = calibration.apply(points)
    assert values.shape == points.shape
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) >= -1e-12).all()
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


@settings(max_examples=60)
@given(rows=ROWS)
def test_isotonic_is_the_best_monotone_fit(rows):
    """Against the min-max formula of isotonic regression, over unique scores."""
    scores, labels = map(np.array, zip(*rows, strict=True))
    x = sorted(set(scores))
    mean = {(a, b): labels[(scores >= x[a]) & (scores <= x[b])].mean() for a in range(len(x)) for b in range(a, len(x))}
    slow = [max(min(mean[a, b] for b in range(at, len(x))) for a in range(at + 1)) for at in range(len(x))]
    assert fit_isotonic(scores, labels).apply(np.array(x)) == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_platt_is_the_maximum_of_its_likelihood(seed, unit):
    scores, labels = sample(60, seed)
    good, bad = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (good + 1) / (good + 2), 1 / (bad + 2))

    def loss(parameters):
        p = expit(parameters[0] * scores + parameters[1])
        return -np.sum(targets * np.log(p) + (1 - targets) * np.log(1 - p))

    slow = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    found = fit_platt(scores * unit + 7 * unit, labels)
    assert [found.slope * unit, found.intercept + 7 * unit * found.slope] == pytest.approx(slow, abs=1e-4)


@pytest.mark.parametrize("fit", FITS)
def test_lowers_the_calibration_error_on_rows_it_has_not_seen(fit):
    scores, labels = sample(4000, 0)
    calibration = fit(scores[:2000], labels[:2000])
    assert slow_ece(expit(scores[2000:]), labels[2000:]) > 0.09
    assert slow_ece(calibration.apply(scores[2000:]), labels[2000:]) < 0.03


def test_platt_where_scores_say_nothing_or_the_opposite_is_the_mean():
    labels = np.array([0.0, 1.0, 1.0, 1.0])
    assert fit_platt(np.full(4, 3.0), labels).slope == 0
    against = fit_platt(np.array([4.0, 3.0, 2.0, 1.0]), labels)
    assert against.slope == 0
    assert against.apply(np.array([-5.0, 5.0])) == pytest.approx([0.7, 0.7], abs=0.02)


def test_form_is_chosen_by_size_and_by_what_fits():
    scores, labels = sample(3000, 1)
    assert isinstance(fit_calibration(scores[:900], labels[:900]), Platt)
    rng = np.random.default_rng(2)
    steps = (rng.random(3000) < np.where(scores < 0, 0.4, 0.6)).astype(float)  # no logistic curve
    assert isinstance(fit_calibration(scores, steps), Isotonic)
    groups = [f"row {i // 4}" for i in range(3000)]
    assert fit_calibration(scores, steps, groups, seed=3) == fit_calibration(scores, steps, groups, seed=3)


def test_a_nan_stays_one_and_touches_no_other():
    for calibration in (Platt(1.0, 0.0), Platt(0.0, 0.0), Isotonic((0.0, 1.0), (0.2, 0.8))):
        values = calibration.apply(np.array([np.nan, 0.5]))
        assert np.isnan(values[0]) and 0 <= values[1] <= 1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1, 2], [1, 1], "different labels"),
        ([], [], "different labels"),
        ([1, np.nan], [0, 1], "1 of 2 scores are not finite"),
        ([1, 2], [0, 2], r"labels must lie in \[0, 1\]"),
        ([1, 2], [0, np.nan], r"labels must lie in \[0, 1\]"),
        ([1, 2, 3], [0, 1], "one shape"),
    ],
)
def test_refuses_what_cannot_be_fitted(fit, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        fit(np.array(scores, dtype=float), np.array(labels, dtype=float))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "expected an object"),
        ({"kind": "platt", "slope": 1, "intercept": 0}, "version=None is not 1"),
        ({"version": 2, "kind": "platt", "slope": 1, "intercept": 0}, "version=2 is not 1"),
        ({"version": 1, "kind": "spline"}, "kind='spline' is not one of: platt, isotonic"),
        ({"version": 1, "kind": ["platt"]}, "is not one of"),
        ({"version": 1, "kind": "platt", "slope": 1}, "has the keys"),
        ({"version": 1, "kind": "platt", "slope": 1, "intercept": 0, "x": 1}, "has the keys"),
        ({"version": 1, "kind": "platt", "slope": -1, "intercept": 0}, "slope=-1.0 must not be negative"),
        ({"version": 1, "kind": "platt", "slope": "1", "intercept": 0}, "must be finite numbers"),
        ({"version": 1, "kind": "platt", "slope": float("nan"), "intercept": 0}, "must be finite numbers"),
        ({"version": 1, "kind": "isotonic", "x": [0, 1], "y": [0]}, "of one length"),
        ({"version": 1, "kind": "isotonic", "x": [], "y": []}, "of one length"),
        ({"version": 1, "kind": "isotonic", "x": [1, 0], "y": [0, 1]}, "x must increase"),
        ({"version": 1, "kind": "isotonic", "x": [0, 1], "y": [1, 0]}, "must not decrease"),
        ({"version": 1, "kind": "isotonic", "x": [0, 1], "y": [0, 1.5]}, r"must lie in \[0, 1\]"),
        ({"version": 1, "kind": "isotonic", "x": "01", "y": [0, 1]}, "must be finite numbers"),
    ],
)
def test_refuses_what_is_not_a_calibration(data, message):
    with pytest.raises(ValueError, match=message):
        Calibration.from_json(data)
