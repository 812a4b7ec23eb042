"""Distillation: a judge's scores of rollouts become the labels that a small scorer learns from.

Each score is written down as it comes, so that a stopped run goes on where it was; what could not be scored is asked
for again then, counted by reason in the end, and never becomes a label.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TextIO

from reward_models.judges import Judge
from reward_models.labelled import LabelledRollout, write_labelled
from reward_models.options import Range, require
from reward_models.private_files import open_private
from reward_models.scorers.data.rollout_files import Found
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

KIND = "rollout"
_HOPELESS = 50  # a judge that scored none of so many will not score the others


@dataclass(frozen=True)
class Distilled:
    """rows: written. pairs: of them, with a better one named. unscored: how many were left out, by reason."""

    rows: int
    pairs: int
    unscored: Mapping[str, int]


def describe(name: str, judge: Judge, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the labels depend on, for their provenance: judge, model, rubric and the hash of all options."""
    client = getattr(judge, "client_config", None) or getattr(judge, "config", None)
    return {
        "judge": name,
        "model": getattr(client, "model", None),
        "rubric": getattr(getattr(judge, "rubric", None), "version", None),
        "judge_options_sha256": sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest(),
    }


async def distil(
    judge: Judge,
    found: Sequence[Found],
    out: Path,
    provenance: Mapping[str, Any],
    *,
    margin: float | None = None,
    concurrency: int = 64,
    progress: Callable[[], None] = lambda: None,
) -> Distilled:
    """Score `found` and write them as labelled rollouts to `out`.

    Scores under way are kept in `<out>.scores.jsonl`, which another run with the same provenance goes on from; it is
    removed at the end. margin: name, for each row, the nearest better one of its source whose score is higher by at
    least this, in (0, 1]; None: no pairs. concurrency: rollouts at the judge at once. progress: called for each.

    ValueError where `margin` or the scores kept do not fit, where the judge scores none of the first 50, and where
    nothing was scored.
    """
    require("distil", "margin", margin, Annotated[float | None, Range(1e-6, 1)])
    require("distil", "concurrency", concurrency, Annotated[int, Range(1, 4096)])
    kept = out.with_name(out.name + ".scores.jsonl")
    scores = _read_scores(kept, provenance)
    waiting = [item for item in found if item.id not in scores]
    for _ in range(len(found) - len(waiting)):
        progress()
    with open_private(kept) as file:
        unscored = await _score_all(judge, waiting, scores, file, concurrency, progress)
    rows = [_labelled(item, scores[item.id], provenance) for item in found if item.id in scores]
    if not rows:
        raise ValueError(f"the judge scored none of {len(found)} rollouts: {dict(unscored)}")
    if margin is not None:
        rows = with_pairs(rows, margin)
    write_labelled(out, rows)
    os.remove(kept)
    return Distilled(len(rows), sum(row.pair is not None for row in rows), dict(unscored))


async def _score_all(
    judge: Judge,
    items: Sequence[Found],
    scores: dict[str, float],
    file: TextIO,
    concurrency: int,
    progress: Callable[[], None],
) -> Counter[str]:
    """Add the items' scores to `scores` and to the file; returns how many have none, by reason."""
    unscored: Counter[str] = Counter()
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:  # shared by the workers
            verdict = await _score(judge, item.rollout)
            if isinstance(verdict, Scored):
                scores[item.id] = verdict.value
                file.write(json.dumps({"id": item.id, "score": verdict.value}) + "\n")
                file.flush()
            else:
                unscored[verdict.reason.value] += 1
                if not scores and unscored.total() >= _HOPELESS:
                    raise ValueError(
                        f"the judge scored none of the first {_HOPELESS} rollouts; the last: "
                        f"{verdict.reason.value}: {verdict.detail}"
                    )
            progress()

    workers = [asyncio.create_task(work()) for _ in range(min(concurrency, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return unscored


def with_pairs(rows: Sequence[LabelledRollout], margin: float) -> list[LabelledRollout]:
    """The rows, each with `pair`: the nearest row of its source whose label is higher by `margin` or more, or None."""
    by_source: dict[str, list[LabelledRollout]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.label, row.id)):
        by_source[row.source].append(row)
    paired = []
    for row in rows:
        better = (other for other in by_source[row.source] if other.label - row.label >= margin)
        nearest = next(better, None)
        paired.append(replace(row, pair=nearest.id if nearest else None))
    return paired


def _labelled(item: Found, score: float, provenance: Mapping[str, Any]) -> LabelledRollout:
    origin = {**provenance, "file": item.file, "file_sha256": item.file_sha256}
    return LabelledRollout(item.id, item.source, KIND, score, item.rollout, provenance=origin)


async def _score(judge: Judge, rollout: Rollout) -> Verdict:
    try:
        return await judge.score(rollout)
    except Exception as error:  # a user's own judge may raise anything
        return Unscored(UnscoredReason.ERROR, type(error).__name__)


def _read_scores(path: Path, provenance: Mapping[str, Any]) -> dict[str, float]:
    """The scores kept so far; a new file where there is none. A last line that was cut is asked for again."""
    head = json.loads(json.dumps(dict(provenance), default=str))
    if not path.exists():
        path.write_text(json.dumps(head) + "\n", encoding="utf-8")
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    whole, cut = lines[:-1], lines[-1]
    try:
        began, *entries = [json.loads(line) for line in whole]
        scores = {str(entry["id"]): float(entry["score"]) for entry in entries}
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path}: cannot be read: remove it to score everything again") from None
    if began != head:
        off = ", ".join(sorted(key for key in {*began, *head} if began.get(key) != head.get(key)))
        raise ValueError(f"{path}: was begun with another {off}: remove it, or choose another --out")
    if cut:
        path.write_text("\n".join(whole) + "\n", encoding="utf-8")
    return scores
