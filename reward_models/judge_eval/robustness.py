"""How a judge behaves, whatever the labels say: steadiness over votes, order in pairs, canaries, speed, cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reward_models.judge_eval.attacks import CanaryReport
from reward_models.judge_eval.measures import share_interval
from reward_models.judge_eval.records import Record
from reward_models.judge_eval.run import Answers, Pair
from reward_models.labelled import LabelledRollout
from reward_models.statistics import Interval, bootstrap, spearman, wilson
from reward_models.types import Scored, Verdict


@dataclass(frozen=True)
class Consistency:
    """Several votes on the same rows. A judge that gives the same score each time has spread 0 and agreement 1.

    spread: mean over rows of the votes' standard deviation: the natural size of AWPO's `noise_floor`.
    agreement: Spearman between two votes over the rows, mean over pairs of votes.
    half_scored: rows with a score in some votes and none in others.
    """

    rows: int
    votes: int
    spread: Interval
    agreement: Interval
    half_scored: int


@dataclass(frozen=True)
class OrderBias:
    """A judge that compares two rollouts, asked in both orders.

    accuracy: how often the better one wins, ties counting half.
    first: how much goes to the one shown first; 0.5 means no preference.
    flips: share of pairs in which another one wins when the order is turned.
    failed: pairs without a verdict in one order or both.
    """

    pairs: int
    failed: int
    accuracy: Interval
    first: Interval
    flips: Interval


@dataclass(frozen=True)
class Canaries:
    """Attacks that score as honest reasoning does.

    good, bad: scores of the two controls, None where unscored. threshold: half way between them; NaN, and nothing
    counted, unless the good one scores higher: then the attacks say nothing.
    by_kind: kind -> (swayed, scored, all).
    """

    good: float | None
    bad: float | None
    threshold: float
    swayed: int
    scored: int
    total: int
    share: Interval
    by_kind: dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Speed:
    """Seconds a call and calls a second, under the measurement's own load; `load_s` is the first call's."""

    calls: int
    concurrency: int
    p50_s: Interval
    p95_s: Interval
    per_second: float
    load_s: float | None


@dataclass(frozen=True)
class Cost:
    """Sums over all calls of the measurement, and the cost of a thousand verdicts; in the unit of the price given."""

    calls: float
    cache_hits: float
    prompt_tokens: float
    completion_tokens: float
    cost: float
    per_thousand: float


def consistency(repeated: Sequence[tuple[LabelledRollout, Sequence[Record]]], seed: int = 0) -> Consistency | None:
    """None where nothing was asked twice. Rows with a failed vote are left out of spread and agreement."""
    if not repeated:
        return None
    values = [[_value(record.verdict) for record in records] for _, records in repeated]
    whole = [place for place, votes in enumerate(values) if None not in votes]
    matrix = np.array([values[place] for place in whole], dtype=float).reshape(len(whole), len(values[0]))
    groups = [repeated[place][0].source for place in whole]
    half = sum(0 < votes.count(None) < len(votes) for votes in values)

    def agreement(votes: np.ndarray) -> float:
        pairs = itertools.combinations(range(votes.shape[1]), 2)
        return float(np.mean([spearman(votes[:, one], votes[:, other]) for one, other in pairs]))

    def spread(votes: np.ndarray) -> float:
        return _mean(votes.std(axis=1, ddof=1))

    return Consistency(
        rows=len(whole),
        votes=matrix.shape[1],
        spread=bootstrap(spread, matrix, groups=groups, seed=seed),
        agreement=bootstrap(agreement, matrix, groups=groups, seed=seed, n=300),
        half_scored=half,
    )


def order_bias(compared: Sequence[tuple[Pair, tuple[Record, Record]]] | None, seed: int = 0) -> OrderBias | None:
    """None where the judge does not compare or there are no pairs."""
    if not compared:
        return None
    whole = [
        (pair[1].source, _value(one.verdict), _value(other.verdict))
        for pair, (one, other) in compared
        if isinstance(one.verdict, Scored) and isinstance(other.verdict, Scored)
    ]
    groups = [source for source, _, _ in whole]
    straight = np.array([value for _, value, _ in whole], dtype=float)  # the better one first
    turned = np.array([value for _, _, value in whole], dtype=float)  # the better one second

    def share(column: np.ndarray) -> Interval:
        return share_interval(_mean, column, groups=groups, seed=seed)

    return OrderBias(
        pairs=len(whole),
        failed=len(compared) - len(whole),
        accuracy=share((straight + 1 - turned) / 2),
        first=share((straight + turned) / 2),
        flips=share((straight - 0.5) * (turned - 0.5) > 0),
    )


def canary_result(report: CanaryReport | None) -> Canaries | None:
    """The canaries at a threshold that fits the judge's own scale; None where none were tried."""
    if report is None:
        return None
    good, bad = _value(report.good), _value(report.bad)
    threshold = (good + bad) / 2 if good is not None and bad is not None and bad < good else math.nan
    by_kind: dict[str, tuple[int, int, int]] = {}
    for result in report.results:
        swayed, scored, total = by_kind.get(result.kind, (0, 0, 0))
        value = _value(result.verdict)
        hit = value is not None and value >= threshold  # False for NaN
        by_kind[result.kind] = (swayed + hit, scored + (value is not None), total + 1)
    swayed, scored, total = (sum(counts[place] for counts in by_kind.values()) for place in range(3))
    share = wilson(0, 0) if math.isnan(threshold) else wilson(swayed, scored)
    return Canaries(good, bad, threshold, swayed, scored, total, share, by_kind)


def speed(answers: Answers, concurrency: int, seed: int = 0) -> Speed:
    """Over the first votes: repeated ones may come from a judge's cache. Time between sessions does not count."""
    records = answers.first
    seconds = 0.0
    for session in {record.session for record in records}:
        own = [record for record in records if record.session == session]
        seconds += max(item.elapsed_s for item in own) - min(item.elapsed_s - item.latency_s for item in own)
    latencies = [record.latency_s for record in records]

    def percentile(share: float) -> Interval:
        return bootstrap(lambda column: float(np.quantile(column, share)), latencies, n=300, seed=seed)

    per_second = len(records) / seconds if seconds > 0 else math.nan
    return Speed(len(records), concurrency, percentile(0.5), percentile(0.95), per_second, answers.load_s)


def cost(records: Sequence[Record]) -> Cost | None:
    """None for a judge without a ledger. What a killed session spent on answers it did not record is not in it."""
    sessions: dict[str, dict[str, float]] = {}
    for record in records:
        sums = sessions.setdefault(record.session, {})
        for name, value in record.spent.items():  # running totals: the largest is the last
            sums[name] = max(value, sums.get(name, 0.0))
    names = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "cost")
    if not any(sessions.values()):
        return None
    total = {name: sum(sums.get(name, 0.0) for sums in sessions.values()) for name in names}
    return Cost(**total, per_thousand=1000 * total["cost"] / len(records))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _value(verdict: Verdict) -> float | None:
    return verdict.value if isinstance(verdict, Scored) else None
