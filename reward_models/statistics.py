"""The statistics by which judges and scorers are measured: plain functions of arrays, with intervals and comparisons.

Labels are in [0, 1]; where two classes are needed, a label above 0.5 is the good one. A statistic that its data does not
determine (one class only, nothing varies, no rows) is NaN, never a number that looks like a result.

Rows that come from one source are not independent (an honest thought and its corruptions share a task), so intervals
resample whole sources: the cluster bootstrap (Davison and Hinkley 1997, 3.8), percentile intervals. They are too narrow
with few sources, below some twenty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

NAN = math.nan
_MOST_UNDEFINED = 0.5  # of the resamples; with more there is no interval

Statistic = Callable[..., float]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval. NaN for what the data does not determine; `low` and `high` may be so alone."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First minus second with its interval, and the two-sided p of "no difference"; p is NaN where undetermined."""

    interval: Interval
    p: float


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability table: `count` rows in [low, high], their mean probability and mean label."""

    low: float
    high: float
    count: int
    probability: float
    label: float


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """P(a good row scores above a bad one), ties counting half: the Mann-Whitney U over all pairs, in [0, 1].

    Args:
        scores, labels: shape (N,); a label above 0.5 is good.

    NaN where a class is missing. ValueError for other shapes or scores that are not finite.
    """
    scores, labels = _columns(scores, labels)
    good, bad = scores[labels > 0.5], np.sort(scores[labels <= 0.5])
    if not len(good) or not len(bad):
        return NAN
    below, not_above = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    return float((below.sum() + not_above.sum()) / (2 * len(good) * len(bad)))


def pair_accuracy(better: ArrayLike, worse: ArrayLike) -> float:
    """The share of pairs in which the better one scores higher, ties counting half; NaN for no pairs. Shapes (N,)."""
    better, worse = _columns(better, worse)
    if not len(better):
        return NAN
    return float(np.mean((better > worse) + 0.5 * (better == worse)))


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation, in [-1, 1]; NaN where one of them does not vary. Shapes (N,)."""
    return _correlation(lambda a, b: cosine(ranks(a) - (len(a) + 1) / 2, ranks(b) - (len(b) + 1) / 2), first, second)


def kendall(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-b, in [-1, 1]; NaN where one of them does not vary. Shapes (N,)."""
    return _correlation(lambda a, b: stats.kendalltau(a, b).statistic, first, second)


def ranks(column: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing their mean: `scipy.stats.rankdata` in a fifth of the time for short columns.

    The bootstrap calls it thousands of times.
    """
    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Of two centred columns this is their correlation; NaN where one is all 0."""
    norm = math.sqrt(float((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm else NAN


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> list[Bin]:
    """The reliability table, by bins of equal mass: between the quantiles of `probabilities`, which are in [0, 1].

    Equal probabilities share a bin, so there may be fewer than `bins`, and the order of rows does not matter. [] for no
    rows. ValueError for probabilities outside [0, 1].
    """
    probabilities, labels = _columns(probabilities, labels)
    places, table = _places(probabilities, bins), []
    for place in np.unique(places):
        inside = probabilities[places == place]
        mean_label = float(labels[places == place].mean())
        table.append(Bin(float(inside.min()), float(inside.max()), len(inside), float(inside.mean()), mean_label))
    return table


def ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error, in [0, 1]: |mean probability - mean label| over the bins of `reliability`, by mass.

    NaN for no rows. Of finite data it is biased upwards: even a calibrated judge has some, the more the fewer rows.
    """
    probabilities, labels = _columns(probabilities, labels)
    if not len(probabilities):
        return NAN
    gaps = np.bincount(_places(probabilities, bins), weights=probabilities - labels)
    return float(np.abs(gaps).sum() / len(labels))


def bootstrap(
    statistic: Statistic,
    *columns: ArrayLike,
    groups: Sequence[str] | np.ndarray | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Interval:
    """`statistic(*columns)` with its 95 % percentile interval over `n` resamples.

    Args:
        statistic: takes the columns and returns a float, NaN where undetermined.
        columns: each of shape (N,) or (N, ...); rows are drawn together.
        groups: N labels; whole groups are drawn. None: each row is a group of its own.

    Resamples in which the statistic is NaN are left out; where more than half are, or there is one group only, the ends
    are NaN. The same seed gives the same interval.
    """
    value, replicates = _replicates(statistic, columns, groups, n, seed)
    low, high = np.quantile(replicates, [0.025, 0.975]) if len(replicates) else (NAN, NAN)
    return Interval(value, float(low), float(high))


def paired_difference(
    statistic: Statistic,
    first: ArrayLike,
    second: ArrayLike,
    *columns: ArrayLike,
    groups: Sequence[str] | np.ndarray | None = None,
    n: int = 2000,
    seed: int = 0,
) -> Difference:
    """`statistic(first, *columns) - statistic(second, *columns)` of two judges on the same rows, by paired bootstrap.

    Each resample draws the same rows for both. p = 2 min(share of differences <= 0, share >= 0), with one added to
    count and number so that it is never 0: at least 2 / (n + 1).
    """

    def difference(one: np.ndarray, other: np.ndarray, *rest: np.ndarray) -> float:
        return statistic(one, *rest) - statistic(other, *rest)

    value, replicates = _replicates(difference, (first, second, *columns), groups, n, seed)
    if not len(replicates):
        return Difference(Interval(value, NAN, NAN), NAN)
    low, high = np.quantile(replicates, [0.025, 0.975])
    tail = min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (len(replicates) + 1))
    return Difference(Interval(value, float(low), float(high)), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p of several tests, in their order; NaN stays NaN and counts as no test."""
    tests = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, highest = [NAN] * len(p_values), 0.0
    for number, (p, place) in enumerate(tests):
        highest = max(highest, min(1.0, p * (len(tests) - number)))
        adjusted[place] = highest
    return adjusted


def wilson(successes: int, trials: int) -> Interval:
    """A share with Wilson's 95 % interval, for independent trials; all NaN for none."""
    if not trials:
        return Interval(NAN, NAN, NAN)
    interval = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return Interval(successes / trials, float(interval.low), float(interval.high))


def rounded(value: float) -> float | None:
    """For JSON, which has no NaN; six digits are more than is meant."""
    return round(float(value), 6) if math.isfinite(value) else None


def _columns(*columns: ArrayLike) -> tuple[np.ndarray, ...]:
    """The columns as float arrays of one shape (N,), all finite."""
    arrays = tuple(np.asarray(column, dtype=float) for column in columns)
    if any(array.ndim != 1 or len(array) != len(arrays[0]) for array in arrays):
        raise ValueError(f"columns must be of one shape (N,), got {', '.join(str(array.shape) for array in arrays)}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("columns must be finite; leave rows without a score out")
    return arrays


def _places(probabilities: np.ndarray, bins: int) -> np.ndarray:
    """The number of each one's bin, by edges at the quantiles."""
    if bins < 1:
        raise ValueError(f"bins={bins!r} must be at least 1")
    if not len(probabilities):
        return np.array([], dtype=int)
    ordered = np.sort(probabilities)
    if ordered[0] < 0 or ordered[-1] > 1:
        raise ValueError("probabilities must be in [0, 1]; calibrate scores first")
    edges = np.unique(ordered[np.arange(1, bins) * (len(ordered) - 1) // bins])
    return np.searchsorted(edges, probabilities, side="left")


def _correlation(measure: Callable[[np.ndarray, np.ndarray], float], first: ArrayLike, second: ArrayLike) -> float:
    first, second = _columns(first, second)
    if len(first) < 2 or (first == first[0]).all() or (second == second[0]).all():
        return NAN
    return float(measure(first, second))


def _replicates(
    statistic: Statistic,
    columns: Sequence[ArrayLike],
    groups: Sequence[str] | np.ndarray | None,
    n: int,
    seed: int,
) -> tuple[float, np.ndarray]:
    """The statistic, and its defined values over the resamples; no values where they would say nothing."""
    arrays = [np.asarray(column) for column in columns]
    rows = len(arrays[0])
    if any(len(array) != rows for array in arrays) or (groups is not None and len(groups) != rows):
        raise ValueError("columns and groups must have the same number of rows")
    value = float(statistic(*arrays))
    found = np.array([statistic(*(array[drawn] for array in arrays)) for drawn in _draws(rows, groups, n, seed)])
    defined = found[~np.isnan(found)]
    return value, defined if len(defined) > _MOST_UNDEFINED * len(found) and not math.isnan(value) else defined[:0]


def _draws(rows: int, groups: Sequence[str] | np.ndarray | None, n: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of `n` resamples; none where there are not two groups."""
    labels = np.arange(rows) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(labels) if rows else np.array([], dtype=int)
    if len(sizes) < 2:
        return
    by_group, starts = np.argsort(labels, kind="stable"), np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    for _ in range(n):
        drawn = rng.integers(len(sizes), size=len(sizes))
        counts = sizes[drawn]
        # Each drawn group's run of places in `by_group`, one after another, without a loop over groups.
        ends = np.cumsum(counts)
        offsets = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        yield by_group[np.repeat(starts[drawn], counts) + offsets]
