"""How well a classifier does on labelled rollouts, and its calibration on rows that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from reward_models.labelled import HONEST, LabelledRollout, read_labelled
from reward_models.scorers.calibration import fit_calibration
from reward_models.scorers.classifier.folder import read_metadata, write_metadata
from reward_models.scorers.classifier.model import Classifier, load
from reward_models.scorers.sources import file_hash, refuse_trained_on
from reward_models.statistics import auc, bootstrap, ece, rounded

_FOLDS = 5


def measure(classifier: Classifier, rows: Sequence[LabelledRollout]) -> dict[str, Any]:
    """Figures on `rows`, for the metadata; what the rows do not determine is None.

    rows, sources: how many. auc: of good rows (label above 0.5) against the others, with `auc_low`, `auc_high`, its 95 %
    interval over sources. pair_accuracy: of the pairs, a tie counts half. by_kind: the AUC of each kind against the
    honest rows. ece: of the scores as they stand.
    """
    scores = classifier.score([row.rollout for row in rows])
    if not np.isfinite(scores).all():
        raise ValueError("the model gives no finite number: the training diverged; lower learning_rate")
    return figures(scores, rows)


def figures(scores: np.ndarray, rows: Sequence[LabelledRollout]) -> dict[str, Any]:
    """As `measure`, from scores (N,) in [0, 1]."""
    labels = np.array([row.label for row in rows])
    groups = [row.source for row in rows]
    whole = bootstrap(auc, scores, labels, groups=groups)
    kinds = np.array([row.kind for row in rows])
    honest = kinds == HONEST
    by_kind = {}
    for kind in sorted(set(kinds) - {HONEST}):
        shown = honest | (kinds == kind)
        by_kind[str(kind)] = rounded(auc(scores[shown], honest[shown].astype(float)))
    score_of = {row.id: score for row, score in zip(rows, scores, strict=True)}
    margins = [score_of[row.pair] - score_of[row.id] for row in rows if row.pair in score_of]
    return {
        "rows": len(rows),
        "sources": len(set(groups)),
        "auc": rounded(whole.value),
        "auc_low": rounded(whole.low),
        "auc_high": rounded(whole.high),
        "pairs": len(margins),
        "pair_accuracy": rounded(float(np.mean((np.sign(margins) + 1) / 2))) if margins else None,
        "by_kind": by_kind,
        "ece": rounded(ece(scores, labels)),
    }


def calibrate(folder: Path, data: Path, device: str = "cpu") -> dict[str, Any]:
    """Fit the calibration of the classifier in `folder` on `data`, keep it in its metadata, and return the figures.

    ece_before is that of the plain logistic function; ece_after is cross-fitted: each fifth of the sources is scored
    by a calibration of the other four. ValueError where rows were trained on, or there is only one kind of label.
    """
    metadata = read_metadata(folder)
    rows = read_labelled(data)
    refuse_trained_on(folder, (row.source for row in rows), data)
    classifier = load(folder, device)
    logits = classifier.logits([row.rollout for row in rows])
    read = np.isfinite(logits)
    rows = [row for row, kept in zip(rows, read, strict=True) if kept]
    logits, labels = logits[read], np.array([row.label for row in rows])
    groups = np.array([row.source for row in rows])
    calibration = fit_calibration(logits, labels, groups)
    after = _cross_fitted(logits, labels, groups)
    found = {
        **figures(after, rows),
        "data_sha256": file_hash(data),
        "form": calibration.to_json()["kind"],
        "ece_before": rounded(ece(expit(logits), labels)),
        "ece_after": rounded(ece(after, labels)),
        "rows_without_score": int((~read).sum()),
    }
    write_metadata(folder, metadata.with_calibration(calibration, found))
    return found


def _cross_fitted(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Each row's calibrated score, by a calibration that has not seen its source."""
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < _FOLDS:
        raise ValueError(f"rows of {len(names)} sources are too few to calibrate on: give at least {_FOLDS} sources")
    fold = (np.random.default_rng(0).permutation(len(names)) % _FOLDS)[group_of]
    values = np.empty(len(logits))
    for held in range(_FOLDS):
        out = fold == held
        if out.any():
            fitted = fit_calibration(logits[~out], labels[~out], groups[~out])
            values[out] = fitted.apply(logits[out])
    return values
