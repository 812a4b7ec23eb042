"""Two sets of terms of the same rollouts: what differs, with intervals over prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awpo_ext.record.recompute import Terms, Update
from reward_models.statistics import Interval, bootstrap, spearman

MOVERS = 20
RESAMPLES = 500
NAN = float("nan")
_SMALL = 1e-9  # an advantage nearer to 0 than this has no sign


@dataclass
class Comparison:
    """Grows by one update at a time; `figures` and `movers` say what came of it."""

    groups: list[dict[str, float]] = field(default_factory=list)
    rollouts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, update: Update, old: Terms, new: Terms, changed: Update) -> None:
        """`changed`: the update with its new outcomes and scores."""
        index = np.unique(np.array(update.group, dtype=object).astype(str), return_inverse=True)[1]
        before, after = old.advantage, new.advantage
        moved = np.abs(after - before)
        flips = (np.sign(_rounded(before)) * np.sign(_rounded(after))) < 0
        for group in range(index.max() + 1):
            at = index == group
            self.groups.append(
                {
                    "rollouts": float(at.sum()),
                    "flips": float(flips[at].sum()),
                    "signed": float(((_rounded(before) != 0) & (_rounded(after) != 0))[at].sum()),
                    "rank": spearman(before[at], after[at]) if at.sum() > 1 else NAN,
                    "was_closed": float((old.closed[at] != 0)[0]),
                    "is_closed": float((new.closed[at] != 0)[0]),
                    **_powers("old", old, at),
                    **_powers("new", new, at),
                    **_sums("old", update, old, at),
                    **_sums("new", changed, new, at),
                }
            )
        for i in np.argsort(-moved, kind="stable")[:MOVERS]:
            self.rollouts.append(
                {
                    "step": update.step,
                    "group": update.group[i],
                    "session": update.session[i],
                    "moved": float(moved[i]),
                    "advantage": [float(before[i]), float(after[i])],
                    "outcome": [float(update.outcome[i]), float(changed.outcome[i])],
                    "reasoning": [_score(update, i), _score(changed, i)],
                }
            )

    def movers(self) -> list[dict[str, Any]]:
        """The rollouts whose advantage moves most; ties keep the record's order."""
        return sorted(self.rollouts, key=lambda row: -row["moved"])[:MOVERS]

    def figures(self) -> dict[str, dict[str, Interval]]:
        """By name: `old`, `new` and their `difference`, each with a 95 % interval; shares of change have `new` alone."""
        if not self.groups:
            return {}
        columns = {name: np.array([group[name] for group in self.groups]) for name in self.groups[0]}
        shared = {
            "leverage": (_root_share, ("judge", "total")),
            "outcome": (_ratio, ("outcome", "outcomes")),
            "reasoning": (_ratio, ("reasoning", "scored")),
            "unscored": (_rest, ("scored", "verified")),
            "gate": (_ratio, ("gate", "verified")),
            "advantage_rms": (_root_share, ("advantage", "verified")),
        }
        found: dict[str, dict[str, Interval]] = {}
        for name, (measure, parts) in shared.items():
            old, new = ([columns[f"{side}_{part}"] for part in parts] for side in ("old", "new"))
            found[name] = {
                "old": _interval(measure, old),
                "new": _interval(measure, new),
                "difference": _interval(lambda a, b, c, d, m=measure: m(c, d) - m(a, b), [*old, *new]),
            }
        opened = columns["was_closed"] * (1 - columns["is_closed"])
        shut = columns["is_closed"] * (1 - columns["was_closed"])
        for name, value in (("groups_opened", opened), ("groups_closed", shut)):
            found[name] = {"new": _interval(lambda a: float(a.mean()), [value])}
        found["sign_flips"] = {"new": _interval(_ratio, [columns["flips"], columns["signed"]])}
        ranked = columns["rank"][np.isfinite(columns["rank"])]
        found["rank_correlation"] = {"new": _interval(lambda a: float(a.mean()) if len(a) else NAN, [ranked])}
        return found


def as_rows(figures: Mapping[str, Mapping[str, Interval]]) -> list[tuple[str, str, str, str]]:
    """Name, old, new, difference as texts."""
    return [
        (name.replace("_", " "), *(_shown(sides.get(side)) for side in ("old", "new", "difference")))
        for name, sides in figures.items()
    ]


def _shown(interval: Interval | None) -> str:
    if interval is None or not np.isfinite(interval.value):
        return ""
    ends = f" [{interval.low:.3f}, {interval.high:.3f}]" if np.isfinite(interval.low) else ""
    return f"{interval.value:.3f}{ends}"


def _powers(side: str, terms: Terms, at: np.ndarray) -> dict[str, float]:
    judge, outcome = terms.values["judge_part"][at], terms.values["outcome_part"][at]
    return {
        f"{side}_judge": float(np.square(judge).sum()),
        f"{side}_total": float(np.square(judge + outcome).sum()),
        f"{side}_advantage": float(np.square(terms.advantage[at]).sum()),
    }


def _sums(side: str, update: Update, terms: Terms, at: np.ndarray) -> dict[str, float]:
    judged = at & update.outcome_valid
    score = update.reasoning[judged, 0]
    return {
        f"{side}_outcome": float(update.outcome[judged].sum()),
        f"{side}_outcomes": float(judged.sum()),
        f"{side}_reasoning": float(np.nansum(score)),
        f"{side}_scored": float(np.isfinite(score).sum()),
        f"{side}_verified": float(judged.sum()),
        f"{side}_gate": float(terms.values["gate"][judged].sum()),
    }


def _score(update: Update, i: int) -> float | None:
    score = float(update.reasoning[i, 0])
    return score if np.isfinite(score) else None


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < _SMALL, 0.0, values)


def _interval(measure: Any, columns: Sequence[np.ndarray]) -> Interval:
    return bootstrap(measure, *columns, n=RESAMPLES) if len(columns[0]) else Interval(NAN, NAN, NAN)


def _ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() > 0 else NAN


def _rest(part: np.ndarray, whole: np.ndarray) -> float:
    return 1.0 - _ratio(part, whole)


def _root_share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(np.sqrt(part.sum() / whole.sum())) if whole.sum() > 0 else NAN
