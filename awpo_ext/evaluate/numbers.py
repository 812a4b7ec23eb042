"""The few statistics of an evaluation: intervals of a share and of a mean, pass@k, two models on the same items.

scipy.stats takes a second to import, so it is imported where it is needed: every `awpo` command imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

_DRAWS = 2000


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; (0, 1) of none."""
    if n == 0:
        return 0.0, 1.0
    from reward_models.statistics import wilson

    interval = wilson(right, n)
    return interval.low, interval.high


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap, 95 %, of the mean over items; of equal values it is that value twice."""
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = np.array([array[rng.integers(0, array.size, array.size)].mean() for _ in range(_DRAWS)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def pass_at_k(n: int, right: int, k: int) -> float:
    """The unbiased estimate of the chance that one of k samples is right, from n of which `right` are (arXiv 2107.03374)."""
    if not 1 <= k <= n:
        raise ValueError(f"k={k} must be in [1, n={n}]")
    return 1.0 - comb(n - right, k) / comb(n, k)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test, from the items that only one of the two has right; 1 where none."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return 1.0 if discordant == 0 else float(binomtest(only_first, discordant, 0.5).pvalue)
