"""K reasoning signals a rollout: which scores count, the mixed reward, and GDPO's sum of normalised signals. Pure."""

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


def weights(config: AwpoConfig) -> list[float]:
    """Lambda of each signal, times the scale that puts a score on the outcome's range."""
    return [weight * config.reasoning_scale for weight in config.reasoning_weight]


def mixed_reward(outcome: torch.Tensor, scores: torch.Tensor, counts: torch.Tensor, config: AwpoConfig) -> torch.Tensor:
    """Eq. 3 (R): `R_mix = R_out + sum_k lambda_k * scale * s_k`, `(N,)`, over the scores that count."""
    counted_scores = torch.where(counts, scores, torch.zeros_like(scores))
    return outcome + sum(weight * counted_scores[:, k] for k, weight in enumerate(weights(config)))


def decoupled_step(
    scores: torch.Tensor, valid: torch.Tensor, index: torch.Tensor, groups: int, config: AwpoConfig
) -> torch.Tensor:
    """What GDPO (arXiv 2601.05242) adds to the outcome's advantage: `sum_k lambda_k A_k`, `(N,)`.

    Each signal is normalised by itself, over the rollouts that have a score of it; the others get 0 of it.
    """
    step = torch.zeros(len(index), dtype=torch.float64)
    for k, weight in enumerate(weights(config)):
        deviation, stats = centered(scores[:, k], index, groups, valid[:, k])
        step += weight * normalized(deviation, stats, index, config)
    return step


def normalized(deviation: torch.Tensor, stats: GroupStats, index: torch.Tensor, config: AwpoConfig) -> torch.Tensor:
    """Eq. 4 (R, GRPO form): group-relative advantage `(N,)`; 0 in groups of one, where there is nothing to compare.

    `baseline: leave_one_out` compares a reward with the mean of the others, `n / (n - 1)` times the deviation (RLOO).
    """
    if config.baseline == "leave_one_out":
        others = (stats.count - 1).clamp(min=1)
        deviation = deviation * (stats.count / others)[index]
    if config.norm_by_std:
        deviation = deviation / (stats.std + config.epsilon)[index]
    return deviation
