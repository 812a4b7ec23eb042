"""What a training step logs of AWPO, under `awpo/`, from the result and the inputs. Pure; names follow TRL where it has one."""

import math

import torch

from awpo_ext.advantage import AwpoResult, Closed
from awpo_ext.config import AwpoConfig
from awpo_ext.groups import centered
from awpo_ext.signals import as_signals, normalized

# verl aggregates a metric by what its name contains ("max", "min", "sum", else the mean weighted by rollouts)
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def awpo_metrics(
    result: AwpoResult,
    outcome: torch.Tensor,
    reasoning: torch.Tensor,
    valid: torch.Tensor,
    radius: torch.Tensor,
    config: AwpoConfig,
    outcome_valid: torch.Tensor,
) -> dict[str, float]:
    """Flat floats for a logger.

    Args:
        result: of `awpo_advantages` on the same rollouts.
        outcome: `(N,)`.
        reasoning, valid: `(N,)` or `(N, K)`; a score is read where `valid` only.
        radius: of `clip_radius`, a scalar or `(M,)`.
        config: of the result.
        outcome_valid: `(N,)` bool; an outcome is read where valid only, and so are the scores of its rollout.

    Returns:
        Flat keys; a statistic of nothing (no valid score, no group) is left out rather than logged as 0. With K > 1
        signals, `awpo/reasoning/*` becomes `awpo/reasoning/<reasoning_key>/*`. `*/signal_power` is V = mean(A^2) of the
        component's own group-relative advantage, which bounds what a signal can gain and cost (docs/method.md).
    """
    w = result.gate.double()
    metrics = {
        "awpo/clip_radius": _mean(radius.double().reshape(-1)),
        "awpo/gate/mean": _mean(w),
        "awpo/gate/max": w.max().item() if len(w) else None,
        "awpo/gate/min": w.min().item() if len(w) else None,
        "awpo/difficulty/mean": _mean(result.difficulty),
        "awpo/success_rate/mean": _mean(result.success_rate),
        "awpo/frac_reward_zero_std": _mean((result.outcome_stats.std == 0).double()),
        "awpo/outcome/valid_fraction": _mean(outcome_valid.double()),
        "awpo/outcome/mean": _mean(outcome[outcome_valid]),
        "awpo/outcome/std": _std(outcome[outcome_valid]),
        "awpo/outcome/signal_power": _mean(result.outcome_advantages.square()),
        "awpo/mixed/signal_power": _mean(result.mixed_advantages.square()),
        "awpo/blended/signal_power": _mean(result.advantages.square()),
    }
    if len(w):
        for q, value in zip(QUANTILES, w.quantile(w.new_tensor(QUANTILES)).tolist(), strict=True):
            metrics[f"awpo/gate/p{100 * q:.0f}"] = value
    for reason in Closed:
        if reason is not Closed.OPEN:
            metrics[f"awpo/closed/{reason.name.lower()}"] = _mean((result.closed == reason).double())

    scores = as_signals(reasoning, len(outcome), config.signals, "reasoning")
    scored = (as_signals(valid, len(outcome), config.signals, "valid") != 0) & outcome_valid.unsqueeze(1)
    for k, key in enumerate(config.reasoning_key):
        prefix = "awpo/reasoning" if config.signals == 1 else f"awpo/reasoning/{key}"
        signal = _signal_metrics(result, outcome, scores[:, k], scored[:, k], config)
        metrics.update({f"{prefix}/{name}": value for name, value in signal.items()})
    return {key: value for key, value in metrics.items() if value is not None}


def _signal_metrics(
    result: AwpoResult, outcome: torch.Tensor, score: torch.Tensor, valid: torch.Tensor, config: AwpoConfig
) -> dict[str, float | None]:
    """Of one reasoning signal, `(N,)` each."""
    deviation, stats = centered(score, result.group_index, len(result.gate), valid)
    compared = stats.count >= 2
    advantage = normalized(deviation, stats, result.group_index, config)
    return {
        "valid_fraction": _mean(valid.double()),
        "mean": _mean(score[valid]),
        "std": _std(score[valid]),
        "signal_power": _mean(advantage[valid].square()),
        "frac_reward_zero_std": _mean((stats.std == 0)[compared].double()),
        "outcome_correlation": _correlation(outcome[valid], score[valid]),
    }


def _mean(values: torch.Tensor) -> float | None:
    return float(values.double().mean()) if len(values) else None


def _std(values: torch.Tensor) -> float | None:
    return float(values.double().std()) if len(values) > 1 else None


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float | None:
    """Pearson's r; None where either does not vary."""
    if len(a) < 2 or bool((a == a[0]).all()) or bool((b == b[0]).all()):
        return None
    r = float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1])
    return r if math.isfinite(r) else None  # a spread so small that its square is 0
