"""AWPO's trust region: the clip radius that tightens as the batch leans on the judge, and the clipped objective. Pure."""

from collections.abc import Callable
from typing import Any

import torch

from awpo_ext.config import AwpoConfig

Aggregate = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def clip_radius(gate: torch.Tensor, config: AwpoConfig, counted: torch.Tensor | None = None) -> torch.Tensor:
    """Eq. 9: the clip radius (S that it shrinks with the gate, R the forms), always within [clip_min, clip_max].

    Args:
        gate: `(M,)` w of each group, in [0, 1].
        config: `clip_schedule` linear: clip_max - (clip_max - clip_min) * w; inverse: clip_max / (1 + clip_eta * w), not
            below clip_min; fixed: clip_max.
        counted: `(M,)` bool, the groups whose gates are averaged: `AwpoResult.verified`, since a prompt that could not be
            verified trains nothing. All by default.

    Returns:
        With `clip_scope: batch` a scalar tensor from the mean gate over the counted groups (none: clip_max), with `group`
        `(M,)`.
    """
    w = gate.double()
    if config.clip_scope == "batch":
        w = w if counted is None else w[counted]
        w = w.mean() if len(w) else torch.zeros((), dtype=torch.float64)
    if config.clip_schedule == "fixed":
        radius = torch.full_like(w, config.clip_max)
    elif config.clip_schedule == "inverse":
        radius = config.clip_max / (1.0 + config.clip_eta * w)
    else:
        radius = config.clip_max - (config.clip_max - config.clip_min) * w
    return radius.clamp(config.clip_min, config.clip_max)


def token_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the response tokens of the batch; 0 where there is none. Values outside the mask are not read."""
    mask = mask.bool()
    return torch.where(mask, values, torch.zeros_like(values)).sum() / mask.sum().clamp(min=1)


def awpo_policy_loss(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    radius: torch.Tensor | float,
    clip_ratio_c: float = 3.0,
    clip_higher: float = 1.0,
    rollout_is_weights: torch.Tensor | None = None,
    aggregate: Aggregate = token_mean,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Eq. 10 (V: PPO-clip): the clipped objective with a radius that is one number or one per sample.

    Args:
        old_log_prob, log_prob, advantages: `(B, T)`.
        response_mask: `(B, T)` bool or 0/1; tokens outside it count nowhere.
        radius: a number or scalar tensor, or `(B,)`, each in (0, 1).
        clip_ratio_c: dual clip (arXiv 1912.09729): a negative advantage's loss is capped at this ratio; above 1.
        clip_higher: the ratio may rise by this times the radius, where it may fall by the radius; at least 1. DAPO's
            clip-higher (arXiv 2503.14476) brought to a radius that moves (R): both sides tighten together.
        rollout_is_weights: `(B, T)` importance weights of rollout correction, multiplied in last.
        aggregate: `(loss (B, T), mask) -> scalar`; the mean over tokens by default.

    Returns:
        The scalar loss, and metrics: verl's (`actor/pg_clipfrac`, `actor/ppo_kl`, `actor/pg_clipfrac_lower`), the radius
        that was applied, `actor/awpo/applied_clip_radius` (mean over samples), and the share of all tokens that the
        radius clips, by the advantage's sign: `actor/awpo/clip_ratio/low_mean` (negative) and `high_mean` (positive).

    Raises:
        ValueError: a radius outside (0, 1) or of another shape, clip_ratio_c not above 1, or clip_higher below 1.

    At a fixed radius it equals verl's `vanilla` loss with clip_ratio_low = radius and clip_ratio_high = clip_higher * radius
    (tested). The gradient is zero exactly where the clip binds.
    """
    if clip_ratio_c <= 1.0:
        raise ValueError(f"clip_ratio_c={clip_ratio_c} is out of range; allowed: above 1.0")
    if clip_higher < 1.0:
        raise ValueError(f"clip_higher={clip_higher} is out of range; allowed: 1.0 and above")
    bound = _as_bound(radius, advantages)

    # verl clamps here too: a ratio of e^20 already says everything, and beyond it exp overflows
    log_ratio = (log_prob - old_log_prob).clamp(-20.0, 20.0)
    ratio = log_ratio.exp()

    # max(-A r, -A clip(r)) bounds r from above where A >= 0 and from below where A < 0, and there the dual clip bounds
    # it from above: one clamp says all of it, in less memory than the maximum of two losses.
    negative = advantages < 0
    lowest = torch.where(negative, 1.0 - bound, 0.0)
    highest = torch.where(negative, clip_ratio_c, 1.0 + clip_higher * bound)
    token_loss = -advantages * ratio.clamp(lowest, highest)
    if rollout_is_weights is not None:
        token_loss = token_loss * rollout_is_weights

    with torch.no_grad():
        mask = response_mask.bool()
        tokens = mask.sum().clamp(min=1)
        below, above = (ratio < lowest) & mask, (ratio > highest) & mask  # below: A < 0 by construction
        capped = (above & negative).sum() / tokens
        low, high = below.sum() / tokens, (above & (advantages > 0)).sum() / tokens
        metrics = {
            "actor/pg_clipfrac": (low + high).item(),
            "actor/ppo_kl": token_mean(-log_ratio, mask).item(),
            "actor/pg_clipfrac_lower": capped.item(),
            "actor/awpo/clip_ratio/low_mean": low.item(),
            "actor/awpo/clip_ratio/high_mean": high.item(),
            "actor/awpo/applied_clip_radius": bound.double().mean().item(),
        }
    return aggregate(token_loss, response_mask), metrics


def _as_bound(radius: torch.Tensor | float, advantages: torch.Tensor) -> torch.Tensor:
    """`radius` as a tensor that broadcasts over `(B, T)`."""
    bound = torch.as_tensor(radius, dtype=advantages.dtype, device=advantages.device)
    if bound.ndim == 1 and len(bound) == len(advantages):
        bound = bound.unsqueeze(1)
    elif bound.ndim != 0:
        raise ValueError(
            f"radius has shape {tuple(bound.shape)}; expected a scalar or ({len(advantages)},), one a sample"
        )
    if not bool(((bound > 0) & (bound < 1)).all()):
        raise ValueError(f"radius has values from {float(bound.min())} to {float(bound.max())}; allowed: (0, 1)")
    return bound
