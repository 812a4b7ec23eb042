"""Labelled rollouts from honest ones: each row beside its corruptions, with where everything came from."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reward_models.labelled import HONEST, LabelledRollout
from reward_models.parsing import render_response
from reward_models.rollout_view import read_rollout
from reward_models.scorers.data.corruptions import CORRUPTIONS, Context, Original, corrupt
from reward_models.scorers.features.trace import read_tools
from reward_models.types import Rollout

PROGRAM = "awpo scorer data, corruptions v1"


@dataclass(frozen=True)
class HonestRow:
    """A rollout whose thought is taken to be good: recorded from a strong model, or written by program."""

    source: str
    rollout: Rollout
    provenance: dict[str, Any]


def read_original(row: HonestRow) -> Original | None:
    """The row taken apart for the corruptions; None where it has several steps, no thought, or neither call nor answer."""
    view = read_rollout(row.rollout)
    parsed = view.as_one
    if len(view.steps) > 1 or not parsed.thought or parsed.problems:
        return None
    tools = read_tools(row.rollout.tools)
    return Original(row.source, row.rollout.question, tools, parsed.thought, parsed.calls, parsed.answer)


def build(
    rows: Sequence[HonestRow], kinds: Iterable[str], half: str, seed: int, vectors: np.ndarray | None = None
) -> Iterator[LabelledRollout]:
    """Each row as it is, and once for every kind that applies to it.

    Args:
        rows: of one side of a split; corruptions draw from these rows only. At least two.
        kinds: names from CORRUPTIONS.
        half: which half of the phrases is written, "train" or "eval".
        seed: the same rows and seed give the same result; a row's corruptions do not depend on `kinds`.
        vectors: (N, D) unit-length embeddings of the rows' requests, for the nearest one; None: by shared words.
    """
    originals = [(row, original) for row in rows if (original := read_original(row)) is not None]
    if len(originals) < 2:
        raise ValueError(f"{len(originals)} rows with a thought and a call or answer are too few: corruptions need two")
    if vectors is not None:
        kept = [number for number, row in enumerate(rows) if read_original(row) is not None]
        vectors = vectors[kept]
    similar = _overlaps([original.question for _, original in originals]) if vectors is None else vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    chosen = [kind for kind in CORRUPTIONS if kind in set(kinds)]
    for number, (row, original) in enumerate(originals):
        honest = LabelledRollout(
            f"{row.source}/{HONEST}", row.source, HONEST, 1.0, row.rollout, None, {**row.provenance, "made_by": PROGRAM}
        )
        yield honest
        others = [other for index, (_, other) in enumerate(originals) if index != number]
        nearest = originals[int(np.argmax(similar[number]))][1]
        for kind in chosen:
            rng = random.Random(_stable(seed, row.source, kind))
            changed = corrupt(kind, original, Context(others, nearest, half, rng))
            response = None if changed is None else _render(changed)
            if response is not None and response != row.rollout.response:
                yield LabelledRollout(
                    f"{row.source}/{kind}",
                    row.source,
                    kind,
                    0.0,
                    replace(row.rollout, response=response),
                    honest.id,
                    {**honest.provenance, "seed": seed, "phrases": half},
                )


def _render(row: Original) -> str | None:
    """The response as text; None where the dialect cannot say it, as with a thought that holds a tag."""
    try:
        return render_response(row.calls, "toolrl", row.thought.strip(), row.answer)
    except ValueError:
        return None


def _overlaps(texts: Sequence[str]) -> np.ndarray:
    """(N, N) Jaccard similarities of the texts' words."""
    bags = [set(text.lower().split()) for text in texts]
    return np.array([[len(a & b) / max(1, len(a | b)) for b in bags] for a in bags], dtype=float)


def _stable(seed: int, *parts: str) -> int:
    return int(hashlib.sha256("\x1f".join([str(seed), *parts]).encode()).hexdigest()[:16], 16)
