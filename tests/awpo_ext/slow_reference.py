"""docs/method.md written as plainly as possible, every switch of it: what the tensors must equal. Loops over rollouts."""

from dataclasses import dataclass
from math import exp, sqrt
from statistics import correlation, fmean, stdev
from types import SimpleNamespace

from awpo_ext.config import AwpoConfig


@dataclass
class SlowResult:
    """By rollout: advantages, the two they are blended from, and the judge's part before whitening. By group, in order of
    appearance: gate and weight. At last the trust that the batch leaves in the judge."""

    advantages: list[float]
    outcome_advantages: list[float]
    mixed_advantages: list[float]
    judge_part: list[float]
    gate: list[float]
    difficulty: list[float]
    mean: float = 0.0
    variance: float = 1.0


def slow_awpo(batch, config: AwpoConfig = AwpoConfig(), mean=0.0, variance=1.0) -> SlowResult:
    n = len(batch.group)
    result = SlowResult([0.0] * n, [0.0] * n, [0.0] * n, [0.0] * n, [], [])
    parts, batch = _components(batch, config)
    groups, factors = [], _factors(batch, parts, config)
    for label in dict.fromkeys(batch.group):
        members = [i for i, g in enumerate(batch.group) if g == label and batch.outcome_valid[i]]
        groups.append(_group(batch, parts, members, config, factors, result))
    if config.gate == "reliability":
        _trusted_gates(groups, max(0.0, mean - 1.645**2 * variance / mean) if mean > 0 else 0.0, result)
    for group in groups:
        result.gate.append(group.w)
        for i in group.members:
            result.judge_part[i] = group.w * group.step[i]
            result.advantages[i] = group.part[i] + group.w * group.step[i]
    result.mean, result.variance = _learn(groups, mean, variance, config, result)
    if config.whiten:
        result.advantages = _whitened(batch, result.advantages)
    return result


def _components(batch, config):
    """(weight, lowest, values) of each outcome component, and the batch with their weighted sum as its outcome."""
    if not config.components:
        return [], batch
    weights = list(config.reward_components.values())
    lowest = [config.component_range.get(name, (0.0, 1.0))[0] for name in config.components]
    known = [all(ok for ok, w in zip(row, weights, strict=True) if w) for row in batch.outcome_valid]
    rows = zip(batch.outcome, known, strict=True)
    outcome = [sum(w * x for w, x in zip(weights, row, strict=True) if w) if ok else 0.0 for row, ok in rows]
    parts = list(zip(weights, lowest, zip(*batch.outcome, strict=True), strict=True)) if outcome else []
    return parts, batch.with_(outcome=outcome, outcome_valid=known)


def _factors(batch, parts, config):
    """What each reward is multiplied by, the outcome's or its components' first."""
    judged = [i for i in range(len(batch.group)) if batch.outcome_valid[i]]
    columns = [[values[i] - low for i in judged if weight] for weight, low, values in parts]
    columns = columns or [[batch.outcome[i] - config.reward_min for i in judged]]
    for k, weight in enumerate(config.reasoning_weight):
        columns.append([batch.reasoning[i][k] for i in judged if batch.valid[i][k] and weight > 0])
    variation = [stdev(c) / (abs(fmean(c)) + 1e-8) if len(c) > 1 else None for c in columns]
    heard = [v for v in variation if v is not None]
    if config.weighting == "fixed" or not sum(heard):
        return [1.0] * len(columns)
    return [1.0 if v is None else len(heard) * v / (sum(heard) + 1e-8) for v in variation]


def _group(batch, parts, members, config, factors, result):
    task = {i: batch.outcome[i] for i in members}
    each = [(f * w, {i: x[i] for i in members}) for f, (w, _, x) in zip(factors, parts, strict=False) if w]
    own, signal_factors = (1.0, factors[len(parts) :]) if parts else (factors[0], factors[1:])
    out = {i: (sum(w * x[i] for w, x in each) if parts else task[i]) - batch.kl_penalty[i] for i in members}
    lambdas = zip(config.reasoning_weight, signal_factors, strict=True)
    weights = [weight * config.reasoning_scale * factor for weight, factor in lambdas]
    columns = range(config.signals)
    counting = [k for k in columns if config.reasoning_weight[k] > 0 and sum(batch.valid[i][k] for i in members) >= 2]
    scored = [i for i in members if counting and all(batch.valid[i][k] for k in counting)]
    rea = {i: sum(weights[k] * batch.reasoning[i][k] for k in counting) for i in scored}
    mix = {i: own * out[i] + rea[i] for i in scored}
    signals = [{i: batch.reasoning[i][k] for i in members if batch.valid[i][k]} for k in columns]
    spreads = [weight * _std(signal) for weight, signal in zip(weights, signals, strict=True)]

    p = ((fmean(task.values()) if task else 0.0) - config.reward_min) / (config.reward_max - config.reward_min)
    w = _gate(task, out, mix, rea, max(spreads), [signals[k] for k in columns if weights[k] > 0], config)
    d = _difficulty(min(max(p, 0.0), 1.0), config)
    result.difficulty.append(d)
    part, step = {}, {}
    for i in members:
        a_out = _score(out, i, config)
        if config.integration == "decoupled":
            a_out = sum(w * _score(x, i, config) for w, x in each) if parts else a_out
            a_mix = own * a_out
            for k in columns:
                if i in signals[k] and spreads[k] >= config.noise_floor:
                    a_mix += weights[k] * _score(signals[k], i, config)
        elif i in mix and len(mix) > 1:
            a_mix = _score(rea if config.integration == "reasoning" else mix, i, config)
        else:
            a_mix = a_out
        result.outcome_advantages[i], result.mixed_advantages[i] = a_out, a_mix
        part[i] = a_out if config.difficulty_target == "reasoning" else d * a_out
        step[i] = d * (a_mix - a_out)
    return SimpleNamespace(members=members, task=task, rea=rea, part=part, step=step, w=w, differ=_std(task) > 0)


def _gate(task, out, mix, rea, widest, signals, config):
    sigma_out, sigma_mix, sigma_rea = _std(out), _std(mix), _std(rea)
    if config.integration == "decoupled":
        too_few, spread = all(len(signal) < 2 for signal in signals), widest
        nothing = sigma_out == spread == 0
    elif config.integration == "reasoning":
        too_few, spread, nothing = len(rea) < 2, sigma_rea, sigma_rea == 0
    else:
        too_few, spread, nothing = len(mix) < 2, sigma_mix, sigma_out == sigma_mix == 0
    if too_few or nothing or spread < config.noise_floor:
        return 0.0
    if config.saturated == "outcome_only" and min(task.values()) >= config.reward_max - 1e-6:
        return 0.0
    if config.gate == "threshold":
        return float(sigma_out / (config.reward_max - config.reward_min) < config.gate_threshold)
    ratio = sigma_mix / (sigma_out + sigma_mix + config.epsilon)
    signal = sigma_rea / (sigma_out + sigma_rea + config.epsilon)
    return {"none": 0.0, "always": 1.0, "ratio": ratio, "signal": signal, "reliability": 1.0}[config.gate]


def _trusted_gates(groups, trust, result):
    """w of `gate: reliability`, where it is not closed (w = 0)."""
    checked = sum(a**2 for group in groups if group.differ for a in group.part.values())
    unchecked = sum(a**2 for group in groups if group.w and not group.differ for a in group.step.values())
    budget = min(1.0, sqrt(checked / unchecked)) if unchecked else 1.0
    for group in groups:
        group.w *= trust**2 / (1 + trust**2) if group.differ else trust**2 * budget


def _learn(groups, mean, variance, config, result):
    """Age the trust, then look at each group in which outcome and judge both vary."""
    seen = sum(bool(group.members) for group in groups)
    alone = sum(result.judge_part[i] ** 2 for group in groups if not group.differ for i in group.members)
    power = sum((group.part[i] + result.judge_part[i]) ** 2 for group in groups for i in group.members)
    age = seen + 3 * seen * min(1.0, alone / power) if power else seen
    kept = exp(-age / config.reliability_horizon)
    mean, variance = kept * mean, kept**2 * variance + 1 - kept**2
    for group in groups:
        task = {i: group.task[i] for i in group.rea}
        if _std(task) * _std(group.rea) > 0:
            gain = variance * (len(task) - 1) / (variance * (len(task) - 1) + 1)
            mean += gain * (correlation(list(task.values()), list(group.rea.values())) - mean)
            variance *= 1 - gain
    return mean, variance


def _difficulty(p, config):
    if config.difficulty == "none":
        return 1.0
    if config.difficulty == "noise_aware":
        t = min(max((p - config.outcome_error_rate) / (1 - 2 * config.outcome_error_rate), 0.0), 1.0)
        hidden = (1 - 2 * config.outcome_error_rate) * t * (1 - t)
        return hidden / (sqrt(p * (1 - p) + 1e-8) * sqrt(t * (1 - t) + 1e-8))
    medium = (
        config.difficulty_low - 1e-6 <= p <= config.difficulty_high + 1e-6
        if config.difficulty == "band"
        else 4 * p * (1 - p)
    )
    return config.difficulty_base + config.difficulty_priority * medium


def _std(values):
    return stdev(values.values()) if len(values) > 1 and len(set(values.values())) > 1 else 0.0


def _score(values, i, config):
    """The group-relative advantage of rollout i among `values`."""
    if len(values) < 2 or len(set(values.values())) == 1:
        return 0.0
    if config.baseline == "leave_one_out":
        advantage = values[i] - fmean(value for j, value in values.items() if j != i)
    else:
        advantage = values[i] - fmean(values.values())
    return advantage / (_std(values) + config.epsilon) if config.norm_by_std else advantage


def _whitened(batch, advantages):
    """Mean 0 and variance 1, as if each advantage stood once for every token."""
    judged = [g for g, valid in zip(batch.group, batch.outcome_valid, strict=True) if valid]
    compared = [i for i, g in enumerate(batch.group) if batch.outcome_valid[i] and judged.count(g) > 1]
    spread = [advantages[i] for i in compared for _ in range(batch.tokens[i])]
    if len(spread) < 2:
        return [0.0] * len(advantages)
    mean, deviation = fmean(spread), sqrt(stdev(spread) ** 2 + 1e-8)
    return [(a - mean) / deviation if i in compared else 0.0 for i, a in enumerate(advantages)]
