"""Hypothesis strategies for batches of rollouts: ragged groups, ties, unscored rollouts, extreme values."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st


@dataclass(frozen=True)
class Batch:
    outcome: list[float]
    reasoning: list[float]
    group: list[str]
    valid: list[bool]

    def permuted(self, order):
        return Batch(*[[column[i] for i in order] for column in vars(self).values()])

    def with_(self, **columns):
        return replace(self, **columns)


# a few round values, so that ties and zero variance are common, and the whole range
rewards = st.one_of(st.sampled_from([-3.0, 0.0, 1.0, 4.0]), st.floats(-3.0, 4.0))
extreme = st.one_of(rewards, st.floats(-1e30, 1e30), st.sampled_from([1e30, -1e30, 1e-30, 1e-12]))
scores = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.0, 1.0))


@st.composite
def batches(draw, outcomes=rewards, max_groups=4, max_size=6, min_groups=0, all_valid=False):
    """A batch whose rollouts are interleaved between groups."""
    sizes = draw(st.lists(st.integers(1, max_size), min_size=min_groups, max_size=max_groups))
    group = draw(st.permutations([f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]))
    n = len(group)
    valid = [True] * n if all_valid else draw(st.lists(st.booleans(), min_size=n, max_size=n))
    reasoning = draw(st.lists(scores, min_size=n, max_size=n))
    return Batch(
        outcome=draw(st.lists(outcomes, min_size=n, max_size=n)),
        reasoning=[s if ok else float("nan") for s, ok in zip(reasoning, valid, strict=True)],
        group=list(group),
        valid=valid,
    )


def rng_batch(seed: int, groups: int, size: int) -> Batch:
    """A plain random batch with few ties, for parity with other implementations."""
    rng = np.random.default_rng(seed)
    n = groups * size
    return Batch(
        outcome=rng.uniform(-3, 4, n).tolist(),
        reasoning=rng.uniform(0, 1, n).tolist(),
        group=[f"g{i % groups}" for i in range(n)],
        valid=[True] * n,
    )
