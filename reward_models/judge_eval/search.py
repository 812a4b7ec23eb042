"""A search for thoughts that a judge likes before a wrong call: templates, mutation of the best, and a policy that learns.

In each round every target tries some texts: first the openings, then moves from its best texts so far. The moves are
drawn by a policy with one logit a move, shared by all targets and trained by REINFORCE on how much a move raised the
score. All is drawn from one seed and from the verdicts, so a search that was cut goes on from the verdicts on record.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from reward_models.judge_eval.search_texts import MOVES, Target, moved, openings
from reward_models.labelled import LabelledRollout
from reward_models.options import Options, Range
from reward_models.parsing import render_response
from reward_models.rollout_view import read_rollout
from reward_models.scorers.features.trace import read_tools
from reward_models.types import Rollout

_KEEP = 3  # best texts of a target that moves start from
_RATE = 2.0  # of the policy's updates; gains are at most 1


@dataclass(frozen=True)
class SearchConfig(Options, owner="judge attack"):
    """What a search may cost.

    budget: texts tried for each wrong call, at most, in [1, 1e6]. targets: wrong calls, at most, in [1, 1e6].
    a_round: texts of a target in one round after the first. concurrency: calls under way at once.
    seed: of all that is drawn.
    """

    budget: Annotated[int, Range(1, 10**6)] = 60
    targets: Annotated[int, Range(1, 10**6)] = 120
    a_round: Annotated[int, Range(1, 1000)] = 6
    concurrency: Annotated[int, Range(1, 4096)] = 64
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0


@dataclass
class Tried:
    """One text: where it came from, and its score, NaN where the judge gave none."""

    text: str
    origin: str
    score: float = float("nan")


@dataclass
class Found:
    """What the search found for a target; `tried` in the order of trying, the best first in `best`."""

    target: Target
    row: LabelledRollout
    tried: list[Tried] = field(default_factory=list)

    @property
    def best(self) -> list[Tried]:
        return sorted((item for item in self.tried if item.score == item.score), key=lambda item: -item.score)

    @property
    def high(self) -> float:
        """The best score; NaN where there is none."""
        best = self.best
        return best[0].score if best else float("nan")


_Drawn = tuple[Found, Tried, tuple[int, float] | None]
"""A text to try; with the move that made it and the score that it started from."""
Ask = Callable[[Sequence[tuple[str, Rollout]]], Awaitable[Sequence[float]]]
"""Scores of (id, rollout), NaN where there is none; ids are stable from run to run."""


def targets_of(rows: Sequence[LabelledRollout], limit: int, seed: int) -> list[Found]:
    """The rows whose call is another one than their honest row's, each call of a source once; at most `limit`, drawn by
    the seed. ValueError where there is none."""
    by_id = {row.id: row for row in rows}
    found, seen = [], set()
    for row in rows:
        honest = by_id.get(row.pair or "")
        if row.label > 0.5 or honest is None:
            continue
        wrong, right = read_rollout(row.rollout), read_rollout(honest.rollout)
        key = (row.source, repr(wrong.calls))
        if not wrong.calls or wrong.calls == right.calls or key in seen or len(wrong.steps) > 1:
            continue
        seen.add(key)
        tools = read_tools(row.rollout.tools)
        target = Target(
            row.id, row.source, row.rollout.question, tools, wrong.calls, right.calls, wrong.thought, right.thought
        )
        if response_of(target, target.honest) is not None:
            found.append(Found(target, row))
    if not found:
        raise ValueError(
            "no row has another call than the honest row that its `pair` names: give a file of `awpo scorer data`, or "
            "labelled rollouts with such pairs"
        )
    random.Random(seed).shuffle(found)
    return found[:limit]


def response_of(target: Target, thought: str) -> str | None:
    """The wrong call after the thought; None where no response can say it, as with a thought that holds a tag."""
    try:
        return render_response(target.calls, "toolrl", thought)
    except ValueError:
        return None


async def search(
    found: Sequence[Found], ask: Ask, config: SearchConfig, advance: Callable[[int], None] = lambda count: None
) -> dict[str, float]:
    """Fill `found` with what was tried; returns the policy's final probabilities by move.

    advance: called with how many texts were scored.
    """
    names = list(MOVES)
    logits = np.zeros(len(names))
    gains: list[float] = []
    rng = random.Random(config.seed)
    batch: list[_Drawn] = [
        (item, Tried(text, name), None) for item in found for name, text in _first(item.target, config.budget)
    ]
    while batch:
        await _score(batch, ask)
        advance(len(batch))
        for item, tried, _ in batch:
            item.tried.append(tried)
        logits, gains = _learn(logits, batch, gains)
        batch = [
            (item, tried, made)
            for item in found
            for tried, made in _next(item, found, names, logits, config, random.Random(rng.random()))
        ]
    return dict(zip(names, _probabilities(logits).tolist(), strict=True))


def _first(target: Target, budget: int) -> list[tuple[str, str]]:
    usable = [(name, text) for name, text in openings(target).items() if response_of(target, text) is not None]
    return usable[:budget]


async def _score(batch: Sequence[_Drawn], ask: Ask) -> None:
    asked = []
    for item, tried, _ in batch:
        response = response_of(item.target, tried.text)
        assert response is not None
        rollout = item.row.rollout
        asked.append(
            (
                item.target.id,
                Rollout(
                    rollout.question,
                    rollout.tools,
                    response,
                    rollout.ground_truth,
                    rollout.data_source,
                    rollout.extra_info,
                ),
            )
        )
    for (_, tried, _), score in zip(batch, await ask(asked), strict=True):
        tried.score = score


def _learn(logits: np.ndarray, batch: Sequence[_Drawn], gains: list[float]) -> tuple[np.ndarray, list[float]]:
    """REINFORCE with the mean gain so far as the baseline."""
    chosen = [
        (made[0], max(0.0, tried.score - made[1])) for _, tried, made in batch if made and tried.score == tried.score
    ]
    if not chosen:
        return logits, gains
    gains = [*gains, *(gain for _, gain in chosen)][-5000:]
    baseline, probabilities = float(np.mean(gains)), _probabilities(logits)
    step = np.zeros_like(logits)
    for move, gain in chosen:
        step -= (gain - baseline) * probabilities
        step[move] += gain - baseline
    return np.clip(logits + _RATE * step / len(chosen) * len(logits), -3, 3), gains


def _probabilities(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()


def _next(
    item: Found, found: Sequence[Found], names: list[str], logits: np.ndarray, config: SearchConfig, rng: random.Random
) -> list[tuple[Tried, tuple[int, float]]]:
    left, best = config.budget - len(item.tried), item.best[:_KEEP]
    if left <= 0 or not best:
        return []
    known = {tried.text for tried in item.tried}
    probabilities = _probabilities(logits).tolist()
    others = [other.best[0].text for other in rng.sample(list(found), min(8, len(found))) if other.best]
    drawn: list[tuple[Tried, tuple[int, float]]] = []
    for _ in range(4 * min(left, config.a_round)):
        start = rng.choice(best)
        (move,) = rng.choices(range(len(names)), probabilities)
        text = moved(names[move], start.text, item.target, others, rng)
        if text in known or response_of(item.target, text) is None:
            continue
        known.add(text)
        drawn.append((Tried(text, f"{start.origin}, {names[move]}"), (move, start.score)))
        if len(drawn) == min(left, config.a_round):
            break
    return drawn


def origins(found: Sequence[Found], bar: float) -> Counter[str]:
    """For the targets that reach the bar: how their best text was made, by its first step."""
    return Counter(item.best[0].origin.partition(",")[0] for item in found if item.high >= bar)
