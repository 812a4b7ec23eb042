"""Scores -> a result: per category how many, how right, how sure, and whether it was run in full."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.numbers import bootstrap_mean, pass_at_k, wilson_interval
from awpo_ext.evaluate.types import Score

FORMAT = 1
FULL, PARTIAL = "FULL", "PARTIAL"
ALL = "all rows"


@dataclass(frozen=True)
class Item:
    """One task of a category with the scores of its samples; fewer than asked for where some are not answered."""

    key: str
    category: str
    scores: Sequence[Score]


def summarise(items: Sequence[Item], samples: int, ks: Sequence[int] = ()) -> list[dict[str, Any]]:
    """A row for each category in order, and one for all rows where there are several. `items` are ALL tasks of each
    category; one that lacks a sample makes its category PARTIAL and is left out of the figures."""
    by_category: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_category[item.category].append(item)
    rows = [_row(name, found, samples, ks) for name, found in by_category.items()]
    if len(rows) > 1:
        rows.append(_row(ALL, items, samples, ks))
    return rows


def _row(name: str, items: Sequence[Item], samples: int, ks: Sequence[int]) -> dict[str, Any]:
    whole = [item for item in items if len(item.scores) == samples]
    shares = [sum(score.right for score in item.scores) / samples for item in whole]
    row: dict[str, Any] = {
        "category": name,
        "status": FULL if len(whole) == len(items) else PARTIAL,
        "rows": len(items),
        "scored": len(whole),
        "accuracy": sum(shares) / len(whole) if whole else None,
        "reasons": dict(Counter(score.reason for item in whole for score in item.scores).most_common()),
        "means": _means([score.values for item in whole for score in item.scores]),
    }
    if whole:
        # Several samples of one task are not independent: resample tasks.
        row["low"], row["high"] = (
            wilson_interval(int(sum(shares)), len(whole)) if samples == 1 else bootstrap_mean(shares)
        )
        row["interval"] = "Wilson 95 %" if samples == 1 else "bootstrap over tasks 95 %"
    for k in ks if whole else ():
        values = [pass_at_k(samples, sum(score.right for score in item.scores), k) for item in whole]
        low, high = bootstrap_mean(values)
        row.setdefault("pass_at_k", {})[str(k)] = {"value": sum(values) / len(values), "low": low, "high": high}
    return row


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    by_name: dict[str, list[float]] = defaultdict(list)
    for one in values:
        for name, value in one.items():
            by_name[name].append(value)
    return {name: sum(found) / len(found) for name, found in by_name.items()}


def item_shares(items: Sequence[Item], samples: int) -> dict[str, dict[str, Any]]:
    """What a comparison needs: of each task with all its samples the share that is right."""
    return {
        item.key: {"category": item.category, "right": sum(score.right for score in item.scores) / samples}
        for item in items
        if len(item.scores) == samples
    }


def read_result(path: Path) -> dict[str, Any]:
    """EvalError where it is not a result of `awpo eval`."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise EvalError(f"{path}: not JSON ({error})") from None
    if not (isinstance(result, dict) and result.get("format") == FORMAT and isinstance(result.get("items"), dict)):
        raise EvalError(f"{path}: not a result.json of awpo eval")
    return result
