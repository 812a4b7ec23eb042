"""AWPO's advantages: two rewards a rollout -> gate, difficulty weight, blended advantage. Pure: torch and numpy only.

One function a piece; equation numbers are those of docs/method.md, where each has its provenance. The pieces marked
R there are a reconstruction: the paper's own equations were not at hand.
"""

from dataclasses import dataclass
from typing import Any

import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.gating import Closed, OutcomeRange, closed_groups, difficulty, gate, success_rate
from awpo_ext.groups import GroupStats, Labels, as_column, centered, factorize, require_finite
from awpo_ext.reliability import ReliabilityState, agreement, trusted_gate, updated
from awpo_ext.signals import JudgeSide, as_signals, judge_side, normalized, shares

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
    shares: tuple[float, ...]  # (1 + K) what `weighting` multiplied the outcome and each signal by
    reliability: ReliabilityState  # to hand to the next batch's call


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
        outcome: `(N,)` verifiable reward, in its row's range (`outcome_range`); outside it p is clipped.
        reasoning: `(N,)` judge score in [0, 1], or `(N, K)` for K signals in the order of `config.reasoning_key`;
            ignored where not valid, and may be NaN there.
        group: `(N,)` labels, one a prompt; any hashable or integer kind. Groups may be ragged.
        config: the switches.
        valid: bool of the shape of `reasoning`, False where the judge gave no usable score; all True by default.
        outcome_valid: `(N,)` bool, False where the verifier could not judge: such a rollout has advantage 0 and takes no
            part in any statistics; its outcome may be NaN. All True by default.
        kl_penalty: `(N,)` taken off the outcome reward (verl's KL in the reward), but not in p nor in the test for
            saturation: those ask whether the task was solved. None by default.
        tokens: `(N,)` response tokens, the weights of `config.whiten`; all equal by default.
        reliability: what earlier batches have shown of the judge; a fresh state in the first. The gate `reliability`
            needs it and hears nothing else, so a batch never raises the weight of its own scores; the other gates only
            carry it on, for the log.
        outcome_range: `(N, 2)` the lowest and the highest outcome that the row of each rollout allows: what p and the test
            for saturation go by. `(reward_min, reward_max)` of the config by default.

    Returns:
        An `AwpoResult` in the floating type of `outcome` (float64 if it is not a floating tensor); computed in float64.

    Raises:
        ValueError: shapes that do not match, a valid outcome that is NaN or infinite, a valid score outside [0, 1], no
            `reliability` for the gate that needs it.

    Edges: a group of one has advantage 0. A rollout without a judge score takes no part in the mixed statistics and
    its blended advantage is its outcome advantage, so a failed judge never moves a sibling's outcome advantage; with
    no judge score anywhere the result is outcome-only GRPO times the difficulty weight. N = 0 gives empty tensors.
    """
    c = _checked_columns(outcome, reasoning, config, valid, outcome_valid, kl_penalty)
    n = len(c.task)
    if len(group) != n:
        raise ValueError(f"group has {len(group)} labels; expected {n}, one a rollout")
    index, groups = factorize(group)
    bounds = _bounds(outcome_range, index, groups, config)
    out_dev, out_stats = centered(c.reward, index, groups, c.judged)
    outcome_adv = normalized(out_dev, out_stats, index, config, bounds.low)

    factors = shares(c.task - bounds.low[index], c.judged, c.scores, c.scored, config)
    judges = judge_side(c.reward, outcome_adv, out_stats, c.scores, c.scored, index, bounds.low, factors, config)

    task_dev, task_stats = (out_dev, out_stats) if kl_penalty is None else centered(c.task, index, groups, c.judged)
    lowest = torch.full((groups,), torch.inf, dtype=torch.float64).scatter_reduce_(
        0, index, torch.where(c.judged, c.task, torch.inf), "amin"
    )
    p = success_rate(task_stats.mean, bounds)
    closed = closed_groups(lowest, bounds, judges, config)
    d = difficulty(p, bounds, config)
    outcome_part, step = blend(outcome_adv, judges.advantages, d[index], config)
    if config.gate == "reliability":
        w = _trusted(reliability, task_stats, closed, outcome_part, step, index)
    else:
        w = gate(out_stats, bounds, judges, closed, config)
    judge_part = w[index] * step
    advantages = outcome_part + judge_part
    if config.whiten:
        compared = c.judged & (out_stats.count >= 2)[index]
        weight = torch.ones(n) if tokens is None else as_column("tokens", tokens, n)
        advantages = whitened(advantages, torch.where(compared, weight, 0.0), compared)

    dtype = outcome.dtype if isinstance(outcome, torch.Tensor) and outcome.is_floating_point() else torch.float64
    return AwpoResult(
        advantages=advantages.to(dtype),
        outcome_advantages=outcome_adv.to(dtype),
        mixed_advantages=judges.advantages.to(dtype),
        outcome_part=outcome_part.to(dtype),
        judge_part=judge_part.to(dtype),
        gate=w.to(dtype),
        difficulty=d.to(dtype),
        closed=closed,
        success_rate=p.to(dtype),
        verified=out_stats.count > 0,
        outcome_stats=out_stats,
        task_stats=task_stats,
        reasoning_stats=judges.reasoning,
        group_index=index,
        shares=tuple(factors),
        reliability=_learned(reliability, c, task_dev, task_stats, judges, outcome_part, judge_part, index, config),
    )


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
    c: "_Columns",
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


@dataclass(frozen=True)
class _Columns:
    """The checked inputs of a batch, float64 and bool; `(N,)`, the last two `(N, K)`."""

    task: torch.Tensor  # the verifiable reward
    judged: torch.Tensor  # has a task reward
    reward: torch.Tensor  # the task reward less the KL penalty
    scores: torch.Tensor
    scored: torch.Tensor  # has this score, and is judged


def _checked_columns(
    outcome: Any, reasoning: Any, config: AwpoConfig, valid: Any, outcome_valid: Any, kl_penalty: Any
) -> _Columns:
    task = as_column("outcome", outcome)
    n = len(task)
    judged = torch.ones(n, dtype=torch.bool)
    if outcome_valid is not None:
        judged = as_column("outcome_valid", outcome_valid, n) != 0
    require_finite("outcome (where valid)", task, judged)
    scores = as_signals(reasoning, n, config.signals, "reasoning")
    scored = torch.ones_like(scores, dtype=torch.bool)
    if valid is not None:
        scored = as_signals(valid, n, config.signals, "valid") != 0
    _require_scores(scores, scored, config)
    reward = task
    if kl_penalty is not None:
        penalty = as_column("kl_penalty", kl_penalty, n)
        require_finite("kl_penalty", penalty)
        if config.norm_by_mean and bool((penalty != 0).any()):
            raise ValueError(
                "norm_by_mean divides by a success rate, which a KL penalty would move; leave the penalty out"
            )
        reward = task - penalty
    return _Columns(task=task, judged=judged, reward=reward, scores=scores, scored=scored & judged.unsqueeze(1))


def _bounds(ranges: Any, index: torch.Tensor, groups: int, config: AwpoConfig) -> OutcomeRange:
    """Each group's range, `(M,)`, of its rollouts' ranges `(N, 2)`; where a schedule moves them, the widest."""
    if ranges is None:
        everywhere = torch.ones(groups, dtype=torch.float64)
        return OutcomeRange(config.reward_min * everywhere, config.reward_max * everywhere)
    rows = torch.as_tensor(ranges, dtype=torch.float64, device="cpu").detach().reshape(len(index), 2)
    if not bool(rows.isfinite().all() and (rows[:, 0] <= rows[:, 1]).all()):
        raise ValueError("outcome_range must hold finite numbers, the lowest before the highest, for each rollout")
    low, high = torch.full((2, groups), torch.inf, dtype=torch.float64)
    return OutcomeRange(
        low.scatter_reduce(0, index, rows[:, 0], "amin"), (-high).scatter_reduce(0, index, rows[:, 1], "amax")
    )


def _require_scores(scores: torch.Tensor, scored: torch.Tensor, config: AwpoConfig) -> None:
    """Raise ValueError that names the first score that is not a number in [0, 1], rounding aside."""
    require_finite("reasoning (where valid)", scores, scored)
    outside = scored & ((scores < -1e-6) | (scores > 1 + 1e-6))
    if bool(outside.any()):
        i, k = outside.nonzero()[0].tolist()
        raise ValueError(
            f"reasoning[{i}, {k}] (column '{config.reasoning_key[k]}') is {float(scores[i, k])}, and {int(outside.sum())} "
            f"of {int(scored.sum())} scores are outside [0, 1]; let the reward function divide them by the judge's range"
        )


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
