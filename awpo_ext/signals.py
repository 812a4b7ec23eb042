"""K reasoning signals a rollout: which scores count, and the judges' side of the blend under each `integration`. Pure."""

from dataclasses import dataclass

import torch

from awpo_ext.config import AwpoConfig
from awpo_ext.groups import GroupStats, centered


def as_signals(values: torch.Tensor, rollouts: int, signals: int, name: str) -> torch.Tensor:
    """`(N,)` or `(N, K)` values as `(N, K)` float64 on CPU.

    Raises:
        ValueError: another shape, or another K than the configuration names; the message says which.
    """
    column = torch.as_tensor(values, dtype=torch.float64, device="cpu").detach()
    if column.ndim == 1 and signals == 1:
        column = column.unsqueeze(1)
    if column.shape != (rollouts, signals):
        expected = f"({rollouts},)" if signals == 1 else f"({rollouts}, {signals}), one column a reasoning_key"
        raise ValueError(f"{name} has shape {tuple(column.shape)}; expected {expected}")
    return column


def counted(valid: torch.Tensor, index: torch.Tensor, groups: int, config: AwpoConfig) -> torch.Tensor:
    """Which scores take part in the mix, `(N, K)` bool: those of rollouts that are comparable with their group.

    A signal counts in a group where its weight is above 0 and at least two rollouts have a score of it: with fewer it
    compares nothing. A rollout takes part where it has a score of every signal that counts in its group, since a sum
    over other signals than its siblings' would be a difference that no judge saw.

    Args:
        valid: `(N, K)` bool.
    """
    scores = torch.zeros(groups, config.signals, dtype=torch.int64).index_add_(0, index, valid.long())
    counts = ((scores >= 2) & (torch.tensor(config.reasoning_weight) > 0))[index]
    complete = (valid | ~counts).all(dim=1, keepdim=True)
    return counts & complete


def shares(
    above: torch.Tensor, judged: torch.Tensor, scores: torch.Tensor, scored: torch.Tensor, config: AwpoConfig
) -> list[float]:
    """What `weighting` multiplies each reward by, those of the outcome first (one, or C components), then the K signals.

    `variation` (SAW, arXiv 2606.07705, its authors' code): n times the signal's share of the sum of all coefficients of
    variation (std over mean, on rewards less their lowest) over the batch; n signals have a weight and two rewards at
    least. 1 each where none of them varies, and where `fixed`.

    Args:
        above: `(N, 1)` task reward, or `(N, C)` its components, less the lowest that the row allows, read where `judged`.
        scores, scored: `(N, K)`.
    """
    factors = [1.0] * (above.shape[1] + config.signals)
    if config.weighting == "fixed":
        return factors
    columns = [*above[judged].unbind(dim=1), *(scores[scored[:, k], k] for k in range(config.signals))]
    weights = (*(config.reward_components.values() or (1.0,)), *config.reasoning_weight)
    heard = [k for k, weight in enumerate(weights) if weight != 0 and len(columns[k]) > 1]
    variation = {k: float(columns[k].std() / (columns[k].mean().abs() + 1e-8)) for k in heard}
    total = sum(variation.values())
    if total > 0:
        for k in heard:
            factors[k] = len(heard) * variation[k] / (total + 1e-8)
    return factors


def weights(config: AwpoConfig, factors: list[float]) -> list[float]:
    """Lambda of each signal, times the scale that puts a score on the outcome's range, times its share."""
    return [
        weight * config.reasoning_scale * factor
        for weight, factor in zip(config.reasoning_weight, factors[1:], strict=True)
    ]


def reasoning_reward(scores: torch.Tensor, counts: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """What the judges add in eq. 3 (R): `scale * sum_k lambda_k * s_k`, `(N,)`, over the scores that count."""
    counted_scores = torch.where(counts, scores, torch.zeros_like(scores))
    start = torch.zeros_like(counted_scores[:, 0])
    return sum((weight * counted_scores[:, k] for k, weight in enumerate(weights)), start)


@dataclass(frozen=True)
class JudgeSide:
    """Where the blend leads at w = 1, and what its groups are compared by."""

    advantages: torch.Tensor  # (N,) A at w = 1; the outcome's where the rollout or its group has no usable score
    member: torch.Tensor  # (N,) bool, has a score of every signal that counts in its group
    deviation: torch.Tensor  # (N,) reasoning reward less its mean over the group's members
    mixed: GroupStats  # of the outcome reward plus the reasoning reward
    reasoning: GroupStats  # of the reasoning reward alone
    count: torch.Tensor  # (M,) rollouts that the judges compare
    spread: torch.Tensor  # (M,) the std that `noise_floor` is held against, in units of the mixed reward
    adds_nothing: torch.Tensor  # (M,) bool, no difference that the judges see is left: the blend would only lose


def judge_side(
    reward: torch.Tensor,
    outcome_adv: torch.Tensor,
    out_stats: GroupStats,
    scores: torch.Tensor,
    scored: torch.Tensor,
    index: torch.Tensor,
    low: torch.Tensor,
    factors: list[float],
    config: AwpoConfig,
) -> JudgeSide:
    """The judges' side of the blend under the configured `integration`.

    `mix` (R): the advantage of outcome plus reasoning reward. `reasoning` (R, after third-party summaries that speak of
    A_reasoning in the blend): the advantage of the reasoning reward alone, so that w is the judge's real share.
    `decoupled`: GDPO's sum of separately normalised signals.

    Args:
        reward: `(N,)` outcome reward, less any KL penalty.
        outcome_adv: `(N,)` its group-relative advantage.
        scores, scored: `(N, K)`, a score is read where `scored` only.
        low: `(M,)` the lowest outcome that the group's row allows.
        factors: of `shares`.
    """
    groups = len(out_stats.count)
    counts = counted(scored, index, groups, config)
    member = counts.any(dim=1)
    weighted = weights(config, factors)
    judged = reasoning_reward(scores, counts, weighted)
    rea_dev, reasoning = centered(judged, index, groups, member)
    mix_dev, mixed = centered(factors[0] * reward + judged, index, groups, member)
    shared = (member, rea_dev, mixed, reasoning)
    if config.integration == "decoupled":
        step, count, spread = decoupled_step(scores, scored, index, groups, weighted, config)
        nothing = (out_stats.std == 0) & (spread == 0)
        return JudgeSide(factors[0] * outcome_adv + step, *shared, count, spread, nothing)
    compared = member & (mixed.count >= 2)[index]
    if config.integration == "reasoning":
        advantages = torch.where(compared, normalized(rea_dev, reasoning, index, config), outcome_adv)
        return JudgeSide(advantages, *shared, reasoning.count, reasoning.std, reasoning.std == 0)
    advantages = torch.where(compared, normalized(mix_dev, mixed, index, config, factors[0] * low), outcome_adv)
    nothing = (out_stats.std == 0) & (mixed.std == 0)
    return JudgeSide(advantages, *shared, mixed.count, mixed.std, nothing)


def decoupled_step(
    scores: torch.Tensor,
    scored: torch.Tensor,
    index: torch.Tensor,
    groups: int,
    weights: list[float],
    config: AwpoConfig,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What GDPO (arXiv 2601.05242) adds to the outcome's advantage: `scale * sum_k lambda_k A_k`, `(N,)`.

    Each signal is normalised by itself, over the rollouts that have a score of it; the others get 0 of it. A signal
    whose std times lambda and scale is below `noise_floor` adds nothing to its group (R). With the step, per group
    `(M,)`: the most scores and the largest such std that any signal with a weight has.
    """
    step = torch.zeros(len(index), dtype=torch.float64)
    count, spread = torch.zeros(groups, dtype=torch.int64), torch.zeros(groups, dtype=torch.float64)
    for k, weight in enumerate(weights):
        deviation, stats = centered(scores[:, k], index, groups, scored[:, k])
        heard = (weight * stats.std >= config.noise_floor)[index]
        step += torch.where(heard, weight * normalized(deviation, stats, index, config), 0.0)
        if weight > 0:
            count, spread = torch.maximum(count, stats.count), torch.maximum(spread, weight * stats.std)
    return step, count, spread


def normalized(
    deviation: torch.Tensor,
    stats: GroupStats,
    index: torch.Tensor,
    config: AwpoConfig,
    low: torch.Tensor | float = 0.0,
) -> torch.Tensor:
    """Eq. 4 (R, GRPO form): group-relative advantage `(N,)`; 0 in groups of one, where there is nothing to compare.

    `baseline: leave_one_out` compares a reward with the mean of the others, `n / (n - 1)` times the deviation (RLOO).
    `norm_by_mean` (MaxRL, arXiv 2602.02710) divides by the group's mean above `low`, its lowest reward, `(M,)`: the rarer a
    success, the more it weighs, at most `n - 1`; 0 where none has more than the lowest.
    """
    if config.baseline == "leave_one_out":
        others = (stats.count - 1).clamp(min=1)
        deviation = deviation * (stats.count / others)[index]
    if config.norm_by_std:
        deviation = deviation / (stats.std + config.epsilon)[index]
    if config.norm_by_mean:
        deviation = deviation / ((stats.mean - low).clamp(min=0.0) + config.epsilon)[index]
    return deviation
