"""How well scores agree with labels: discrimination, rank correlation, calibration, coverage and length, by kind.

Everything is computed from `RowResult`s, which a report keeps, so that judges can be compared later. Rows without a
score take part in coverage alone. Intervals resample sources (see statistics.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reward_models import statistics
from reward_models.labelled import HONEST, LabelledRollout
from reward_models.rollout_view import read_rollout
from reward_models.statistics import Bin, Interval, auc, bootstrap, ece, pair_accuracy, wilson
from reward_models.types import Scored, Verdict


@dataclass(frozen=True)
class RowResult:
    """A labelled row and what the judge said of it; `length` is the thought's in characters.

    score: None where the judge gave none, for `reason`.
    """

    id: str
    source: str
    kind: str
    label: float
    pair: str | None
    length: int
    score: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Coverage:
    """The share of rows with a score, and how many have none for which reason."""

    share: Interval
    unscored: dict[str, int]


@dataclass(frozen=True)
class KindResult:
    """A kind against the honest rows of the same sources; `pairs` is how many `pair_accuracy` goes by."""

    rows: int
    scored: int
    mean_score: float
    auc: Interval
    pair_accuracy: Interval
    pairs: int


@dataclass(frozen=True)
class Agreement:
    """Scores against labels, over all rows."""

    auc: Interval
    pair_accuracy: Interval
    pairs: int
    spearman: Interval
    kendall: Interval
    ece: Interval
    reliability: list[Bin]


@dataclass(frozen=True)
class LengthBias:
    """Spearman of score and length of the thought: over all rows, over good and bad ones, and within kinds.

    `within_kind` pools the kinds' ranks, each centred: what is left when being bad, and how, is taken out.
    """

    overall: Interval
    good: Interval
    bad: Interval
    within_kind: Interval


def row_result(row: LabelledRollout, verdict: Verdict) -> RowResult:
    length = len(read_rollout(row.rollout).thought)
    known: dict[str, Any] = {"id": row.id, "source": row.source, "kind": row.kind, "label": row.label, "pair": row.pair}
    if isinstance(verdict, Scored):
        return RowResult(**known, length=length, score=verdict.value)
    return RowResult(**known, length=length, score=None, reason=verdict.reason.value)


def coverage(rows: Sequence[RowResult], seed: int = 0) -> Coverage:
    scored = [row.score is not None for row in rows]
    reasons = Counter(row.reason or "unknown" for row in rows if row.score is None)
    return Coverage(share_interval(np.mean, scored, groups=_sources(rows), seed=seed), dict(reasons.most_common()))


def agreement(rows: Sequence[RowResult], seed: int = 0, bins: int = 10) -> Agreement:
    """Scores against labels; NaN where the rows do not determine a measure, such as AUC of one class."""
    rows = _scored(rows)
    scores, labels, groups = _scores(rows), _labels(rows), _sources(rows)
    pairs = score_pairs(rows)
    return Agreement(
        auc=share_interval(auc, scores, labels, groups=groups, seed=seed),
        pair_accuracy=_pair_interval(pairs, seed),
        pairs=len(pairs),
        spearman=bootstrap(statistics.spearman, scores, labels, groups=groups, seed=seed),
        kendall=bootstrap(statistics.kendall, scores, labels, groups=groups, seed=seed, n=200),
        ece=bootstrap(lambda p, y: ece(p, y, bins), scores, labels, groups=groups, seed=seed),
        reliability=statistics.reliability(scores, labels, bins),
    )


def by_kind(rows: Sequence[RowResult], seed: int = 0) -> dict[str, KindResult]:
    """Each kind but HONEST, in the order of the file."""
    found = {}
    for kind in dict.fromkeys(row.kind for row in rows if row.kind != HONEST):
        own = [row for row in rows if row.kind == kind]
        both = _scored(of_kind(rows, kind))
        pairs = [pair for pair in score_pairs(_scored(rows)) if pair[1].kind == kind]
        scores = _scores(_scored(own))
        found[kind] = KindResult(
            rows=len(own),
            scored=len(scores),
            mean_score=float(scores.mean()) if len(scores) else math.nan,
            auc=share_interval(auc, _scores(both), _labels(both), groups=_sources(both), seed=seed),
            pair_accuracy=_pair_interval(pairs, seed),
            pairs=len(pairs),
        )
    return found


def of_kind(rows: Sequence[RowResult], kind: str) -> list[RowResult]:
    """The rows of `kind` and the honest ones of the same sources: what the kind's AUC goes by."""
    sources = {row.source for row in rows if row.kind == kind}
    return [row for row in rows if row.kind == kind or (row.kind == HONEST and row.source in sources)]


def length_bias(rows: Sequence[RowResult], seed: int = 0) -> LengthBias:
    rows = _scored(rows)

    def spearman(some: Iterable[RowResult]) -> Interval:
        some = list(some)
        return bootstrap(statistics.spearman, _scores(some), _lengths(some), groups=_sources(some), seed=seed)

    kinds = np.unique([row.kind for row in rows], return_inverse=True)[1] if rows else np.array([], dtype=int)
    return LengthBias(
        overall=spearman(rows),
        good=spearman(row for row in rows if row.label > 0.5),
        bad=spearman(row for row in rows if row.label <= 0.5),
        within_kind=bootstrap(pooled_spearman, _scores(rows), _lengths(rows), kinds, groups=_sources(rows), seed=seed),
    )


def pooled_spearman(first: np.ndarray, second: np.ndarray, strata: np.ndarray) -> float:
    """The correlation of ranks within strata, pooled: 0 where they go together between strata only. NaN: nothing varies.

    Ranks are divided by the stratum's size, so that strata count by their rows.
    """
    strata = np.unique(strata, return_inverse=True)[1]
    sizes = np.bincount(strata)
    middles = np.cumsum(sizes) - (sizes - 1) / 2

    def centred(column: np.ndarray) -> np.ndarray:
        codes = np.unique(column, return_inverse=True)[1]
        # Ranked by stratum first, so a stratum's ranks are in a row around its middle.
        within = statistics.ranks(strata * len(column) + codes)
        return (within - middles[strata]) / sizes[strata]

    return statistics.cosine(centred(first), centred(second))


def share_interval(statistic: Callable[..., float], *columns: ArrayLike, groups: Sequence[str], seed: int) -> Interval:
    """`bootstrap` of a statistic in [0, 1], honest at the ends.

    Where every resample gives 0, or every one 1, the bootstrap's interval has no width, however few rows there are.
    Then it is Wilson's, with one trial a source: 3 of 3 is 0.44 to 1.
    """
    found = bootstrap(statistic, *columns, groups=groups, seed=seed)
    sources = len(set(groups))
    if found.value in (0.0, 1.0) and (math.isnan(found.low) or found.low == found.high):
        ends = wilson(round(found.value * sources), sources)
        return Interval(found.value, ends.low, ends.high)
    return found


def score_pairs(rows: Sequence[RowResult]) -> list[tuple[RowResult, RowResult]]:
    """(better, worse) for each row whose `pair` is among the rows; all must have scores."""
    by_id = {row.id: row for row in rows}
    return [(by_id[row.pair], row) for row in rows if row.pair in by_id]


def _pair_interval(pairs: Sequence[tuple[RowResult, RowResult]], seed: int) -> Interval:
    better, worse = _scores([pair[0] for pair in pairs]), _scores([pair[1] for pair in pairs])
    return share_interval(pair_accuracy, better, worse, groups=[pair[1].source for pair in pairs], seed=seed)


def _scored(rows: Iterable[RowResult]) -> list[RowResult]:
    return [row for row in rows if row.score is not None]


def _scores(rows: Sequence[RowResult]) -> np.ndarray:
    return np.array([row.score for row in rows], dtype=float)


def _labels(rows: Sequence[RowResult]) -> np.ndarray:
    return np.array([row.label for row in rows], dtype=float)


def _lengths(rows: Sequence[RowResult]) -> np.ndarray:
    return np.array([row.length for row in rows], dtype=float)


def _sources(rows: Sequence[RowResult]) -> list[str]:
    return [row.source for row in rows]
