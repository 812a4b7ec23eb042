"""Sequential tests whose chance of a false alarm over a whole run, however long, is at most a number that is stated (ours).

Each look at a run gives a bet its factor: a number whose mean is at most 1 while nothing is wrong. `Wealth` starts a new bet
at every look, with a share of one unit of money, and multiplies. While nothing is wrong its sum is a supermartingale that
starts at 1, so by Ville's inequality it ever reaches 1 / a with a chance of at most a. Sources: e-detectors, arXiv
2203.03532; ranks as bets, Vovk's conformal test martingales.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HORIZON = 200  # looks over which new bets get about the same share of the money; later ones get less
POWERS = (0.2, 0.4, 0.7)  # the bets of `rank_factors`: for a jump, for a drift, for a slow drift
STUCK_BET = 0.9  # of the money, on "stuck" against even odds
_MOST = 1e200


@dataclass
class Wealth:
    """The money of several bets, each begun anew at every look: of each bet summed over its starts, after `looks` looks."""

    looks: int
    money: list[float]

    @classmethod
    def of(cls, bets: int) -> Wealth:
        return cls(0, [0.0] * bets)

    def bet(self, factors: Sequence[float]) -> None:
        """One look; a factor for each bet, above 0."""
        fresh = start_share(self.looks)
        for k, factor in enumerate(factors):
            self.money[k] = min(_MOST, factor * (self.money[k] + fresh))
        self.looks += 1

    @property
    def value(self) -> float:
        """What reaches 1 / a with a chance of at most a while nothing is wrong."""
        return sum(self.money) / len(self.money)


def start_share(look: int) -> float:
    """What of the money the bets that begin at a look get, from 0 on; they sum to 1 over all looks."""
    return HORIZON / ((HORIZON + look) * (HORIZON + look + 1))


def rank_factors(values_before: Sequence[float], value: float) -> list[float]:
    """The factors of a value among those before it, which must be sorted: large where it is larger than nearly all.

    Of t values, the new one included, let k be its place from the top. Where the values are exchangeable, k is uniform on
    1 .. t and does not depend on the places before, whatever the distribution; the factor
    `t ((k / t)^power - ((k - 1) / t)^power)` has mean 1 then. It falls with k and a tie counts as the lower place, so
    the mean is no larger with ties, and the product is no larger where the values' distribution moves down.
    """
    t = len(values_before) + 1
    k = t - bisect.bisect_left(values_before, value)
    return [t * ((k / t) ** power - ((k - 1) / t) ** power) for power in POWERS]


class RiseTest:
    """Has a series risen? It compares each value with all before it, so it needs no baseline and no scale.

    A false alarm: the values are independent and their distribution never moves up, and yet `wealth.value` reaches 1 / a.
    Its chance over a whole run is at most a. Slow: `O(looks)` a look, for the sorted list.
    """

    def __init__(self) -> None:
        self.wealth = Wealth.of(len(POWERS))
        self.raw: list[float] = []  # what `before_after` speaks of
        self.steps: list[int] = []
        self._values: list[float] = []
        self._sorted: list[float] = []

    def look(self, step: int, value: float, raw: float | None = None) -> None:
        """A finite value of a step; `raw` is what people read, the value itself if not given."""
        self.wealth.bet(rank_factors(self._sorted, value))
        bisect.insort(self._sorted, value)
        self._values.append(value)
        self.raw.append(value if raw is None else raw)
        self.steps.append(step)

    def onset(self) -> int:
        """The place in `raw` and `steps` from which on the series is high, if it is: where the ranks before and after differ
        most (after Pettitt 1979); 0 where no split shows a rise.
        """
        n, best, place, below = len(self._values), 0.0, 0, 0.0
        for i, value in enumerate(self._values[:-1], 1):
            rank = (bisect.bisect_left(self._sorted, value) + bisect.bisect_right(self._sorted, value)) / 2
            below += n / 2 - rank  # how far the ranks so far are below the middle, in sum
            if below / math.sqrt(i * (n - i)) > best:
                best, place = below / math.sqrt(i * (n - i)), i
        return place

    def before_after(self, onset: int) -> tuple[float, float]:
        """Means of `raw` before the onset and from then on; NaN where there is none."""
        return _mean(self.raw[:onset]), _mean(self.raw[onset:])

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint; JSON keeps every bit of it."""
        return {"wealth": vars(self.wealth), "raw": self.raw, "steps": self.steps, "values": self._values}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> RiseTest:
        """What `as_dict` gave. ValueError, KeyError or TypeError for anything else."""
        made = cls()
        made.wealth = wealth_of(saved["wealth"], len(POWERS))
        made.raw, made._values = _numbers(saved["raw"]), _numbers(saved["values"])
        made.steps = [int(step) for step in saved["steps"]]
        if not len(made.raw) == len(made._values) == len(made.steps):
            raise ValueError("the lists of a saved test differ in length")
        made._sorted = sorted(made._values)
        return made


class StuckTest:
    """Does something hold in nearly all looks? A false alarm: each time, given the past, its chance is at most 1/2."""

    def __init__(self) -> None:
        self.wealth = Wealth.of(1)
        self.steps: list[int] = []
        self._holds: list[bool] = []

    def look(self, step: int, holds: bool) -> None:
        self.wealth.bet([self._factor(holds)])
        self.steps.append(step)
        self._holds.append(holds)

    def onset(self) -> int:
        """The place in `steps` from which on it held, if it did: where a bet would best have begun."""
        best, place, gain = 0.0, 0, 0.0
        for i in reversed(range(len(self._holds))):
            gain += math.log(self._factor(self._holds[i]))
            if gain > best:
                best, place = gain, i
        return place

    def as_dict(self) -> dict[str, Any]:
        return {"wealth": vars(self.wealth), "steps": self.steps, "holds": self._holds}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> StuckTest:
        """What `as_dict` gave. ValueError, KeyError or TypeError for anything else."""
        made = cls()
        made.wealth, made.steps = wealth_of(saved["wealth"], 1), [int(step) for step in saved["steps"]]
        made._holds = [bool(one) for one in saved["holds"]]
        if not made.wealth.looks == len(made.steps) == len(made._holds):
            raise ValueError("the lists of a saved test differ in length")
        return made

    @staticmethod
    def _factor(holds: bool) -> float:
        return 1.0 + STUCK_BET if holds else 1.0 - STUCK_BET


def wealth_of(saved: Mapping[str, Any], bets: int) -> Wealth:
    """ValueError, KeyError or TypeError for what no `Wealth` of so many bets can be."""
    made = Wealth(int(saved["looks"]), _numbers(saved["money"]))
    if len(made.money) != bets or made.looks < 0 or min(made.money) < 0.0:
        raise ValueError(f"{made} is not the state of a test")
    return made


def _numbers(values: Sequence[Any]) -> list[float]:
    numbers = [float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a saved test holds a number that is not finite")
    return numbers


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
