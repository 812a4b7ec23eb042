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
    return Scored(value, statistics.stdev(values) if len(values) > 1 else None, words, tuple(values))
