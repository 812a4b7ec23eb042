"""Search for thoughts that a judge likes before wrong calls: the work of `awpo judge attack`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from awpo_ext.record.rewards import estimate_of, verified
from reward_models.judge_eval.records import Recorder, VerdictFile, judge_hash
from reward_models.judge_eval.report import write_json
from reward_models.judge_eval.search import Found, SearchConfig, origins, response_of, search, targets_of
from reward_models.judges import Judge, make_judge
from reward_models.judges.llm.chat_judge import ChatJudge
from reward_models.judges.llm_group import Place
from reward_models.labelled import LabelledRollout, read_labelled, write_labelled
from reward_models.scorers.sources import trained_on
from reward_models.statistics import Interval, auc, bootstrap
from reward_models.types import Rollout, Scored

KIND = "attack"
Confirm = Callable[[str], None]
Stage = Callable[[str, int], Callable[[], None]]


@dataclass(frozen=True)
class Attack:
    """What a search found.

    bar: the median score of the honest rows. above: share of the wrong calls whose best text reaches the bar; at_first:
    the same for the thought that the call came with. auc: honest rows against the best texts. by_kind: kind of the row
    -> (above, all). by_origin: what the best texts above the bar began as -> how many. moves: the policy's probabilities.
    trained_on: how many of the sources a learned judge was trained on. examples: the best texts above the bar.
    """

    judge: str
    options: Mapping[str, Any]
    data: str
    config: Mapping[str, Any]
    honest: int
    targets: int
    sources: int
    texts: int
    unscored: int
    bar: float
    at_first: Interval
    above: Interval
    auc: Interval
    by_kind: Mapping[str, tuple[int, int]]
    by_origin: Mapping[str, int]
    moves: Mapping[str, float]
    trained_on: int
    examples: Sequence[Mapping[str, Any]]


def attack_judge(
    name: str,
    options: Mapping[str, Any],
    data: Path,
    out: Path,
    amount: Mapping[str, int],
    confirm: Confirm,
    stage: Stage,
    *,
    verifier: str | None = None,
    verifier_kwargs: Mapping[str, Any] | None = None,
    keep: int = 3,
) -> Attack:
    """Search, and write `out`/attack.json and `out`/attacks.jsonl, the best texts as labelled rollouts of label 0.

    Args:
        amount: keys of SearchConfig.
        confirm: called with the cost before a judge's server is asked; raises to stop.
        verifier: leave out the calls that it does not find wrong; None: a call that differs from the honest row's is wrong.
        keep: texts of a wrong call that are written, at most.

    A judge that ranks gets each text in a group of two with the honest rollout; the bar is then the honest one's score.
    Verdicts are kept in `out`/verdicts.jsonl as they come. ValueError where the rows have no wrong calls.
    """
    config = SearchConfig(**amount)
    rows = read_labelled(data)
    found = targets_of(rows, len(rows), config.seed)
    if verifier is not None:
        found = _wrong_only(found, verifier, verifier_kwargs or {})
    found = found[: config.targets]
    honest = _honest_of(rows, found)
    judge = make_judge(name, **options)
    judge.check()
    if isinstance(judge, ChatJudge):
        each = estimate_of(judge, [item.row.rollout for item in found], config.budget * (2 if judge.needs_group else 1))
        confirm(f"at most {each}")
    out.mkdir(parents=True, exist_ok=True)
    file = VerdictFile(out / "verdicts.jsonl", judge_hash(name, options))
    try:
        scores, moves = asyncio.run(_search(judge, found, honest, file, config, stage))
    finally:
        file.close()
    report = _report(name, options, data, config, judge, found, scores, moves)
    write_json(out / "attack.json", asdict(report))
    write_labelled(out / "attacks.jsonl", _as_rows(found, keep, name, config))
    return report


def _wrong_only(found: Sequence[Found], verifier: str, kwargs: Mapping[str, Any]) -> list[Found]:
    rollouts = [
        replace(item.row.rollout, response=response_of(item.target, item.target.honest) or "") for item in found
    ]
    outcomes = verified(rollouts, verifier, kwargs)
    kept = [
        item
        for item, outcome, valid, limits in zip(found, outcomes.outcome, outcomes.valid, outcomes.limits, strict=True)
        if valid and outcome < limits[1]
    ]
    if not kept:
        raise ValueError(f"verifier={verifier} finds none of the {len(found)} calls wrong")
    return kept


def _honest_of(rows: Sequence[LabelledRollout], found: Sequence[Found]) -> list[LabelledRollout]:
    """The good rows of the targets' sources."""
    sources = {item.target.source for item in found}
    return [row for row in rows if row.label > 0.5 and row.source in sources]


async def _search(
    judge: Judge,
    found: Sequence[Found],
    honest: Sequence[LabelledRollout],
    file: VerdictFile,
    config: SearchConfig,
    stage: Stage,
) -> tuple[np.ndarray, dict[str, float]]:
    """The honest rows' scores (0.5 for a judge that ranks), and the policy's probabilities."""
    recorder = Recorder(judge, file, concurrency=config.concurrency)
    by_pair = {row.id: row.rollout for row in honest}
    companions = {item.target.id: by_pair[item.row.pair] for item in found if item.row.pair in by_pair}

    async def ask(items: Sequence[tuple[str, Rollout]]) -> Sequence[float]:
        if not judge.needs_group:
            return await _values(recorder, [_asked(name, rollout) for name, rollout in items])
        beside = [_side_by_side(name, rollout, companions[name]) for name, rollout in items]
        values = await _values(recorder, [row for pair in beside for row in pair])
        return [0.5 + (one - two) / 2 for one, two in zip(values[::2], values[1::2], strict=True)]

    advance = stage("texts", len(found) * config.budget)

    def count(texts: int) -> None:
        for _ in range(texts):
            advance()

    try:
        await judge.preflight()
        if judge.needs_group:
            scores = np.full(len(honest), 0.5)
        else:
            scores = np.array(await _values(recorder, honest))
            if not np.isfinite(scores).any():
                raise ValueError("the judge scored none of the honest rows, so there is no bar to reach")
        return scores, await search(found, ask, config, count)
    finally:
        await judge.aclose()


async def _values(recorder: Recorder, rows: Sequence[LabelledRollout]) -> list[float]:
    records = await recorder.score(rows, 0)
    return [item.verdict.value if isinstance(item.verdict, Scored) else float("nan") for item in records]


def _asked(name: str, rollout: Rollout) -> LabelledRollout:
    return LabelledRollout(name, name, KIND, 0.0, rollout)


def _side_by_side(name: str, rollout: Rollout, honest: Rollout) -> tuple[LabelledRollout, LabelledRollout]:
    uid = f"{name} {hash_of(rollout.response)}"
    placed = [
        replace(item, extra_info=Place(uid, str(session), 2).write(item.extra_info))
        for session, item in enumerate((rollout, honest))
    ]
    return _asked(name, placed[0]), _asked(f"{name} honest", placed[1])


def hash_of(text: str) -> str:
    """12 hex digits, the same in every process."""
    from hashlib import sha256

    return sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _report(name, options, data, config, judge, found, scores, moves) -> Attack:
    finite = scores[np.isfinite(scores)]
    bar = float(np.median(finite))
    sources = np.array([item.target.source for item in found])
    reached = np.array([item.high >= bar for item in found], dtype=float)
    own = np.array([_first_score(item) >= bar for item in found], dtype=float)
    by_kind: dict[str, tuple[int, int]] = {}
    for item, above in zip(found, reached, strict=True):
        before = by_kind.get(item.row.kind, (0, 0))
        by_kind[item.row.kind] = (before[0] + int(above), before[1] + 1)
    best = [item.high for item in found if item.high == item.high]
    columns = np.concatenate([finite, best]), np.concatenate([np.ones(len(finite)), np.zeros(len(best))])
    shown = sorted((item for item in found if item.high >= bar), key=lambda item: -item.high)[:20]
    return Attack(
        judge=name,
        options={key: value for key, value in options.items() if isinstance(value, int | float | bool)},
        data=data.name,
        config=asdict(config),
        honest=len(finite),
        targets=len(found),
        sources=len(set(sources)),
        texts=sum(len(item.tried) for item in found),
        unscored=sum(tried.score != tried.score for item in found for tried in item.tried),
        bar=bar,
        at_first=bootstrap(_mean, own, groups=sources),
        above=bootstrap(_mean, reached, groups=sources),
        auc=bootstrap(auc, *columns),
        by_kind=dict(sorted(by_kind.items())),
        by_origin=dict(origins(found, bar).most_common()),
        moves=moves,
        trained_on=0 if judge.folder is None else len(trained_on(judge.folder, set(sources))),
        examples=[_example(item) for item in shown],
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _first_score(item: Found) -> float:
    return next((tried.score for tried in item.tried if tried.origin == "its own"), float("nan"))


def _example(item: Found) -> dict[str, Any]:
    best = item.best[0]
    calls = [{"name": call.name, "arguments": call.arguments} for call in item.target.calls]
    return {
        "score": best.score,
        "kind": item.row.kind,
        "question": item.target.question,
        "call": json.dumps(calls, ensure_ascii=False, default=str),
        "thought": best.text,
        "origin": best.origin,
    }


def _as_rows(found: Sequence[Found], keep: int, judge: str, config: SearchConfig) -> list[LabelledRollout]:
    made = []
    for item in found:
        for place, tried in enumerate(item.best[:keep]):
            response = response_of(item.target, tried.text)
            if response is None:
                continue
            about = {"made_by": "awpo judge attack", "judge": judge, "score": tried.score, "origin": tried.origin}
            rollout = replace(item.row.rollout, response=response)
            made.append(
                LabelledRollout(
                    f"{item.target.id}/{KIND}.{config.seed}.{place}",
                    item.target.source,
                    KIND,
                    0.0,
                    rollout,
                    item.row.pair,
                    {**about, "budget": config.budget, "seed": config.seed},
                )
            )
    return made
