"""Rewards again: a record's rollouts put to a verifier or a judge, the run's own or another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from awpo_ext.record.rows import TURN_SIZES, numbers_of
from reward_models.judge_eval.records import Recorder, VerdictFile, judge_hash
from reward_models.judges import Judge, make_judge
from reward_models.judges.llm.chat_judge import ChatJudge
from reward_models.judges.llm_group import Place
from reward_models.labelled import HONEST, LabelledRollout
from reward_models.reward import compute_score
from reward_models.types import Rollout, Scored
from reward_models.verl_row import rollout_of

NAN = float("nan")
_AT_ONCE = 64
_CHARS_PER_TOKEN, _RUBRIC_TOKENS, _ANSWER_TOKENS = 4, 700, 150
Advance = Callable[[], None]


@dataclass(frozen=True)
class Outcomes:
    """A verifier's outcomes `(N,)`; NaN, and not valid, where a rollout could not be put to it.

    `unread` says how many those are, and `problem` why the first could not, "" where its text was not kept. `columns` are
    all numbers of the reward function by name, as JSON; none for such a rollout.
    """

    outcome: np.ndarray
    valid: np.ndarray
    limits: np.ndarray  # (N, 2)
    unread: int
    problem: str
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Estimate:
    """What it takes to ask a judge."""

    rollouts: int
    tokens: int
    cost: float
    priced: bool

    def __str__(self) -> str:
        cost = f"about {self.cost:.2f}" if self.priced else "unknown (judge_kwargs.price_per_million_tokens is not set)"
        return f"{self.rollouts:,} rollouts to ask, about {self.tokens:,} tokens, cost {cost}"


def rollout_of_row(row: Mapping[str, Any], thought_opened: bool = False) -> Rollout | None:
    """What the reward function saw; None where its texts were not kept, or cut.

    thought_opened: whether the run's prompts ended in an open thought (`reward_kwargs.thinking=opened`).
    """
    if not row.get("has_text") or row.get("cut") or not row.get("ground_truth"):
        return None
    info, extra = (json.loads(row.get(name) or "null") or {} for name in ("extra_info", "extra"))
    sizes = extra.pop(TURN_SIZES, None)
    if sizes:
        texts = iter(row["texts"])
        extra["turns"] = [[next(texts) for _ in range(size)] for size in sizes]
    own = {key: row[key] for key in ("question", "tools") if row.get(key)}
    try:
        seen = {**info, **own, **extra}
        return rollout_of(row.get("data_source") or "", row["response"], row["ground_truth"], seen, thought_opened)
    except ValueError:
        return None


def verified(
    rollouts: Sequence[Rollout | None], verifier: Any, kwargs: Mapping[str, Any], advance: Advance = lambda: None
) -> Outcomes:
    """The outcomes of the reward function with this verifier. ValueError for a verifier or options that do not fit."""
    low, high = compute_score.outcome_range(verifier=verifier, verifier_kwargs=dict(kwargs))
    columns = asyncio.run(_columns(rollouts, {"verifier": verifier, "verifier_kwargs": dict(kwargs)}, advance))
    found = [
        (one["score"], bool(one["outcome_valid"]), one["outcome_min"], one["outcome_max"])
        if isinstance(one, dict)
        else (NAN, False, low, high)
        for one in columns
    ]
    outcome, valid, lowest, highest = (np.array(values) for values in zip(*found, strict=True))
    problems = [one for one in columns if isinstance(one, str)]
    limits = np.stack([lowest, highest], axis=1).astype(float)
    problem = next(filter(None, problems), "")
    numbers = [numbers_of(one if isinstance(one, dict) else {}) for one in columns]
    return Outcomes(outcome.astype(float), valid.astype(bool), limits, len(problems), problem, numbers)


async def _columns(
    rollouts: Sequence[Rollout | None], kwargs: dict[str, Any], advance: Advance
) -> list[dict[str, Any] | str]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(rollout: Rollout | None) -> dict[str, Any] | str:
        if rollout is None:
            return ""
        async with slots:
            try:
                return await compute_score(
                    rollout.data_source,
                    rollout.response,
                    rollout.ground_truth,
                    rollout.extra_info,
                    judge="none",
                    **kwargs,
                )
            except ValueError as error:  # a ground truth that this verifier cannot read
                return str(error)
            finally:
                advance()

    return await asyncio.gather(*map(one, rollouts))


def estimate_of(judge: Judge, rollouts: Sequence[Rollout], times: int = 1) -> Estimate:
    """What it takes to ask about each of the rollouts so many times; by the lengths of the texts, four characters a token."""
    votes = getattr(getattr(judge, "config", None), "votes", 1) * times
    chars = [len(rollout.question) + len(rollout.tools) + len(rollout.response) for rollout in rollouts]
    read = votes * sum(_RUBRIC_TOKENS + length // _CHARS_PER_TOKEN for length in chars)
    wrote = votes * _ANSWER_TOKENS * len(rollouts)
    prices = judge.client_config.price_per_million_tokens if isinstance(judge, ChatJudge) else (0.0, 0.0)
    cost = (read * prices[0] + wrote * prices[1]) / 1e6
    return Estimate(times * len(rollouts), read + wrote, cost, any(prices))


class ReplayJudge:
    """A judge that is asked about a record's rollouts; its verdicts are kept in a file, so that a cut replay goes on."""

    def __init__(self, name: str, kwargs: Mapping[str, Any], file: Path) -> None:
        """ValueError for a judge or options that do not fit; JudgeNotReadyError where it lacks something."""
        self._judge: Judge = make_judge(name, **kwargs)
        self._judge.check()
        self._verdicts = VerdictFile(file, judge_hash(name, kwargs))

    @property
    def costs(self) -> bool:
        """Whether a server is asked."""
        return isinstance(self._judge, ChatJudge)

    def estimate(self, rollouts: Mapping[str, Rollout]) -> Estimate:
        """For those that have no verdict yet; by the lengths of the texts, four characters a token."""
        examiner = Recorder(self._judge, self._verdicts)
        rows = [row for row in map(_labelled, rollouts.items()) if examiner.missing([row])]
        return estimate_of(self._judge, [row.rollout for row in rows])

    def scores(
        self, rollouts: Mapping[str, Rollout], sizes: Mapping[str, int], advance: Advance = lambda: None
    ) -> dict[str, float]:
        """Scores by key `{uid}_{session}_{output}`, NaN where there is none.

        Args:
            sizes: rollouts of each prompt by its uid, for judges that rank.
        """
        rows = [_labelled((key, self._placed(key, rollout, sizes))) for key, rollout in rollouts.items()]
        at_once = 8 * max(sizes.values(), default=1) if self._judge.needs_group else _AT_ONCE

        async def ask() -> list[Any]:
            try:
                return await Recorder(self._judge, self._verdicts, concurrency=at_once).score(rows, 0, advance)
            finally:
                await self._judge.aclose()

        try:
            records = asyncio.run(ask())
        finally:
            self._verdicts.close()
        verdicts = (record.verdict for record in records)
        return {
            key: verdict.value if isinstance(verdict, Scored) else NAN
            for key, verdict in zip(rollouts, verdicts, strict=True)
        }

    def _placed(self, key: str, rollout: Rollout, sizes: Mapping[str, int]) -> Rollout:
        if not self._judge.needs_group:
            return rollout
        uid, session, _ = key.rsplit("_", 2)
        return rollout_of(
            rollout.data_source,
            rollout.response,
            rollout.ground_truth,
            Place(uid, session, sizes[uid]).write(rollout.extra_info),
        )


def _labelled(item: tuple[str, Rollout]) -> LabelledRollout:
    return LabelledRollout(item[0], item[0], HONEST, 0.0, item[1])
