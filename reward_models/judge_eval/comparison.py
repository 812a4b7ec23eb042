"""Several judges on the same rows: their measures side by side, and which differences are more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reward_models.judge_eval.measures import (
    RowResult,
    of_kind,
    pooled_spearman,
    score_pairs,
    share_interval,
)
from reward_models.judge_eval.report import Results
from reward_models.labelled import HONEST
from reward_models.statistics import (
    Interval,
    auc,
    bootstrap,
    ece,
    holm,
    pair_accuracy,
    paired_difference,
    spearman,
)

SIGNIFICANT = 0.05
LOWER_IS_BETTER = ("ECE", "length")


@dataclass(frozen=True)
class Contrast:
    """`first` minus `second` on one measure. `p` is adjusted by Holm over the tests of its table."""

    measure: str
    first: str
    second: str
    difference: Interval
    p: float
    significant: bool
    better: str | None

    @property
    def lead(self) -> Interval:
        """How far apart the two are, as a positive number: of a significant one, the better one's lead."""
        found = self.difference
        return Interval(-found.value, -found.high, -found.low) if found.value < 0 else found


@dataclass(frozen=True)
class Comparison:
    """values: measure -> judge -> interval. `rows`: how many all judges scored; the others are left out.

    Two tables, `overall` and `kinds` (AUC by kind), with a family of tests each.
    """

    judges: list[str]
    rows: int
    left_out: int
    overall: dict[str, dict[str, Interval]]
    kinds: dict[str, dict[str, Interval]]
    overall_tests: list[Contrast]
    kind_tests: list[Contrast]


@dataclass(frozen=True)
class _Measure:
    """A statistic of (scores, *columns) on some rows; `scores` has a column for each side of a pair where it needs."""

    name: str
    statistic: Callable[..., float]
    scores: dict[str, np.ndarray]
    columns: tuple[np.ndarray, ...]
    groups: list[str]


def compare(results: Sequence[Results], seed: int = 0) -> Comparison:
    """Every two judges on every measure, by paired bootstrap over sources.

    ValueError where there are fewer than two judges, two of one name, or reports on different rows.
    """
    names = [result.name for result in results]
    if len(results) < 2:
        raise ValueError("a comparison needs at least two reports")
    if len(set(names)) < len(names):
        raise ValueError(f"two reports have one name ({', '.join(names)}); give them others with --name")
    for result in results[1:]:
        if result.rows_hash != results[0].rows_hash:
            raise ValueError(
                f"{names[0]!r} and {result.name!r} were measured on different rows ({results[0].rows_hash} and "
                f"{result.rows_hash}); measure both on the same file, with the same --limit and --seed"
            )
    by_id = [{row.id: row for row in result.rows} for result in results]
    common = [row.id for row in results[0].rows if all(rows[row.id].score is not None for rows in by_id)]
    columns = {name: [rows[key] for key in common] for name, rows in zip(names, by_id, strict=True)}
    overall, kinds = _overall(columns), _kinds(columns)
    return Comparison(
        judges=names,
        rows=len(common),
        left_out=len(results[0].rows) - len(common),
        overall=_values(overall, seed),
        kinds=_values(kinds, seed),
        overall_tests=_tests(overall, names, seed),
        kind_tests=_tests(kinds, names, seed),
    )


def _overall(columns: dict[str, list[RowResult]]) -> list[_Measure]:
    rows = next(iter(columns.values()))
    sources = [row.source for row in rows]
    labels = np.array([row.label for row in rows])
    lengths = np.array([row.length for row in rows], dtype=float)
    kinds = np.unique([row.kind for row in rows], return_inverse=True)[1] if rows else np.array([], dtype=int)
    scores = {name: np.array([row.score for row in own], dtype=float) for name, own in columns.items()}
    found = [
        _Measure("AUC", auc, scores, (labels,), sources),
        _Measure("Spearman", spearman, scores, (labels,), sources),
        _Measure("ECE", ece, scores, (labels,), sources),
        _Measure("length", _length_size, scores, (lengths, kinds), sources),
    ]
    pairs = {name: score_pairs(own) for name, own in columns.items()}
    if pairs_here := next(iter(pairs.values())):
        sides = {name: np.array([[a.score, b.score] for a, b in own], dtype=float) for name, own in pairs.items()}
        found.insert(1, _Measure("pair accuracy", _pairs, sides, (), [worse.source for _, worse in pairs_here]))
    return found


def _kinds(columns: dict[str, list[RowResult]]) -> list[_Measure]:
    rows = next(iter(columns.values()))
    found = []
    for kind in dict.fromkeys(row.kind for row in rows if row.kind != HONEST):
        own = {name: of_kind(results, kind) for name, results in columns.items()}
        here = next(iter(own.values()))
        scores = {name: np.array([row.score for row in results], dtype=float) for name, results in own.items()}
        labels = np.array([row.label for row in here])
        found.append(_Measure(kind, auc, scores, (labels,), [row.source for row in here]))
    return found


def _values(measures: Sequence[_Measure], seed: int) -> dict[str, dict[str, Interval]]:
    def interval(measure: _Measure, scores: np.ndarray) -> Interval:
        draw = bootstrap if measure.name == "Spearman" else share_interval
        return draw(measure.statistic, scores, *measure.columns, groups=measure.groups, seed=seed)

    return {
        measure.name: {name: interval(measure, scores) for name, scores in measure.scores.items()}
        for measure in measures
    }


def _tests(measures: Sequence[_Measure], names: Sequence[str], seed: int) -> list[Contrast]:
    planned = [(measure, *pair) for measure in measures for pair in itertools.combinations(names, 2)]
    n = max(2000, 50 * len(planned))  # p is at least 2 / (n + 1): Holm must be able to get below 0.05
    found = [
        paired_difference(
            item.statistic, item.scores[first], item.scores[second], *item.columns, groups=item.groups, n=n, seed=seed
        )
        for item, first, second in planned
    ]
    adjusted = holm([difference.p for difference in found])
    tests = []
    for (measure, first, second), difference, p in zip(planned, found, adjusted, strict=True):
        significant = not math.isnan(p) and p < SIGNIFICANT
        ahead = (difference.interval.value > 0) != (measure.name in LOWER_IS_BETTER)
        better = (first if ahead else second) if significant else None
        tests.append(Contrast(measure.name, first, second, difference.interval, p, significant, better))
    return tests


def _pairs(sides: np.ndarray) -> float:
    return pair_accuracy(sides[:, 0], sides[:, 1])


def _length_size(scores: np.ndarray, lengths: np.ndarray, kinds: np.ndarray) -> float:
    return abs(pooled_spearman(scores, lengths, kinds))
