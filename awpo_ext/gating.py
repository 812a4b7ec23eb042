"""Eq. 5 and 7: which groups are closed, the gate w and the difficulty weight d, one number a group. Pure.

Equation numbers are those of docs/method.md, where each piece has its provenance.
"""

from dataclasses import dataclass
from enum import IntEnum

import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.groups import GroupStats
from awpo_ext.signals import JudgeSide

BELOW_ONE = 1.0 - 2.0**-24  # the largest float32 below 1: a huge std must not round the gate's ratio up to 1
ROUNDING = 2.0**-22  # rewards arrive in float32 (verl's type): two of its units in the last place are no difference


class Closed(IntEnum):
    """Why a group's gate is 0 (docs/method.md, "closed groups"). OPEN: it is not closed."""

    OPEN = 0
    TOO_FEW_VALID = 1  # fewer than two rollouts with the judges' scores, or no signal with a weight
    NO_VARIANCE = 2  # the judges see no difference, so that the blend would add nothing
    SATURATED = 3  # every rollout already has the highest outcome reward
    BELOW_NOISE_FLOOR = 4  # the judges' differences are below their noise


@dataclass(frozen=True)
class OutcomeRange:
    """The lowest and the highest task reward that the row of each group allows, `(M,)` each."""

    low: torch.Tensor
    high: torch.Tensor

    @property
    def span(self) -> torch.Tensor:
        return self.high - self.low

    @property
    def rounding(self) -> torch.Tensor:
        """Two rewards nearer than this are the same number in float32."""
        return ROUNDING * torch.maximum(self.low.abs(), self.high.abs())


def success_rate(mean: torch.Tensor, bounds: OutcomeRange) -> torch.Tensor:
    """p of eq. 7: the group's mean task reward `(M,)` within its row's range, in [0, 1]; 1 where nothing can be earned."""
    return torch.where(bounds.span > 0, (mean - bounds.low) / bounds.span, 1.0).clamp(0.0, 1.0)


def closed_groups(lowest: torch.Tensor, bounds: OutcomeRange, judges: JudgeSide, config: AwpoConfig) -> torch.Tensor:
    """Codes of `Closed`, `(M,)` int64 (R). The first reason in the order of the enum is the one given.

    Args:
        lowest: `(M,)` lowest task reward of the group. It is compared with its row's highest as float32 numbers are: a
            reward that went through verl is `float32(high)`, which may lie below.
    """
    code = torch.full_like(judges.count, Closed.OPEN)
    code[judges.spread < config.noise_floor] = Closed.BELOW_NOISE_FLOOR
    if config.saturated == "outcome_only":
        code[lowest >= bounds.high - bounds.rounding] = Closed.SATURATED
    code[judges.adds_nothing] = Closed.NO_VARIANCE
    code[judges.count < 2] = Closed.TOO_FEW_VALID
    return code


def gate(
    out_stats: GroupStats, bounds: OutcomeRange, judges: JudgeSide, closed: torch.Tensor, config: AwpoConfig
) -> torch.Tensor:
    """Eq. 5: the weight w of the judges' side, `(M,)`.

    `ratio` (S): std_mix / (std_out + std_mix + epsilon), in [0, 1). `signal` (R): the same with the std of the reasoning
    reward in place of the mixed reward's, so that w is small where outcomes differ by more than the judge's whole range.
    `threshold` (R): 1 where the outcome's std is below `gate_threshold` of the reward's range, else 0. `always`: 1.
    `none`: 0. Closed groups get 0 under every rule (R). `reliability` is `awpo_ext.reliability.trusted_gate`.
    """
    if config.gate == "none":
        w = torch.zeros_like(out_stats.std)
    elif config.gate == "always":
        w = torch.ones_like(out_stats.std)
    elif config.gate == "threshold":
        w = (out_stats.std / bounds.span < config.gate_threshold).to(out_stats.std.dtype)
    else:
        std = judges.mixed.std if config.gate == "ratio" else judges.reasoning.std
        w = (std / (out_stats.std + std + config.epsilon)).clamp(max=BELOW_ONE)
    return torch.where(closed == Closed.OPEN, w, torch.zeros_like(w))


def difficulty(p: torch.Tensor, bounds: OutcomeRange, config: AwpoConfig) -> torch.Tensor:
    """Eq. 7: the weight d of a group by its success rate, `(M,)`.

    `parabola` (S, with our base term): base + priority * 4p(1-p), largest at p = 1/2. `band` (R): base + priority where
    p is within [difficulty_low, difficulty_high], both included whatever the rounding of p. `none`: 1. `noise_aware`: the
    weight of S-GRPO (arXiv 2508.05928, its authors' code) for outcomes of 0 or 1 that are wrong with a known probability
    e: `(1 - 2e) t (1 - t) / (sqrt(p (1 - p)) sqrt(t (1 - t)))`, t = (p - e) / (1 - 2e) being the success rate behind p; 0
    where the errors alone explain p.
    """
    if config.difficulty == "none":
        return torch.ones_like(p)
    if config.difficulty == "noise_aware":
        kept = 1.0 - 2.0 * config.outcome_error_rate
        t = ((p - config.outcome_error_rate) / kept).clamp(0.0, 1.0)
        return kept * t * (1.0 - t) / ((p * (1.0 - p) + 1e-8).sqrt() * (t * (1.0 - t) + 1e-8).sqrt())
    if config.difficulty == "band":
        rounding = bounds.rounding / bounds.span
        medium = ((p >= config.difficulty_low - rounding) & (p <= config.difficulty_high + rounding)).to(p.dtype)
    else:
        medium = 4.0 * p * (1.0 - p)
    return config.difficulty_base + config.difficulty_priority * medium
