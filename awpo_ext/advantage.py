"""AWPO's advantages: two rewards a rollout -> gate, difficulty weight, blended advantage. Pure: torch and numpy only.

One function a piece; equation numbers are those of docs/method.md, where each has its provenance. The pieces marked
R there are a reconstruction: the paper's own equations were not at hand.
"""

from dataclasses import dataclass
from typing import Any

import torch

from awpo_ext.components import Components, decoupled_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.gating import Closed, OutcomeRange, closed_groups, difficulty, gate, success_rate
from awpo_ext.groups import GroupStats, Labels, as_column, centered, factorize
from awpo_ext.inputs import Columns, checked_columns, group_range
from awpo_ext.reliability import ReliabilityState, agreement, trusted_gate, updated
from awpo_ext.signals import JudgeSide, judge_side, normalized, shares

__all__ = ["AwpoResult", "Closed", "awpo_advantages", "blend", "closed_groups", "difficulty", "gate", "success_rate"]


@dataclass(frozen=True)
class AwpoResult:
    """What AWPO computed. `(N,)` fields are per rollout, in the order given; `(M,)` per group, by first appearance."""

    advantages: torch.Tensor  # (N,) what the policy loss uses
    outcome_advantages: torch.Tensor  # (N,)
    mixed_advantages: torch.Tensor  # (N,) where w = 1; equal to outcome_advantages where the rollout is unscored
    outcome_part: torch.Tensor  # (N,) what the advantage would be without a judge, before `whiten`
    judge_part: torch.Tensor  # (N,) what the judge adds to it, before `whiten`
    gate: torch.Tensor  # (M,) in [0, 1]
    difficulty: torch.Tensor  # (M,)
    closed: torch.Tensor  # (M,) codes of `Closed`
    success_rate: torch.Tensor  # (M,) p in [0, 1]; means nothing where not `verified`
    verified: torch.Tensor  # (M,) bool, some rollout was verified; the others count nowhere, as if not sampled
    outcome_stats: GroupStats  # of the outcome reward less any KL penalty
    task_stats: GroupStats  # of the outcome reward itself
    reasoning_stats: GroupStats
    group_index: torch.Tensor  # (N,)
    # (1 + K) what `weighting` multiplied the outcome and each signal by; with outcome components (C + K)
    shares: tuple[float, ...]
    reliability: ReliabilityState  # to hand to the next batch's call
    components: Components | None = None  # the outcome's, as checked; None where it is one reward


def awpo_advantages(
    outcome: Any,
    reasoning: Any,
    group: Labels,
    config: AwpoConfig,
    valid: Any = None,
    outcome_valid: Any = None,
    kl_penalty: Any = None,
    tokens: Any = None,
    reliability: ReliabilityState | None = None,
    outcome_range: Any = None,
) -> AwpoResult:
    """AWPO's advantages of a batch of rollouts (reconstruction; eq. 3-8 of docs/method.md).

    Args:
        outcome: `(N,)` verifiable reward, in its row's range (`outcome_range`); outside it p is clipped. With
            `config.reward_components` it is `(N, C)`, one column a component in that order, whose weighted sum is the reward.
        reasoning: `(N,)` judge score in [0, 1], or `(N, K)` for K signals in the order of `config.reasoning_key`;
            ignored where not valid, and may be NaN there.
        group: `(N,)` labels, one a prompt; any hashable or integer kind. Groups may be ragged.
        config: the switches.
        valid: bool of the shape of `reasoning`, False where the judge gave no usable score; all True by default.
        outcome_valid: `(N,)` bool, False where the verifier could not judge: such a rollout has advantage 0 and takes no
            part in any statistics; its outcome may be NaN. All True by default. With components it may be `(N, C)`, and a
            rollout without a component that has a weight is not judged.
        kl_penalty: `(N,)` taken off the outcome reward (verl's KL in the reward), but not in p nor in the test for
            saturation: those ask whether the task was solved. None by default.
        tokens: `(N,)` response tokens, the weights of `config.whiten`; all equal by default.
        reliability: what earlier batches have shown of the judge; a fresh state in the first. The gate `reliability`
            needs it and hears nothing else, so a batch never raises the weight of its own scores; the other gates only
            carry it on, for the log.
        outcome_range: `(N, 2)` the lowest and the highest outcome that the row of each rollout allows: what p and the test
            for saturation go by. `(reward_min, reward_max)` of the config by default. With components it is `(N, C, 2)`, NaN
            where a row does not say.

    Returns:
        An `AwpoResult` in the floating type of `outcome` (float64 if it is not a floating tensor); computed in float64.

    Raises:
        ValueError: shapes that do not match, a valid outcome that is NaN or infinite, a valid score outside [0, 1], no
            `reliability` for the gate that needs it, a KL penalty on components that are compared one by one.

    Edges: a group of one has advantage 0. A rollout without a judge score takes no part in the mixed statistics and
    its blended advantage is its outcome advantage, so a failed judge never moves a sibling's outcome advantage; with
    no judge score anywhere the result is outcome-only GRPO times the difficulty weight. N = 0 gives empty tensors.
    """
    c = checked_columns(outcome, reasoning, config, valid, outcome_valid, kl_penalty, outcome_range)
    n = len(c.task)
    if len(group) != n:
        raise ValueError(f"group has {len(group)} labels; expected {n}, one a rollout")
    index, groups = factorize(group)
    bounds = group_range(c.ranges, index, groups, config)
    above = (c.task - bounds.low[index]).unsqueeze(1) if c.components is None else c.components.above()
    factors = shares(above, c.judged, c.scores, c.scored, config)
    out = _outcome_side(c, index, groups, bounds, factors, config)
    judges = judge_side(out.reward, out.advantages, out.stats, c.scores, c.scored, index, out.low, out.factors, config)

    same = out.reward is c.task
    task_dev, task_stats = (out.deviation, out.stats) if same else centered(c.task, index, groups, c.judged)
    lowest = torch.full((groups,), torch.inf, dtype=torch.float64).scatter_reduce_(
        0, index, torch.where(c.judged, c.task, torch.inf), "amin"
    )
    p = success_rate(task_stats.mean, bounds)
    closed = closed_groups(lowest, bounds, judges, config)
    d = difficulty(p, bounds, config)
    outcome_part, step = blend(out.advantages, judges.advantages, d[index], config)
    if config.gate == "reliability":
        w = _trusted(reliability, task_stats, closed, outcome_part, step, index)
    else:
        w = gate(out.stats, bounds, judges, closed, config)
    judge_part = w[index] * step
    advantages = outcome_part + judge_part
    if config.whiten:
        compared = c.judged & (out.stats.count >= 2)[index]
        weight = torch.ones(n) if tokens is None else as_column("tokens", tokens, n)
        advantages = whitened(advantages, torch.where(compared, weight, 0.0), compared)

    dtype = outcome.dtype if isinstance(outcome, torch.Tensor) and outcome.is_floating_point() else torch.float64
    return AwpoResult(
        advantages=advantages.to(dtype),
        outcome_advantages=out.advantages.to(dtype),
        mixed_advantages=judges.advantages.to(dtype),
        outcome_part=outcome_part.to(dtype),
        judge_part=judge_part.to(dtype),
        gate=w.to(dtype),
        difficulty=d.to(dtype),
        closed=closed,
        success_rate=p.to(dtype),
        verified=out.stats.count > 0,
        outcome_stats=out.stats,
        task_stats=task_stats,
        reasoning_stats=judges.reasoning,
        group_index=index,
        shares=tuple(factors),
        reliability=_learned(reliability, c, task_dev, task_stats, judges, outcome_part, judge_part, index, config),
        components=c.components,
    )


@dataclass(frozen=True)
class _OutcomeSide:
    """What is left where no judge has a say."""

    reward: torch.Tensor  # (N,) that the judges' reward is added to
    low: torch.Tensor  # (M,) the lowest of it that the group's row allows
    advantages: torch.Tensor  # (N,) A_out
    deviation: torch.Tensor  # (N,) reward less its mean over the group
    stats: GroupStats
    factors: list[float]  # of `shares`, still to be applied: the outcome's, then one a signal


def _outcome_side(
    c: Columns, index: torch.Tensor, groups: int, bounds: OutcomeRange, factors: list[float], config: AwpoConfig
) -> _OutcomeSide:
    """The outcome's advantages (eq. 4): of the reward, or with `integration: decoupled` of each component by itself.

    Each component's share of the weighting is in its own weight, so that it holds where no judge has scored, too.
    """
    reward, low, each = c.reward, bounds.low, len(config.components)
    if c.components is not None and config.weighting != "fixed":
        reward = c.components.total(config, factors[:each])
        reward = reward if c.kl_penalty is None else reward - c.kl_penalty
        low = group_range(c.components.total_range(config, factors[:each]), index, groups, config).low
    deviation, stats = centered(reward, index, groups, c.judged)
    if c.components is not None and config.integration == "decoupled":
        advantages = decoupled_advantages(c.components, c.judged, index, groups, factors[:each], config)
    else:
        advantages = normalized(deviation, stats, index, config, low)
    left = factors if c.components is None else [1.0, *factors[each:]]
    return _OutcomeSide(reward, low, advantages, deviation, stats, left)


def _trusted(
    state: ReliabilityState | None,
    task_stats: GroupStats,
    closed: torch.Tensor,
    outcome_part: torch.Tensor,
    step: torch.Tensor,
    index: torch.Tensor,
) -> torch.Tensor:
    """w of `gate: reliability`, `(M,)`."""
    if state is None:
        raise ValueError(
            "gate=reliability got no reliability; pass awpo_ext.reliability.ReliabilityState() with the first batch, and "
            "AwpoResult.reliability with each next one"
        )
    zeros = torch.zeros(len(closed), dtype=torch.float64)
    outcome_power, judge_power = (zeros.index_add(0, index, part.square()) for part in (outcome_part, step))
    return trusted_gate(state.trust, task_stats.std > 0, closed != Closed.OPEN, outcome_power, judge_power)


def _learned(
    state: ReliabilityState | None,
    c: Columns,
    task_dev: torch.Tensor,
    task_stats: GroupStats,
    judges: JudgeSide,
    outcome_part: torch.Tensor,
    judge_part: torch.Tensor,
    index: torch.Tensor,
    config: AwpoConfig,
) -> ReliabilityState:
    """The state after this batch."""
    groups = int((task_stats.count > 0).sum())
    alone = torch.where((task_stats.std > 0)[index], 0.0, judge_part).square().sum()
    power = (outcome_part + judge_part).square().sum()
    unchecked = groups * min(1.0, float(alone / power)) if power > 0 else 0.0
    if not torch.equal(judges.member, c.judged):  # compare only what both have seen
        task_dev, task_stats = centered(c.task, index, len(judges.count), judges.member)
    shown = agreement(task_dev, task_stats, judges, index)
    return updated(state or ReliabilityState(), *shown, groups, unchecked, config)


def blend(
    outcome_adv: torch.Tensor, mixed_adv: torch.Tensor, d: torch.Tensor, config: AwpoConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. 6 and 8, `d * ((1 - w) A_out + w A_mix)`, as two parts `(N,)`: the outcome's, `d A_out`, and the judge's step at
    w = 1, `d (A_mix - A_out)`, so that `A = part + w * step`. With `difficulty_target: reasoning` (R) d weighs only the
    latter. Equal advantages blend exactly.
    """
    return (outcome_adv if config.difficulty_target == "reasoning" else d * outcome_adv), d * (mixed_adv - outcome_adv)


def whitened(advantages: torch.Tensor, tokens: torch.Tensor, compared: torch.Tensor) -> torch.Tensor:
    """GDPO's last step (as verl has it): mean 0 and variance 1 over the response tokens of the batch, `(N,)`.

    Args:
        tokens: `(N,)` how many tokens carry each advantage; 0 where not `compared`.
        compared: `(N,)` bool; the others (alone in their group, not judged) have no advantage, before as after.
    """
    total = tokens.sum()
    if total < 2:
        return torch.zeros_like(advantages)
    mean = (advantages * tokens).sum() / total
    variance = ((advantages - mean).square() * tokens).sum() / (total - 1)
    return torch.where(compared, (advantages - mean) / (variance + 1e-8).sqrt(), torch.zeros_like(advantages))
