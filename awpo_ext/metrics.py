"""What a training step logs of AWPO, under `awpo/`, from the result and the inputs. Pure; names follow TRL where it has one."""

import torch

from awpo_ext.advantage import AwpoResult, Closed


def awpo_metrics(
    result: AwpoResult, outcome: torch.Tensor, reasoning: torch.Tensor, valid: torch.Tensor, radius: torch.Tensor
) -> dict[str, float]:
    """Flat floats for a logger.

    Args:
        result: of `awpo_advantages` on the same rollouts.
        outcome, reasoning: `(N,)`; reasoning is read where `valid` only.
        valid: `(N,)` bool.
        radius: of `clip_radius`, a scalar or `(M,)`.

    Returns:
        Flat keys; a statistic of nothing (no valid score, no group) is left out rather than logged as 0.
        `*/signal_power` is V = mean(A^2), which bounds what a signal can gain and cost (docs/method.md).
    """
    metrics = {
        "awpo/reasoning/valid_fraction": _mean(valid.double()),
        "awpo/clip_radius": _mean(radius.double().reshape(-1)),
        "awpo/gate/mean": _mean(result.gate),
        "awpo/gate/max": _max(result.gate),
        "awpo/gate/min": _min(result.gate),
        "awpo/difficulty/mean": _mean(result.difficulty),
        "awpo/success_rate/mean": _mean(result.success_rate),
        "awpo/frac_reward_zero_std": _mean((result.outcome_stats.std == 0).double()),
        "awpo/outcome/mean": _mean(outcome),
        "awpo/outcome/std": _std(outcome),
        "awpo/reasoning/mean": _mean(reasoning[valid]),
        "awpo/reasoning/std": _std(reasoning[valid]),
        "awpo/outcome/signal_power": _mean(result.outcome_advantages.square()),
        "awpo/mixed/signal_power": _mean(result.mixed_advantages.square()),
        "awpo/blended/signal_power": _mean(result.advantages.square()),
        "awpo/reasoning/outcome_correlation": _correlation(outcome[valid], reasoning[valid]),
    }
    for reason in Closed:
        if reason is not Closed.OPEN:
            metrics[f"awpo/closed/{reason.name.lower()}"] = _mean((result.closed == reason).double())
    return {key: value for key, value in metrics.items() if value is not None}


def _mean(values: torch.Tensor) -> float | None:
    return float(values.double().mean()) if len(values) else None


def _std(values: torch.Tensor) -> float | None:
    return float(values.double().std()) if len(values) > 1 else None


def _max(values: torch.Tensor) -> float | None:
    return float(values.max()) if len(values) else None


def _min(values: torch.Tensor) -> float | None:
    return float(values.min()) if len(values) else None


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float | None:
    """Pearson's r; None where either does not vary."""
    if len(a) < 2 or bool((a == a[0]).all()) or bool((b == b[0]).all()):
        return None
    return float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1])
