"""What the estimator takes: checked columns of a batch, and the range of each group's outcome. Pure."""

from dataclasses import dataclass
from typing import Any

import torch

from awpo_ext.components import Components, as_components
from awpo_ext.config import AwpoConfig
from awpo_ext.gating import OutcomeRange
from awpo_ext.groups import as_column, require_finite, require_ranges
from awpo_ext.signals import as_signals


@dataclass(frozen=True)
class Columns:
    """The checked inputs of a batch, float64 and bool; `(N,)`, scores and scored `(N, K)`."""

    task: torch.Tensor  # the verifiable reward, of several components their weighted sum
    judged: torch.Tensor  # has a task reward
    kl_penalty: torch.Tensor | None  # what is taken off it in the advantages
    scores: torch.Tensor
    scored: torch.Tensor  # has this score, and is judged
    ranges: torch.Tensor | None  # (N, 2) what the row allows; None where the configuration says it for all
    components: Components | None = None  # None where the outcome is one reward

    @property
    def reward(self) -> torch.Tensor:
        """The task reward less the KL penalty; `task` itself where there is none."""
        return self.task if self.kl_penalty is None else self.task - self.kl_penalty


def checked_columns(
    outcome: Any, reasoning: Any, config: AwpoConfig, valid: Any, outcome_valid: Any, kl_penalty: Any, ranges: Any
) -> Columns:
    """The arguments of `awpo_advantages` of these names. ValueError names what does not fit."""
    task, judged, rows, components = _outcome(outcome, outcome_valid, ranges, config)
    n = len(task)
    scores = as_signals(reasoning, n, config.signals, "reasoning")
    scored = torch.ones_like(scores, dtype=torch.bool)
    if valid is not None:
        scored = as_signals(valid, n, config.signals, "valid") != 0
    _require_scores(scores, scored, config)
    penalty = None if kl_penalty is None else _penalty(kl_penalty, n, config)
    return Columns(task, judged, penalty, scores, scored & judged.unsqueeze(1), rows, components)


def _outcome(
    outcome: Any, valid: Any, ranges: Any, config: AwpoConfig
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, Components | None]:
    """Task reward, which rollouts have one, the rows' ranges, and the components."""
    if config.components:
        parts = as_components(outcome, valid, ranges, config)
        return parts.total(config), parts.verified(config), parts.total_range(config), parts
    task = as_column("outcome", outcome)
    judged = torch.ones(len(task), dtype=torch.bool)
    if valid is not None:
        judged = as_column("outcome_valid", valid, len(task)) != 0
    require_finite("outcome (where valid)", task, judged)
    if ranges is None:
        return task, judged, None, None
    rows = torch.as_tensor(ranges, dtype=torch.float64, device="cpu").detach().reshape(len(task), 2)
    require_ranges(rows)
    return task, judged, rows, None


def _penalty(kl_penalty: Any, rollouts: int, config: AwpoConfig) -> torch.Tensor:
    penalty = as_column("kl_penalty", kl_penalty, rollouts)
    require_finite("kl_penalty", penalty)
    if bool((penalty != 0).any()):
        if config.norm_by_mean:
            raise ValueError(
                "norm_by_mean divides by a success rate, which a KL penalty would move; leave the penalty out"
            )
        if config.components and config.integration == "decoupled":
            raise ValueError(
                "integration=decoupled compares each of reward_components by itself, and a KL penalty belongs to none of "
                "them; leave the penalty out"
            )
    return penalty


def group_range(ranges: torch.Tensor | None, index: torch.Tensor, groups: int, config: AwpoConfig) -> OutcomeRange:
    """Each group's range, `(M,)`, of its rollouts' ranges `(N, 2)`; where a schedule moves them, the widest."""
    if ranges is None:
        everywhere = torch.ones(groups, dtype=torch.float64)
        return OutcomeRange(config.reward_min * everywhere, config.reward_max * everywhere)
    low, high = torch.full((2, groups), torch.inf, dtype=torch.float64)
    return OutcomeRange(
        low.scatter_reduce(0, index, ranges[:, 0], "amin"), (-high).scatter_reduce(0, index, ranges[:, 1], "amax")
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
