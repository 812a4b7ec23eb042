"""Labelled rollouts as training examples of a classifier; what cannot teach anything is refused with its fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reward_models.labelled import LabelledRollout
from reward_models.scorers.classifier.text import Renderer


@dataclass(frozen=True)
class Example:
    """Token ids with the label; of a pair, `worse` are the ids of the worse rollout and `ids` those of the better."""

    ids: list[int]
    label: float
    worse: list[int] | None = None


def split_by_source(
    rows: Sequence[LabelledRollout], val_fraction: float, seed: int
) -> tuple[list[LabelledRollout], list[LabelledRollout]]:
    """Training and validation rows; a source is on one side only, at least one source on each.

    ValueError where there are not two sources.
    """
    sources = sorted({row.source for row in rows})
    if len(sources) < 2:
        raise ValueError(f"rows of {len(sources)} source cannot be split: give more sources, or a validation file")
    shuffled = np.random.default_rng(seed).permutation(len(sources))
    n_val = min(max(1, round(val_fraction * len(sources))), len(sources) - 1)
    held = {sources[index] for index in shuffled[:n_val]}
    return [row for row in rows if row.source not in held], [row for row in rows if row.source in held]


def check_disjoint(train: Sequence[LabelledRollout], val: Sequence[LabelledRollout]) -> None:
    """ValueError where a source is on both sides: the validation figures would be of rows that were learned by heart."""
    shared = sorted({row.source for row in train} & {row.source for row in val})
    if shared:
        shown = ", ".join(map(repr, shared[:3])) + (", .." if len(shared) > 3 else "")
        raise ValueError(
            f"training and validation rows share {len(shared)} sources ({shown}): split by `source`, or leave the "
            "validation file out and have the rows split"
        )


def make_examples(
    rows: Sequence[LabelledRollout], objective: str, renderer: Renderer, where: str
) -> tuple[list[Example], int]:
    """The examples for the objective, and how many rows were left out because they hold no thought.

    where: what the rows are, for messages. Raises ValueError
        pairs: no row has a `pair`, a pair's row is missing, or it is not better by its label;
        labels, scores: all labels are equal.
    """
    ids = {row.id: renderer.encode(row.rollout) for row in rows}
    silent = sum(value is None for value in ids.values())
    if objective == "pairs":
        examples = _pairs(rows, ids, where)
    else:
        examples = [Example(text, row.label) for row in rows if (text := ids[row.id])]
        labels = Counter(example.label for example in examples)
        if len(labels) < 2:
            only = f"all {len(examples)} labels are {next(iter(labels))}" if labels else "no row has a thought"
            raise ValueError(f"{where}: {only}: add rows of good and of bad reasoning")
    return examples, silent


def _pairs(rows: Sequence[LabelledRollout], ids: dict[str, list[int] | None], where: str) -> list[Example]:
    by_id = {row.id: row for row in rows}
    examples, blank = [], 0
    for row in rows:
        if row.pair is None:
            continue
        better = by_id.get(row.pair)
        if better is None:
            raise ValueError(f"{where}: row {row.id!r} has pair={row.pair!r}, which is missing: keep pairs together")
        if better.label <= row.label:
            raise ValueError(
                f"{where}: row {row.id!r} (label {row.label}) names {row.pair!r} (label {better.label}) as the better "
                "one: `pair` belongs to the worse row and names the better"
            )
        if (worse := ids[row.id]) and (text := ids[better.id]):
            examples.append(Example(text, 1.0, worse))
        else:
            blank += 1
    if not examples:
        why = f"all {blank} pairs hold a row without a thought" if blank else "no row has a `pair`"
        raise ValueError(
            f"{where}: {why}, and objective=pairs learns from pairs only: make pairs (`awpo scorer distil --margin`), "
            "or choose objective=labels or scores"
        )
    return examples
