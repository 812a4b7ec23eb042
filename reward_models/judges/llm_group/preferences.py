"""From preferences between pairs to ranks: which pairs are compared, and what their verdicts say together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit
from scipy.stats import rankdata

_PRIOR = 0.01  # of the strengths, Gaussian: bounds them where one wins always, and leaves their order alone
_TIE_DIGITS = 5  # strengths that differ less are a tie


@dataclass(frozen=True)
class Preferences:
    """What a model said of m things, shown in the order given and in the reverse order.

    given, reverse: `(m, m)`, [i, j] is 1.0 where i is preferred to j, 0.5 for a tie, 0.0 where j is preferred, and NaN
    where nothing was said; [j, i] is 1 - [i, j].
    """

    given: np.ndarray
    reverse: np.ndarray

    @classmethod
    def none(cls, m: int) -> Preferences:
        """Nothing said yet of m things."""
        return cls(np.full((m, m), np.nan), np.full((m, m), np.nan))

    def put(self, i: int, j: int, given: float, reverse: float) -> None:
        """Both verdicts on one pair, as the preference for i."""
        self.given[i, j], self.given[j, i] = given, 1.0 - given
        self.reverse[i, j], self.reverse[j, i] = reverse, 1.0 - reverse

    @property
    def both(self) -> np.ndarray:
        """The mean of the two orders; NaN where one of them is missing, which would leave the position to decide."""
        return (self.given + self.reverse) / 2


def pairs_to_compare(m: int, limit: int) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of m things, or where they are more than `limit`, max(limit, m) of them.

    The chosen ones connect everything, and the numbers of comparisons of any two things differ by at most 2: first each
    with its neighbour on a ring, then with ever other ones.
    """
    every = list(combinations(range(m), 2))
    if len(every) <= limit:
        return every
    # Far ones before near ones: neighbours of neighbours say less about the whole.
    distances = [1, *range(m // 2, 1, -1)]
    around = dict.fromkeys(
        (min(i, other), max(i, other)) for distance in distances for i in range(m) for other in [(i + distance) % m]
    )
    return list(around)[: max(limit, m)]


def strengths(preferences: Preferences) -> np.ndarray:
    """`(m,)` Bradley-Terry strengths, higher is better, of the largest set that comparisons connect; NaN elsewhere.

    A tie is half a win of each. Where every pair was compared the order is that of the wins. With nothing compared all
    are NaN.
    """
    wins = np.nan_to_num(preferences.both)
    np.fill_diagonal(wins, 0.0)
    found = np.full(len(wins), np.nan)
    _, component = connected_components(wins + wins.T, directed=False)
    members = np.flatnonzero(component == np.bincount(component).argmax())
    if len(members) < 2:
        return found
    wins = wins[np.ix_(members, members)]
    games = wins + wins.T

    def loss(s: np.ndarray) -> tuple[float, np.ndarray]:
        gaps = s[:, None] - s[None, :]
        value = -(wins * log_expit(gaps)).sum() + _PRIOR / 2 * (s @ s)
        return value, -(wins.sum(1) - (games * expit(gaps)).sum(1)) + _PRIOR * s

    def curvature(s: np.ndarray) -> np.ndarray:
        chance = expit(s[:, None] - s[None, :])
        weights = games * chance * (1 - chance)
        return np.diag(weights.sum(1) + _PRIOR) - weights

    start = np.zeros(len(members))
    fitted = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9})
    found[members] = fitted.x.round(_TIE_DIGITS)
    return found


def flips(preferences: Preferences) -> np.ndarray:
    """`(m,)` share of each one's comparisons whose verdict changed with the order, NaN for one without comparisons."""
    compared = np.isfinite(preferences.both)
    np.fill_diagonal(compared, False)
    changed = compared & (preferences.given != preferences.reverse)
    count = compared.sum(1)
    return np.divide(changed.sum(1), count, out=np.full(len(count), np.nan), where=count > 0)


def rank_scores(values: np.ndarray) -> np.ndarray:
    """`(n,)` scores in [0, 1] from `values`, higher being better: 1 for the first rank, 0 for the last, steps alike.

    Ties have their mean rank, so their mean is 0.5 always. One value alone is 0.5.
    """
    n = len(values)
    if n < 2:
        return np.full(n, 0.5)
    return (rankdata(values, method="average") - 1) / (n - 1)
