"""Several votes on one rollout: their seeds, and one verdict out of them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence

from reward_models.judges.llm.fencing import digest
from reward_models.judges.llm.verdict import Grade
from reward_models.types import Scored, Unscored, Verdict

_SEEDS = 2**31  # what every server takes


def _majority(values: Sequence[float]) -> float:
    # Of equally frequent ones the lowest: a policy must not gain by dividing its judges.
    return min(statistics.multimode(values))


AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "majority": _majority,
}


def vote_seed(row: str, response: str, vote: int) -> int:
    """The seed in [0, 2**31) of vote number `vote` on a response to the prompt `row`; distinct among the votes."""
    return (int.from_bytes(digest(row, response)[:4], "big") + vote) % _SEEDS


def combine(votes: Sequence[Grade | Unscored], how: str) -> Verdict:
    """One verdict from at least one vote; `how` is a key of AGGREGATES.

    At least half of the votes must be grades: the score is their aggregate, `spread` their standard deviation
    (unbiased, in [0, 0.71]), None for a single one. With fewer, Unscored with the most frequent reason, the earliest of
    equally frequent ones.
    """
    grades = [vote for vote in votes if isinstance(vote, Grade)]
    values = [grade.value for grade in grades]
    failures = [vote for vote in votes if isinstance(vote, Unscored)]
    if 2 * len(values) < len(votes):
        reason, _ = Counter(failure.reason for failure in failures).most_common(1)[0]
        detail = next(failure.detail for failure in failures if failure.reason is reason)
        if len(votes) > 1:
            detail = f"{len(failures)} of {len(votes)} votes failed, the first so: {detail}"
        return Unscored(reason, detail)
    # A mean of floats may leave [0, 1] by a rounding error.
    value = min(1.0, max(0.0, AGGREGATES[how](values)))
    words = "\n".join(grade.reasons for grade in grades if grade.reasons)
    criteria = {name: AGGREGATES[how]([grade.criteria[name] for grade in grades]) for name in grades[0].criteria}
    return Scored(value, statistics.stdev(values) if len(values) > 1 else None, words, tuple(values), criteria)


STEPS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "last": lambda values: values[-1],
}


def combine_steps(verdicts: Sequence[Verdict], how: str) -> Verdict:
    """One verdict from those on a rollout's steps, at least one; `how` is a key of STEPS.

    A step without a score leaves the rollout without one, with the first such step's reason: what is not known is not
    high, and not low. `spread` is the mean of the steps', and each criterion is put together as the score is.
    """
    scored = []
    for number, verdict in enumerate(verdicts, 1):
        if isinstance(verdict, Unscored):
            return Unscored(verdict.reason, f"step {number} of {len(verdicts)}: {verdict.detail}")
        scored.append(verdict)
    values = tuple(verdict.value for verdict in scored)
    spreads = [verdict.spread for verdict in scored if verdict.spread is not None]
    words = "\n".join(f"step {number}: {verdict.words}" for number, verdict in enumerate(scored, 1) if verdict.words)
    criteria = {name: STEPS[how]([verdict.criteria[name] for verdict in scored]) for name in scored[0].criteria}
    value = min(1.0, max(0.0, STEPS[how](values)))
    return Scored(value, statistics.fmean(spreads) if spreads else None, words, (), criteria, values)
