"""Two results on the same tasks: who is right where, and whether the difference may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.numbers import bootstrap_mean, mcnemar
from awpo_ext.evaluate.results import ALL


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """A row for each category, and for all rows where there are several, over the tasks that both have answered.

    McNemar's exact test where each task has one sample; the difference of accuracies (second - first) with a paired
    bootstrap over tasks. EvalError where the two are not about the same questions.
    """
    for key in ("benchmark", "samples", "data"):
        if first[key] != second[key]:
            raise EvalError(f"the two results differ in {key}: {first[key]} and {second[key]}; they cannot be paired")
    shared = [key for key in first["items"] if key in second["items"]]
    if not shared:
        raise EvalError("the two results have no task in common")
    categories: dict[str, list[str]] = {}
    for key in shared:
        categories.setdefault(first["items"][key]["category"], []).append(key)
    if len(categories) > 1:
        categories[ALL] = shared
    rows = [
        _row(name, [_pair(first, second, key) for key in keys], first["samples"]) for name, keys in categories.items()
    ]
    unpaired = len(first["items"]) + len(second["items"]) - 2 * len(shared)
    notes = [f"{unpaired} tasks that only one of the two has answered are left out"] if unpaired else []
    notes += [
        f"the {who} result is PARTIAL" for who, result in (("first", first), ("second", second)) if result["partial"]
    ]
    for key in sorted(first["sampling"].keys() | second["sampling"].keys()):
        if first["sampling"].get(key) != second["sampling"].get(key):
            notes.append(f"different {key}: {first['sampling'].get(key)} and {second['sampling'].get(key)}")
    for key in sorted(first["about"].keys() & second["about"].keys()):
        if first["about"][key] != second["about"][key]:
            notes.append(f"different {key}: {first['about'][key]} and {second['about'][key]}")
    return {"rows": rows, "notes": notes}


def _pair(first: dict[str, Any], second: dict[str, Any], key: str) -> tuple[float, float]:
    return first["items"][key]["right"], second["items"][key]["right"]


def _row(name: str, pairs: Sequence[tuple[float, float]], samples: int) -> dict[str, Any]:
    differences = [b - a for a, b in pairs]
    low, high = bootstrap_mean(differences)
    row = {
        "category": name,
        "tasks": len(pairs),
        "first": sum(a for a, _ in pairs) / len(pairs),
        "second": sum(b for _, b in pairs) / len(pairs),
        "difference": sum(differences) / len(pairs),
        "low": low,
        "high": high,
        "only_first": sum(a > b for a, b in pairs),
        "only_second": sum(b > a for a, b in pairs),
    }
    if samples == 1:
        row["p"] = mcnemar(row["only_first"], row["only_second"])
    return row
