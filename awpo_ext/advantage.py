"""AWPO's advantages: two rewards a rollout -> gate, difficulty weight, blended advantage. Pure: torch and numpy only.

One function a piece; equation numbers are those of docs/method.md, where each has its provenance. The pieces marked
R there are a reconstruction: the paper's own equations were not at hand.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.groups import GroupStats, Labels, as_column, centered, factorize, require_finite
from awpo_ext.signals import as_signals, counted, decoupled_step, mixed_reward, normalized

BELOW_ONE = 1.0 - 2.0**-24  # the largest float32 below 1: a huge std must not round the gate's ratio up to 1


class Closed(IntEnum):
    """Why a group's gate is 0 (docs/method.md, "closed groups"). OPEN: it is not closed."""

    OPEN = 0
    TOO_FEW_VALID = 1  # fewer than two rollouts with the judges' scores, or no signal with a weight
    NO_VARIANCE = 2  # neither reward tells the rollouts apart
    SATURATED = 3  # every rollout already has the highest outcome reward
    BELOW_NOISE_FLOOR = 4  # the mixed rewards differ by less than the judge's noise


@dataclass(frozen=True)
class AwpoResult:
    """What AWPO computed. `(N,)` fields are per rollout, in the order given; `(M,)` per group, by first appearance."""

    advantages: torch.Tensor  # (N,) what the policy loss uses
    outcome_advantages: torch.Tensor  # (N,)
    mixed_advantages: torch.Tensor  # (N,) where w = 1; equal to outcome_advantages where the rollout is unscored
    gate: torch.Tensor  # (M,) in [0, 1)
    difficulty: torch.Tensor  # (M,)
    closed: torch.Tensor  # (M,) codes of `Closed`
    success_rate: torch.Tensor  # (M,) p in [0, 1]
    outcome_stats: GroupStats
    mixed_stats: GroupStats
    group_index: torch.Tensor  # (N,)


def awpo_advantages(
    outcome: Any,
    reasoning: Any,
    group: Labels,
    config: AwpoConfig,
    valid: Any = None,
    outcome_valid: Any = None,
    kl_penalty: Any = None,
    tokens: Any = None,
) -> AwpoResult:
    """AWPO's advantages of a batch of rollouts (reconstruction; eq. 3-8 of docs/method.md).

    Args:
        outcome: `(N,)` verifiable reward, in [config.reward_min, config.reward_max]; outside it p is clipped.
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

    Returns:
        An `AwpoResult` in the floating type of `outcome` (float64 if it is not a floating tensor); computed in float64.

    Raises:
        ValueError: shapes that do not match, a valid outcome or judge score that is NaN or infinite.

    Edges: a group of one has advantage 0. A rollout without a judge score takes no part in the mixed statistics and
    its blended advantage is its outcome advantage, so a failed judge never moves a sibling's outcome advantage; with
    no judge score anywhere the result is outcome-only GRPO times the difficulty weight. N = 0 gives empty tensors.
    """
    c = _checked_columns(outcome, reasoning, config, valid, outcome_valid, kl_penalty)
    n = len(c.task)
    if len(group) != n:
        raise ValueError(f"group has {len(group)} labels; expected {n}, one a rollout")
    index, groups = factorize(group)
    out_dev, out_stats = centered(c.reward, index, groups, c.judged)
    outcome_adv = normalized(out_dev, out_stats, index, config)

    counts = counted(c.scored, index, groups, config)
    mixes = counts.any(dim=1)
    mix_dev, mix_stats = centered(mixed_reward(c.reward, c.scores, counts, config), index, groups, mixes)
    if config.integration == "decoupled":
        mixed_adv = outcome_adv + decoupled_step(c.scores, c.scored, index, groups, config)
    else:  # unscored, or alone with a score: its own outcome advantage
        compared = mixes & (mix_stats.count >= 2)[index]
        mixed_adv = torch.where(compared, normalized(mix_dev, mix_stats, index, config), outcome_adv)

    p = success_rate(out_stats if kl_penalty is None else centered(c.task, index, groups, c.judged)[1], config)
    closed = closed_groups(torch.where(c.judged, c.task, torch.inf), index, out_stats, mix_stats, config)
    w = gate(out_stats, mix_stats, closed, config)
    d = difficulty(p, config)
    advantages = blend(outcome_adv, mixed_adv, w[index], d[index], config)
    if config.whiten:
        compared = c.judged & (out_stats.count >= 2)[index]
        weight = torch.ones(n) if tokens is None else as_column("tokens", tokens, n)
        advantages = whitened(advantages, torch.where(compared, weight, 0.0), compared)

    dtype = outcome.dtype if isinstance(outcome, torch.Tensor) and outcome.is_floating_point() else torch.float64
    return AwpoResult(
        advantages=advantages.to(dtype),
        outcome_advantages=outcome_adv.to(dtype),
        mixed_advantages=mixed_adv.to(dtype),
        gate=w.to(dtype),
        difficulty=d.to(dtype),
        closed=closed,
        success_rate=p.to(dtype),
        outcome_stats=out_stats,
        mixed_stats=mix_stats,
        group_index=index,
    )


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
    require_finite("reasoning (where valid)", scores, scored)
    reward = task
    if kl_penalty is not None:
        penalty = as_column("kl_penalty", kl_penalty, n)
        require_finite("kl_penalty", penalty)
        reward = task - penalty
    return _Columns(task=task, judged=judged, reward=reward, scores=scores, scored=scored & judged.unsqueeze(1))


def success_rate(task_stats: GroupStats, config: AwpoConfig) -> torch.Tensor:
    """p of eq. 7: the group's mean task reward within the reward's range, `(M,)` in [0, 1]."""
    return ((task_stats.mean - config.reward_min) / (config.reward_max - config.reward_min)).clamp(0.0, 1.0)


def closed_groups(
    task: torch.Tensor, index: torch.Tensor, out_stats: GroupStats, mix_stats: GroupStats, config: AwpoConfig
) -> torch.Tensor:
    """Codes of `Closed`, `(M,)` int64 (R). The first reason in the order of the enum is the one given.

    Args:
        task: `(N,)` task reward, infinite where it was not judged.
    """
    code = torch.full_like(out_stats.count, Closed.OPEN)
    lowest = torch.full_like(out_stats.mean, torch.inf).scatter_reduce_(0, index, task, "amin")
    saturated = lowest >= config.reward_max
    code[mix_stats.std < config.noise_floor] = Closed.BELOW_NOISE_FLOOR
    if config.saturated == "outcome_only":
        code[saturated] = Closed.SATURATED
    code[(out_stats.std == 0) & (mix_stats.std == 0)] = Closed.NO_VARIANCE
    code[mix_stats.count < 2] = Closed.TOO_FEW_VALID
    return code


def gate(out_stats: GroupStats, mix_stats: GroupStats, closed: torch.Tensor, config: AwpoConfig) -> torch.Tensor:
    """Eq. 5: the weight w of the mixed advantage, `(M,)`.

    `ratio` (S): std_mix / (std_out + std_mix + epsilon), in [0, 1). `threshold` (R): 1 where the outcome's std is below
    `gate_threshold` of the reward's range, else 0. `always`: 1. `none`: 0. Closed groups get 0 under every rule (R).
    """
    if config.gate == "none":
        w = torch.zeros_like(out_stats.std)
    elif config.gate == "always":
        w = torch.ones_like(out_stats.std)
    elif config.gate == "threshold":
        relative = out_stats.std / (config.reward_max - config.reward_min)
        w = (relative < config.gate_threshold).to(out_stats.std.dtype)
    else:
        w = (mix_stats.std / (out_stats.std + mix_stats.std + config.epsilon)).clamp(max=BELOW_ONE)
    return torch.where(closed == Closed.OPEN, w, torch.zeros_like(w))


def difficulty(p: torch.Tensor, config: AwpoConfig) -> torch.Tensor:
    """Eq. 7: the weight d of a group by its success rate, `(M,)`, at least `difficulty_base`.

    `parabola` (S, with our base term): base + priority * 4p(1-p), largest at p = 1/2. `band` (R): base + priority where
    p is within [difficulty_low, difficulty_high]. `none`: 1.
    """
    if config.difficulty == "none":
        return torch.ones_like(p)
    if config.difficulty == "band":
        medium = ((p >= config.difficulty_low) & (p <= config.difficulty_high)).to(p.dtype)
    else:
        medium = 4.0 * p * (1.0 - p)
    return config.difficulty_base + config.difficulty_priority * medium


def blend(
    outcome_adv: torch.Tensor, mixed_adv: torch.Tensor, w: torch.Tensor, d: torch.Tensor, config: AwpoConfig
) -> torch.Tensor:
    """Eq. 6 and 8: `d * ((1 - w) A_out + w A_mix)`, all `(N,)`; with `difficulty_target: reasoning` (R) d weighs only
    what the judge adds, `A_out + d w (A_mix - A_out)`. Written as a step from A_out, so that equal advantages blend exactly.
    """
    step = w * (mixed_adv - outcome_adv)
    if config.difficulty_target == "reasoning":
        return outcome_adv + d * step
    return d * (outcome_adv + step)


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
