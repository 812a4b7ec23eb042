"""One judge's whole measurement: all rows once, some rows again, some pairs in both orders, the canaries."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from reward_models.judge_eval.attacks import CanaryReport, canaries, count_swayed, top_of_scale
from reward_models.judge_eval.records import Record, Recorder, VerdictFile
from reward_models.judges.base import Comparer, Judge
from reward_models.judges.controls import controls
from reward_models.labelled import LabelledRollout
from reward_models.options import Options, Range
from reward_models.types import Scored

Pair = tuple[LabelledRollout, LabelledRollout]
# The name and size of what comes next -> what to call as each is done.
Stage = Callable[[str, int], Callable[[], None]]
_OWNER = "judge eval"


@dataclass(frozen=True)
class EvalConfig(Options, owner=_OWNER):
    """How much is asked of the judge beside one score a row.

    votes: scores of the same row, in [1, 64], on `vote_rows` rows drawn at random, in [0, 1e6].
    pairs: how many pairs a judge with `compare` is asked about, in both orders, in [0, 1e6].
    concurrency: calls under way at once, in [1, 4096].
    seed: of what is drawn, and of the bootstrap.
    """

    votes: Annotated[int, Range(1, 64)] = 3
    vote_rows: Annotated[int, Range(0, 10**6)] = 100
    pairs: Annotated[int, Range(0, 10**6)] = 200
    concurrency: Annotated[int, Range(1, 4096)] = 32
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0


@dataclass(frozen=True)
class Answers:
    """All that a judge answered.

    first: the first vote's record of each row, in the order of the rows.
    repeated: rows that were asked again, each with the records of all its votes, the first among them.
    compared: pairs (better, worse) with the records in both orders; None where the judge does not compare.
    canaries: None where the judge scored nothing.
    load_s: how long the first call took, which loads weights; None where nothing was left to ask.
    """

    first: list[Record]
    repeated: list[tuple[LabelledRollout, list[Record]]]
    compared: list[tuple[Pair, tuple[Record, Record]]] | None
    canaries: CanaryReport | None
    records: list[Record]
    load_s: float | None


async def ask_judge(
    judge: Judge, rows: Sequence[LabelledRollout], file: VerdictFile, config: EvalConfig, stage: Stage
) -> Answers:
    """Ask the judge whatever is not on record in `file` yet. A judge that scores no row is asked nothing more."""
    recorder = Recorder(judge, file, concurrency=config.concurrency)
    load_s = await _warm_up(judge) if recorder.missing(rows) else None
    first = await recorder.score(rows, 0, stage("rows", len(rows)))
    if not any(isinstance(record.verdict, Scored) for record in first):
        return Answers(first, [], None, None, file.records(), load_s)
    repeated = await _repeat(recorder, rows, first, config, stage)
    compared = None
    if isinstance(judge, Comparer):
        pairs = _draw(pairs_of(rows), config.pairs, config.seed)
        verdicts = await recorder.compare(pairs, stage("pairs, both orders", 2 * len(pairs)))
        compared = list(zip(pairs, verdicts, strict=True))
    high = top_of_scale(judge)
    advance = stage("canaries", len(controls()) + len(canaries(high)))
    found = await count_swayed(recorder.canary_judge(advance), high=high)
    return Answers(first, repeated, compared, found, file.records(), load_s)


def pairs_of(rows: Sequence[LabelledRollout]) -> list[Pair]:
    """(better, worse) for each row whose `pair` is in the file."""
    by_id = {row.id: row for row in rows}
    return [(by_id[row.pair], row) for row in rows if row.pair in by_id]


async def _warm_up(judge: Judge) -> float:
    started = time.monotonic()
    with contextlib.suppress(Exception):  # the rows will say what is wrong, on record
        await judge.score(controls()[0])
    return time.monotonic() - started


async def _repeat(
    recorder: Recorder,
    rows: Sequence[LabelledRollout],
    first: Sequence[Record],
    config: EvalConfig,
    stage: Stage,
) -> list[tuple[LabelledRollout, list[Record]]]:
    if config.votes == 1:
        return []
    drawn = _draw(list(zip(rows, first, strict=True)), config.vote_rows, config.seed)
    chosen = [row for row, _ in drawn]
    advance = stage("repeated votes", len(chosen) * (config.votes - 1))
    votes = [[record for _, record in drawn]]
    votes += [await recorder.score(chosen, vote, advance) for vote in range(1, config.votes)]
    return [(row, [records[place] for records in votes]) for place, row in enumerate(chosen)]


def _draw(items: list, most: int, seed: int) -> list:
    """At most `most` of the items, at random, in their order."""
    if len(items) <= most:
        return items
    return [items[place] for place in sorted(random.Random(seed).sample(range(len(items)), most))]
