"""How well a scorer tells honest reasoning from each kind of spoilt one, beside what its parts alone would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.labelled import HONEST, LabelledRollout
from reward_models.scorers.features.folder import FAMILY, read_metadata
from reward_models.scorers.features.model import Scorer, load
from reward_models.scorers.features.trace import read_trace
from reward_models.scorers.features.vector import BASELINES, columns_of, thought_lengths
from reward_models.scorers.metadata import read_family
from reward_models.statistics import Interval, auc, bootstrap, ece, rounded, spearman

UNSEEN = "all kinds not trained on"


@dataclass(frozen=True)
class KindFigures:
    """AUC of one kind against the honest rows, also of each part alone, and the share of pairs with the honest row above.

    seen: whether the scorer was trained on the kind.
    """

    kind: str
    rows: int
    seen: bool
    auc: Interval
    pairs: float
    baselines: dict[str, float]


@dataclass(frozen=True)
class Parts:
    """A scorer beside its parts on one file: what cosines, grounding, structure and length alone give, by kind.

    ece, ece_raw: at even odds, after and before calibration. length_correlation: rank correlation of score and words
    among the honest rows, whose quality does not depend on length.
    """

    kinds: tuple[KindFigures, ...]
    ece: Interval
    ece_raw: Interval
    length_correlation: float


def parts_of(folder: Path, device: str, rows: Sequence[LabelledRollout]) -> Parts | None:
    """`compare_parts` for the scorer in `folder`; None for another family, and for rows of one kind only."""
    kinds = {row.kind for row in rows}
    if read_family(folder) != FAMILY or HONEST not in kinds or len(kinds) < 2:
        return None
    return compare_parts(load(folder, device), rows, list(read_metadata(folder).training.get("kinds", {})))


def compare_parts(scorer: Scorer, rows: Sequence[LabelledRollout], seen_kinds: Sequence[str], n: int = 1000) -> Parts:
    """Figures of `scorer` on labelled rollouts with at least one HONEST row and another kind.

    n: resamples of sources for the 95 % intervals.
    """
    traces = [read_trace(row.rollout) for row in rows]
    logits = np.full(len(rows), -np.inf)
    said = [number for number, trace in enumerate(traces) if trace.thought.strip()]
    features = scorer.features([traces[number] for number in said])
    logits[said] = scorer.head.logits(features)
    columns = {"scorer": scorer.to_unit(logits)}
    ranked = {"scorer": logits}
    for name, head in scorer.baselines.items():
        inputs = (
            thought_lengths([traces[i] for i in said])
            if name == "length"
            else features[:, columns_of(*BASELINES[name])]
        )
        ranked[name] = np.full(len(rows), -np.inf)
        ranked[name][said] = head.logits(inputs)
    # The AUC wants finite numbers; only the order counts.
    ranked = {name: np.maximum(values, -1e9) for name, values in ranked.items()}
    kinds = np.array([row.kind for row in rows])
    sources = np.array([row.source for row in rows])
    honest = kinds == HONEST
    names = sorted(set(kinds) - {HONEST})
    spoken = {kinds[number] for number in said}  # a blank thought is 0.0 by rule, there is nothing to learn
    unseen = [name for name in names if name in spoken and name not in seen_kinds]
    figures = [_figures(name, name not in unseen, kinds == name, honest, ranked, sources, rows, n) for name in names]
    if unseen:
        figures.append(_figures(UNSEEN, False, np.isin(kinds, unseen), honest, ranked, sources, rows, n))
    labels = np.array([row.label for row in rows])
    chosen = even_odds(labels)
    lengths = thought_lengths(traces)[honest, 0]
    raw = 1 / (1 + np.exp(-np.maximum(logits, -500)))
    return Parts(
        tuple(figures),
        bootstrap(ece, columns["scorer"][chosen], labels[chosen], groups=sources[chosen], n=n),
        bootstrap(ece, raw[chosen], labels[chosen], groups=sources[chosen], n=n),
        spearman(ranked["scorer"][honest], lengths),
    )


def _figures(name, seen, spoilt, honest, ranked, sources, rows, n) -> KindFigures:
    shown = spoilt | honest
    labels = honest[shown].astype(float)
    by_id = {row.id: number for number, row in enumerate(rows)}
    pairs = [(by_id[rows[i].pair], i) for i in np.flatnonzero(spoilt) if rows[i].pair in by_id]
    scores = ranked["scorer"]
    wins = [float(scores[one] > scores[two]) + 0.5 * float(scores[one] == scores[two]) for one, two in pairs]
    return KindFigures(
        kind=name,
        rows=int(spoilt.sum()),
        seen=seen,
        auc=bootstrap(auc, scores[shown], labels, groups=sources[shown], n=n),
        pairs=float(np.mean(wins)) if wins else float("nan"),
        baselines={key: auc(values[shown], labels) for key, values in ranked.items() if key != "scorer"},
    )


def even_odds(labels: np.ndarray) -> np.ndarray:
    """Indices in which good rows (label above 0.5) and bad ones are about equally many: the rarer ones are repeated."""
    good, bad = np.flatnonzero(labels > 0.5), np.flatnonzero(labels <= 0.5)
    if not len(good) or not len(bad):
        return np.arange(len(labels))
    few, many = sorted((good, bad), key=len)
    return np.sort(np.concatenate([many, np.resize(few, len(many))]))


def summary(
    rows: Sequence[LabelledRollout], scores: np.ndarray, before: np.ndarray, *, even: bool = True
) -> dict[str, Any]:
    """Figures for the metadata: AUC over all, by kind, ECE before and after calibration (on the rows that it was fitted on)."""
    kinds = np.array([row.kind for row in rows])
    good = np.array([row.label > 0.5 for row in rows])
    labels = np.array([row.label for row in rows])
    chosen = even_odds(labels) if even else np.arange(len(labels))
    by_kind = {}
    for kind in sorted(set(kinds[~good])):
        shown = good | (kinds == kind)
        by_kind[str(kind)] = rounded(auc(scores[shown], good[shown].astype(float)))
    return {
        "rows": len(rows),
        "sources": len({row.source for row in rows}),
        "auc": rounded(auc(scores, good.astype(float))),
        "by_kind": by_kind,
        "odds": "even" if even else "of the data",
        "ece_before": rounded(ece(before[chosen], labels[chosen])),
        "ece_after": rounded(ece(scores[chosen], labels[chosen])),
    }
