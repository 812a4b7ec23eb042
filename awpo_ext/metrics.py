"""What a training step logs of AWPO, under `awpo/`, from the result and the inputs. Pure; names follow TRL where it has one."""

import math
import re

import torch

from awpo_ext.advantage import AwpoResult, Closed
from awpo_ext.config import AwpoConfig
from awpo_ext.groups import centered
from awpo_ext.signals import as_signals, normalized

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
# verl reduces the metrics of several mini-batches by what a name holds: these words give the largest, the smallest, the
# sum, any other name the mean weighted by rollouts. Only awpo/gate/max and awpo/gate/min are meant so.
REDUCED_BY_NAME = re.compile(r"(?<=m)(?=ax|in)|(?<=s)(?=um)|(?<=t)(?=otal)", re.IGNORECASE)


def metric_name(key: str) -> str:
    """A column's name as part of a metric's name: `_` parts the words by which verl would take its sum or maximum.

    >>> metric_name("summary"), metric_name("determinism"), metric_name("relevance")
    ('s_ummary', 'determ_inism', 'relevance')
    """
    return REDUCED_BY_NAME.sub("_", key)


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
        outcome: `(N,)`; with outcome components `result.components.total`.
        reasoning, valid: `(N,)` or `(N, K)`; a score is read where `valid` only.
        radius: of `clip_radius`, a scalar or `(M,)`.
        config: of the result.
        outcome_valid: `(N,)` bool; an outcome is read where valid only, and so are the scores of its rollout.

    Returns:
        Flat keys; a statistic of nothing (no valid score, no group) is left out rather than logged as 0. With K > 1
        signals, `awpo/reasoning/*` becomes `awpo/reasoning/<metric_name of its reasoning_key>/*`. Outcome components are logged
        under `awpo/outcome/<metric_name of the component>/*` beside their sum. `*/signal_power` is
        V = mean(A^2) of the component's own group-relative advantage, which bounds what a signal can gain and cost
        (docs/method.md). Rollouts that were not verified count in `awpo/outcome/valid_fraction` only, and so do groups
        of nothing else.
    """
    counts, verified = outcome_valid, result.verified
    signals = [metric_name(key) for key in config.reasoning_key]
    w = result.gate.double()[verified]
    metrics = {
        "awpo/clip_radius": _mean(radius.double()[verified] if radius.ndim else radius.double().reshape(1)),
        "awpo/gate/mean": _mean(w),
        "awpo/gate/max": w.max().item() if len(w) else None,
        "awpo/gate/min": w.min().item() if len(w) else None,
        "awpo/difficulty/mean": _mean(result.difficulty[verified]),
        "awpo/success_rate/mean": _mean(result.success_rate[verified]),
        "awpo/frac_reward_zero_std": _mean((result.task_stats.std == 0).double()[verified]),
        "awpo/outcome/valid_fraction": _mean(counts.double()),
        "awpo/outcome/mean": _mean(outcome[counts]),
        "awpo/outcome/std": _std(outcome[counts]),
        "awpo/outcome/signal_power": _mean(result.outcome_advantages[counts].square()),
        "awpo/mixed/signal_power": _mean(result.mixed_advantages[counts].square()),
        "awpo/blended/signal_power": _mean(result.advantages[counts].square()),
    }
    if config.weighting != "fixed":
        names = (*(map(metric_name, config.components) if config.components else ("outcome",)), *signals)
        metrics |= {f"awpo/weight/{name}": share for name, share in zip(names, result.shares, strict=True)}
    state = result.reliability
    metrics |= {"awpo/reliability": state.mean, "awpo/reliability/trust": state.trust}
    metrics["awpo/reliability/low"], metrics["awpo/reliability/high"] = state.interval
    metrics.update({f"awpo/leverage/{name}": value for name, value in leverage(result).items()})
    if len(w):
        for q, value in zip(QUANTILES, w.quantile(w.new_tensor(QUANTILES)).tolist(), strict=True):
            metrics[f"awpo/gate/p{100 * q:.0f}"] = value
    for reason in Closed:
        if reason is not Closed.OPEN:
            metrics[f"awpo/closed/{reason.name.lower()}"] = _mean((result.closed == reason).double()[verified])

    scores = as_signals(reasoning, len(outcome), config.signals, "reasoning")[counts]
    scored = as_signals(valid, len(outcome), config.signals, "valid")[counts] != 0
    index = result.group_index[counts]
    for k, key in enumerate(signals):
        prefix = "awpo/reasoning" if config.signals == 1 else f"awpo/reasoning/{key}"
        score, valid_score = scores[:, k], scored[:, k]
        metrics.update(
            _reward_metrics(prefix, index, len(verified), score, valid_score, torch.zeros_like(score), config)
        )
        metrics[f"{prefix}/valid_fraction"] = _mean(valid_score.double())
        metrics[f"{prefix}/outcome_correlation"] = _correlation(outcome[counts][valid_score], score[valid_score])
    if parts := result.components:
        for c, key in enumerate(map(metric_name, config.components)):
            prefix, low = f"awpo/outcome/{key}", parts.ranges[counts, c, 0]
            part = parts.values[counts, c], parts.valid[counts, c]
            metrics.update(_reward_metrics(prefix, index, len(verified), *part, low, config))
            metrics[f"{prefix}/valid_fraction"] = _mean(parts.valid[:, c].double())
    return {key: value for key, value in metrics.items() if value is not None}


def leverage(result: AwpoResult) -> dict[str, float | None]:
    """The judge's share of the update: the root mean square of what it adds, over that of the advantages (ours).

    Returns:
        `mean`: over all groups. `informative`: within the groups whose outcomes differ, the share there. `equal`: what the
        judge adds in the groups whose outcomes are all equal, over the advantages of all groups: the part of the update
        that no outcome checks. 0 where the judge has no say, about 1 where it alone decides, above 1 where it works
        against the outcome. None where the advantages are all 0. With KL in the reward, outcomes are compared without it.
    """
    judge, total = result.judge_part.double(), (result.outcome_part + result.judge_part).double()
    differ = (result.task_stats.std > 0)[result.group_index]
    return {
        "mean": _share(judge, total),
        "informative": _share(judge[differ], total[differ]),
        "equal": _share(judge[~differ], total),
    }


def _share(part: torch.Tensor, total: torch.Tensor) -> float | None:
    power = float(total.square().sum())
    return math.sqrt(float(part.square().sum()) / power) if power > 0 else None


def _reward_metrics(
    prefix: str,
    index: torch.Tensor,
    groups: int,
    reward: torch.Tensor,
    valid: torch.Tensor,
    low: torch.Tensor,
    config: AwpoConfig,
) -> dict[str, float | None]:
    """Of one signal or component over the verified rollouts, `(N,)` each; `low` is the lowest that a rollout can get."""
    deviation, stats = centered(reward - low, index, groups, valid)
    compared = stats.count >= 2
    advantage = normalized(deviation, stats, index, config)
    return {
        f"{prefix}/mean": _mean(reward[valid]),
        f"{prefix}/std": _std(reward[valid]),
        f"{prefix}/signal_power": _mean(advantage[valid].square()),
        f"{prefix}/frac_reward_zero_std": _mean((stats.std == 0)[compared].double()),
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
