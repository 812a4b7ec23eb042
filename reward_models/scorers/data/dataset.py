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
from reward_models.scorers.data.corruptions import CORRUPTIONS, LABELS, corrupt
from reward_models.scorers.data.original import Context, Original, Writer
from reward_models.scorers.features.trace import read_tools
from reward_models.types import Rollout

PROGRAM = "awpo scorer data, corruptions v2"


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
    rows: Sequence[HonestRow],
    kinds: Iterable[str],
    half: str,
    seed: int,
    vectors: np.ndarray | None = None,
    write: Writer | None = None,
) -> Iterator[LabelledRollout]:
    """Each row as it is, and each source once for every kind that applies to it.

    Args:
        rows: of one side of a split; corruptions draw from these rows only. At least two sources. Rows of one source are
            the same reasoning in several wordings, and a kind spoils one of them, drawn at random.
        kinds: names from CORRUPTIONS.
        half: which half of the phrases is written, "train" or "eval".
        seed: the same rows and seed give the same result; a row's corruptions do not depend on `kinds`.
        vectors: (N, D) unit-length embeddings of the rows' requests, for the nearest one; None: by shared words.
        write: writes thoughts for calls that are wrong; see Context.
    """
    sources: dict[str, list[tuple[HonestRow, Original]]] = {}
    first = []
    for number, row in enumerate(rows):
        original = read_original(row)
        if original is not None:
            if row.source not in sources:
                first.append(number)
            sources.setdefault(row.source, []).append((row, original))
    if len(sources) < 2:
        raise ValueError(f"{len(sources)} rows with a thought and a call or answer are too few: corruptions need two")
    groups = list(sources.values())
    questions = [group[0][1].question for group in groups]
    similar = _overlaps(questions) if vectors is None else vectors[first] @ vectors[first].T
    np.fill_diagonal(similar, -np.inf)
    chosen = [kind for kind in CORRUPTIONS if kind in set(kinds)]
    for number, group in enumerate(groups):
        honest = [_honest(row, place) for place, (row, _) in enumerate(group)]
        yield from honest
        others = [other for index, found in enumerate(groups) if index != number for _, other in found]
        nearest = groups[int(np.argmax(similar[number]))]
        for kind in chosen:
            rng = random.Random(_stable(seed, group[0][0].source, kind))
            place = rng.randrange(len(group)) if len(group) > 1 else 0
            near = nearest[min(place, len(nearest) - 1)][1]
            changed = corrupt(kind, group[place][1], Context(others, near, half, rng, write))
            response = None if changed is None else _render(changed)
            if response is not None and response != honest[place].rollout.response:
                yield _spoilt(kind, honest[place], response, {"seed": seed, "phrases": half})


def _honest(row: HonestRow, place: int) -> LabelledRollout:
    name = f"{row.source}/{HONEST}" + (f".{place}" if place else "")
    return LabelledRollout(name, row.source, HONEST, 1.0, row.rollout, None, {**row.provenance, "made_by": PROGRAM})


def _spoilt(kind: str, honest: LabelledRollout, response: str, how: dict[str, Any]) -> LabelledRollout:
    rollout = replace(honest.rollout, response=response)
    return LabelledRollout(
        f"{honest.source}/{kind}",
        honest.source,
        kind,
        LABELS.get(kind, 0.0),
        rollout,
        honest.id,
        {**honest.provenance, **how},
    )


def _render(row: Original) -> str | None:
    """The response as text; None where the dialect cannot say it, as with a thought that holds a tag."""
    if not row.calls and row.answer is None:
        return f"<think>{row.thought.strip()}</think>"
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
