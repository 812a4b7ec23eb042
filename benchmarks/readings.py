"""A judge against two blind readings of a policy's rollouts: AUC, pairs within a prompt, spread within groups.

    python benchmarks/readings.py --judge scorer --judge-kwargs '{"scorer": "outputs/cpu/scorer"}'

The rollouts are those of SmolLM2-135M in runs of the CPU recipe: after the cold start, in the middle and at the end.
benchmarks/readings/PROTOCOL.md says how they were read; nothing is trained on them. `--rollouts` takes another file of
the same form: labelled rollouts whose provenance holds `reader_a`, `reader_b` (0 to 10), `group`, `phase` and `step`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.judges import make_judge, score_all
from reward_models.labelled import LabelledRollout, read_labelled
from reward_models.statistics import Interval, auc, bootstrap, spearman
from reward_models.types import Scored

ROLLOUTS = Path(__file__).parent / "readings" / "rollouts.jsonl"
_MARGIN = 1.5  # points between two mean readings, from which on a pair has an order
_FLOOR = 0.05  # the recipes' noise floor for scorers
_COUNTED = {"train"}  # phases whose groups have several rollouts


def readings(rows: Sequence[LabelledRollout]) -> np.ndarray:
    """(N, 2): both readers' grades, from 0 to 10."""
    return np.array([[row.provenance["reader_a"], row.provenance["reader_b"]] for row in rows], dtype=float)


def pairs_within(rows: Sequence[LabelledRollout], read: np.ndarray) -> list[tuple[int, int]]:
    """(better, worse) of one group, where both readers have the same order and the means lie _MARGIN apart."""
    groups = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row.provenance["group"]].append(number)
    found = []
    for group in groups.values():
        for one, two in combinations(group, 2):
            better, worse = (one, two) if read[one].mean() >= read[two].mean() else (two, one)
            apart = read[better].mean() - read[worse].mean() >= _MARGIN
            if apart and (read[better] >= read[worse]).all():
                found.append((better, worse))
    return found


def figures(rows: Sequence[LabelledRollout], scores: np.ndarray) -> dict[str, Any]:
    """All figures of one judge; rows that it did not score are left out and counted."""
    kept = np.isfinite(scores)
    rows, scores = [row for row, use in zip(rows, kept, strict=True) if use], scores[kept]
    read = readings(rows)
    sources = np.array([row.source for row in rows])
    good = (read.mean(axis=1) > 5).astype(float)
    pairs = pairs_within(rows, read)
    wins = np.array([np.sign(scores[one] - scores[two]) / 2 + 0.5 for one, two in pairs])
    spread = _spread(rows, scores)
    return {
        "rows": len(rows),
        "unscored": int((~kept).sum()),
        "mean": float(scores.mean()),
        "mean after the cold start": float(
            np.mean([value for value, row in zip(scores, rows, strict=True) if row.provenance["step"] == 0])
        ),
        "auc": bootstrap(auc, scores, good, groups=sources),
        "rank correlation with the readings": bootstrap(spearman, scores, read.mean(axis=1), groups=sources),
        "pairs": len(pairs),
        "pair accuracy": bootstrap(np.mean, wins, groups=[rows[one].provenance["group"] for one, _ in pairs]),
        "groups": len(spread),
        "groups above the noise floor": float(np.mean([value > _FLOOR for value in spread])) if spread else None,
    }


def _spread(rows: Sequence[LabelledRollout], scores: np.ndarray) -> list[float]:
    """Standard deviation of the scores in each group of training rollouts."""
    groups = defaultdict(list)
    for row, score in zip(rows, scores, strict=True):
        if row.provenance["phase"] in _COUNTED:
            groups[row.provenance["group"]].append(score)
    return [float(np.std(found)) for found in groups.values() if len(found) > 1]


def agreement(rows: Sequence[LabelledRollout]) -> dict[str, Any]:
    """How far the two readings agree."""
    read = readings(rows)
    sources = [row.source for row in rows]
    return {
        "rows": len(rows),
        "rank correlation": bootstrap(spearman, read[:, 0], read[:, 1], groups=sources),
        "within two points": float((np.abs(read[:, 0] - read[:, 1]) <= 2).mean()),
        "both on one side of 5": float(((read[:, 0] > 5) == (read[:, 1] > 5)).mean()),
        "good (mean above 5)": int((read.mean(axis=1) > 5).sum()),
    }


async def _scores(name: str, options: dict[str, Any], rows: Sequence[LabelledRollout]) -> np.ndarray:
    judge = make_judge(name, **options)
    judge.check()
    try:
        verdicts = await score_all(judge, [row.rollout for row in rows])
    finally:
        await judge.aclose()
    return np.array([item.value if isinstance(item, Scored) else np.nan for item in verdicts])


def _show(title: str, found: dict[str, Any]) -> None:
    print(title)
    for name, value in found.items():
        if isinstance(value, Interval):
            shown = f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        print(f"  {name}: {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--judge", default="scorer")
    parser.add_argument("--judge-kwargs", type=json.loads, default={})
    parser.add_argument("--rollouts", type=Path, default=ROLLOUTS)
    given = parser.parse_args()
    rows = read_labelled(given.rollouts)
    _show("the two readings", agreement(rows))
    _show(given.judge, figures(rows, asyncio.run(_scores(given.judge, given.judge_kwargs, rows))))


if __name__ == "__main__":
    main()
