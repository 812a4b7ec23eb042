"""From a scorer's raw scores to numbers in [0, 1] that mean what they say, learned on held-out rows.

Two forms, both non-decreasing by construction, so a calibration never turns an order around:
Platt's logistic curve (temperature scaling with an offset) and isotonic regression.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, log_expit

VERSION = 1
# Below this many rows isotonic regression overfits (Niculescu-Mizil and Caruana 2005, section 4), and is not tried.
ISOTONIC_MIN_ROWS = 1000


class Calibration(ABC):
    """A non-decreasing map from raw scores to [0, 1]; a value, see `Platt` and `Isotonic`."""

    @abstractmethod
    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Float64 in [0, 1], of the shape of `scores`; -inf and inf give the ends, NaN stays NaN."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""

    @staticmethod
    def from_json(data: Any) -> Calibration:
        """Inverse of `to_json`; ValueError names what is missing, unknown, out of order or out of range."""
        if not isinstance(data, Mapping):
            raise ValueError(f"calibration: expected an object, got {data!r}")
        if data.get("version") != VERSION:
            raise ValueError(
                f"calibration: version={data.get('version')!r} is not {VERSION}, the one this release reads: "
                "calibrate the scorer again with `awpo scorer calibrate`"
            )
        forms: dict[str, Any] = {"platt": Platt, "isotonic": Isotonic}
        form = forms.get(data["kind"]) if isinstance(data.get("kind"), str) else None
        if form is None:
            raise ValueError(f"calibration: kind={data.get('kind')!r} is not one of: {', '.join(forms)}")
        wanted = {"version", "kind", *form.__dataclass_fields__}
        if set(data) != wanted:
            raise ValueError(
                f"calibration: a {data['kind']} has the keys {sorted(wanted)}, got {sorted(map(str, data))}"
            )
        return form(**{key: data[key] for key in form.__dataclass_fields__})


@dataclass(frozen=True)
class Platt(Calibration):
    """expit(slope * score + intercept), slope >= 0."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        for key in ("slope", "intercept"):
            object.__setattr__(self, key, _numbers(key, [getattr(self, key)])[0])
        if self.slope < 0:
            raise ValueError(f"calibration: slope={self.slope!r} must not be negative: it would turn the order around")

    def apply(self, scores: np.ndarray) -> np.ndarray:
        scores = np.asarray(scores, dtype=np.float64)
        if self.slope == 0:  # 0 * inf is NaN
            return np.where(np.isnan(scores), np.nan, expit(self.intercept))
        with np.errstate(over="ignore"):
            return expit(self.slope * scores + self.intercept)

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, "kind": "platt", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Isotonic(Calibration):
    """Straight lines between the knots (x, y), flat outside; x increases, y in [0, 1] does not decrease."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        for key in ("x", "y"):
            object.__setattr__(self, key, _numbers(key, getattr(self, key)))
        if len(self.x) != len(self.y) or not self.x:
            raise ValueError(f"calibration: x and y must be of one length >= 1, got {len(self.x)} and {len(self.y)}")
        if any(np.diff(self.x) <= 0):
            raise ValueError("calibration: x must increase")
        if any(np.diff(self.y) < 0) or not 0 <= self.y[0] <= self.y[-1] <= 1:
            raise ValueError("calibration: y must lie in [0, 1] and must not decrease")

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return np.clip(np.interp(np.asarray(scores, dtype=np.float64), self.x, self.y), 0.0, 1.0)

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, "kind": "isotonic", "x": list(self.x), "y": list(self.y)}


def fit_platt(scores: np.ndarray, labels: np.ndarray) -> Platt:
    """Platt 1999 with his smoothed targets, the slope held at >= 0.

    scores: (N,), finite. labels: (N,) in [0, 1]; not all equal, ValueError otherwise. A label between 0 and 1 counts as
    that share of a good row. Scores that all are equal, or run against the labels, give slope 0: the mean label.
    """
    scores, labels = _columns(scores, labels)
    good = labels.sum()
    bad = len(labels) - good
    targets = labels * (good + 1) / (good + 2) + (1 - labels) / (bad + 2)
    # Fitted on standardised scores, so that the optimiser does not depend on their unit.
    centre, spread = scores.mean(), scores.std()
    if not spread > 1e-12 * max(1.0, abs(centre)):
        return Platt(0.0, float(np.log(targets.mean() / (1 - targets.mean()))))
    standard = (scores - centre) / spread

    def loss_and_slope(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logits = parameters[0] * standard + parameters[1]
        loss = -(targets * log_expit(logits) + (1 - targets) * log_expit(-logits)).mean()
        error = expit(logits) - targets
        return loss, np.array([(error * standard).mean(), error.mean()])

    start = [1.0, np.log(targets.mean() / (1 - targets.mean()))]
    found = minimize(
        loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)], options={"gtol": 1e-9}
    )
    slope = found.x[0] / spread
    return Platt(float(slope), float(found.x[1] - slope * centre))


def fit_isotonic(scores: np.ndarray, labels: np.ndarray) -> Isotonic:
    """The non-decreasing fit of least squares; arguments and errors as of `fit_platt`. Equal scores share their mean."""
    scores, labels = _columns(scores, labels)
    x, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=labels) / counts
    y = np.clip(isotonic_regression(means, weights=counts).x, 0.0, 1.0)
    y = np.maximum.accumulate(y)  # blocks may differ by rounding
    # Only the ends of a flat stretch matter to the interpolation.
    kept = np.ones(len(y), dtype=bool)
    kept[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    return Isotonic(tuple(x[kept]), tuple(y[kept]))


def fit_calibration(
    scores: np.ndarray, labels: np.ndarray, groups: Sequence[str] | np.ndarray | None = None, seed: int = 0
) -> Calibration:
    """Platt, or isotonic where there are at least ISOTONIC_MIN_ROWS rows and it has the lower squared error.

    The squared errors (Brier scores) are those of 5-fold cross-validation in which the rows of one group stay
    together. groups: (N,), each row's source; None: every row is its own. Arguments and errors as of `fit_platt`.
    """
    scores, labels = _columns(scores, labels)
    if len(scores) < ISOTONIC_MIN_ROWS:
        return fit_platt(scores, labels)
    names, group_of = np.unique(np.arange(len(scores)) if groups is None else np.asarray(groups), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % 5)[group_of]
    errors = {fit_platt: 0.0, fit_isotonic: 0.0}
    for held in range(5):
        out = fold == held
        if not out.any() or out.all() or np.ptp(labels[~out]) == 0:
            continue
        for fit in errors:
            errors[fit] += float(((fit(scores[~out], labels[~out]).apply(scores[out]) - labels[out]) ** 2).sum())
    return min(errors, key=lambda fit: errors[fit])(scores, labels)  # the first, Platt, where they are equal


def _numbers(key: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value) for value in values
    ):
        raise ValueError(f"calibration: {key}={values!r} must be finite numbers")
    return tuple(float(value) for value in values)


def _columns(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"scores and labels must be of one shape (N,), got {scores.shape} and {labels.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite numbers")
    if not ((labels >= 0) & (labels <= 1)).all():
        raise ValueError("labels must lie in [0, 1]")
    if len(labels) == 0 or np.ptp(labels) == 0:
        raise ValueError("a calibration needs rows of different labels: add good and bad ones")
    return scores, labels
