"""How far the judge may be believed (ours): its correlation with outcomes, where both vary, carried over steps. Pure.

A filter with forgetting. The latent correlation of judge and outcome within a group is taken for a slow process around 0
with variance 1; each informative group is one noisy look at it. Nothing is assumed of the judge: until it has agreed with
outcomes its trust is 0, and it is 0 again when the evidence ages, is used up or turns.

The state is three numbers. Whoever drives the training keeps it: `awpo_advantages(.., reliability=state).reliability` is the
next one, `as_dict` goes into a checkpoint and `from_dict` brings the same numbers back.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.groups import GroupStats
from awpo_ext.signals import JudgeSide

SURE = 1.645  # one-sided 95 %
UNCHECKED = 3.0  # a group that the judge alone decided ages the evidence by as many groups more


@dataclass(frozen=True)
class ReliabilityState:
    """What is known of the judge's correlation with outcomes. A fresh one knows nothing, and trusts nothing.

    Raises:
        ValueError: a value that no state can have, such as a NaN from a damaged checkpoint.
    """

    mean: float = 0.0  # of the correlation, in [-1, 1]
    variance: float = 1.0  # of what is not known about it, in (0, 1]
    groups: float = 0.0  # prompts seen so far, for the log

    def __post_init__(self) -> None:
        if not (-1.0 <= self.mean <= 1.0 and 0.0 < self.variance <= 1.0 and 0.0 <= self.groups < math.inf):
            raise ValueError(
                f"{self} is not a reliability: mean must be in [-1, 1], variance in (0, 1], groups 0 or more"
            )

    @property
    def trust(self) -> float:
        """r in [0, 1): the mean, shrunk by its interval: `mean - z^2 variance / mean`, 0 where the lower bound is below 0.

        The positive part of a James-Stein estimator: it is 0 exactly where `mean - z * std <= 0`, so a judge that knows
        nothing is believed in no more than 5 % of cases, and it gives back nearly all of a mean that is well known.
        """
        return max(0.0, self.mean - SURE**2 * self.variance / self.mean) if self.mean > 0 else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The correlation's 90 % interval, within [-1, 1]."""
        half = SURE * math.sqrt(self.variance)
        return max(-1.0, self.mean - half), min(1.0, self.mean + half)

    def as_dict(self) -> dict[str, float]:
        """For a checkpoint; JSON keeps every bit of it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "ReliabilityState":
        """The state that `as_dict` gave.

        Raises:
            ValueError: other keys, or values that no state can have.
        """
        names = {field.name for field in fields(cls)}
        if set(saved) != names:
            raise ValueError(f"a saved reliability has the keys {sorted(names)}; this one has {sorted(saved)}")
        return cls(**{name: float(value) for name, value in saved.items()})


def agreement(
    deviation: torch.Tensor, stats: GroupStats, judges: JudgeSide, index: torch.Tensor
) -> tuple[float, float]:
    """What a batch shows of the judge: its mean correlation with the outcome within groups, and the information in it.

    In a group of n scored rollouts in which both vary, the sample correlation of an exchangeable judge has mean 0 and
    variance exactly 1 / (n - 1), whatever the values and ties; so groups are weighted by n - 1, and the information is
    the sum of that over groups (the variance of the mean is its inverse).

    Args:
        deviation, stats: `(N,)` outcome reward, without a KL penalty, less its group's mean over the scored rollouts
            (`judges.member`), and the statistics of the same.

    Returns:
        The correlation in [-1, 1], 0 where no group tells anything, and the information.
    """
    groups = len(judges.count)
    product = torch.zeros(groups, dtype=torch.float64).index_add_(0, index, deviation * judges.deviation)
    degrees = (stats.count - 1).double()
    both = (stats.std > 0) & (judges.reasoning.std > 0)
    scale = stats.std * judges.reasoning.std
    summed = float(torch.where(both & (scale > 0), product / scale, 0.0).sum())  # of (n - 1) r
    information = float(degrees[both & (scale > 0)].sum())
    return (max(-1.0, min(1.0, summed / information)), information) if information else (0.0, 0.0)


def updated(
    state: ReliabilityState,
    correlation: float,
    information: float,
    groups: int,
    unchecked: float,
    config: AwpoConfig,
) -> ReliabilityState:
    """The state after a batch: it ages, then learns.

    Ageing draws the state towards a fresh one, by a factor e for every `reliability_horizon` groups; groups that the judge
    alone decided count more, since a policy that follows the judge moves to where the judge was not checked.

    Args:
        correlation, information: of `agreement`.
        groups: how many were seen in the batch.
        unchecked: how many groups' worth of the update the judge decided with no outcome to check it, in [0, groups].
    """
    kept = math.exp(-(groups + UNCHECKED * unchecked) / config.reliability_horizon)
    mean, variance = kept * state.mean, kept**2 * state.variance + (1.0 - kept**2)
    gain = variance * information / (variance * information + 1.0)
    mean += gain * (correlation - mean)
    return ReliabilityState(max(-1.0, min(1.0, mean)), min(1.0, variance * (1.0 - gain)), state.groups + groups)


def trusted_gate(
    trust: float, differ: torch.Tensor, closed: torch.Tensor, outcome_power: torch.Tensor, judge_power: torch.Tensor
) -> torch.Tensor:
    """The weight w of `gate: reliability`, `(M,)` in [0, 1): what the judge is worth beside the outcome.

    A signal is worth rho^2 V (docs/method.md): r^2 of the outcome's own worth, and each gets its share. Where outcomes
    differ that is `r^2 / (1 + r^2)`, at most one half: never above an informative outcome. Where they do not, it is r^2, and
    less where such groups are many: all of them together never move the policy by more than r^2 times what the outcomes do.
    So a batch in which no outcome informs leaves the judge no say, however well it did before.

    Args:
        trust: r in [0, 1].
        differ: `(M,)` bool, outcomes differ in the group.
        closed: `(M,)` bool.
        outcome_power, judge_power: `(M,)` sums of squares of the outcome's part of the advantages and of the judge's at w = 1.
    """
    checked, unchecked = outcome_power[differ].sum(), judge_power[~differ & ~closed].sum()
    budget = (checked / unchecked).sqrt().clamp(max=1.0) if unchecked > 0 else checked.new_tensor(1.0)
    worth = trust**2
    w = torch.where(differ, worth / (1.0 + worth), worth * budget)
    return torch.where(closed, torch.zeros_like(w), w)
