"""docs/method.md written as plainly as possible, every switch of it: what the tensors must equal. Loops over rollouts."""

from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from awpo_ext.config import AwpoConfig


@dataclass
class SlowResult:
    """By rollout: advantages and the two they are blended from. By group, in order of appearance: gate and weight."""

    advantages: list[float]
    outcome_advantages: list[float]
    mixed_advantages: list[float]
    gate: list[float]
    difficulty: list[float]


def slow_awpo(batch, config: AwpoConfig = AwpoConfig()) -> SlowResult:
    n = len(batch.group)
    result = SlowResult([0.0] * n, [0.0] * n, [0.0] * n, [], [])
    for label in dict.fromkeys(batch.group):
        members = [i for i, g in enumerate(batch.group) if g == label and batch.outcome_valid[i]]
        _group(batch, members, config, result)
    if config.whiten:
        result.advantages = _whitened(batch, result.advantages)
    return result


def _group(batch, members, config, result):
    task = {i: batch.outcome[i] for i in members}
    out = {i: task[i] - batch.kl_penalty[i] for i in members}
    weights = [weight * config.reasoning_scale for weight in config.reasoning_weight]
    columns = range(config.signals)
    counting = [k for k in columns if weights[k] > 0 and sum(batch.valid[i][k] for i in members) >= 2]
    scored = [i for i in members if counting and all(batch.valid[i][k] for k in counting)]
    mix = {i: out[i] + sum(weights[k] * batch.reasoning[i][k] for k in counting) for i in scored}
    sigma_out, sigma_mix = _std(out), _std(mix)

    p = ((fmean(task.values()) if task else 0.0) - config.reward_min) / (config.reward_max - config.reward_min)
    w = _gate(task, mix, sigma_out, sigma_mix, config)
    d = _difficulty(min(max(p, 0.0), 1.0), config)
    result.gate.append(w)
    result.difficulty.append(d)
    for i in members:
        a_out = _score(out, i, config)
        if config.integration == "decoupled":
            a_mix = a_out
            for k in columns:
                signal = {j: batch.reasoning[j][k] for j in members if batch.valid[j][k]}
                a_mix += weights[k] * _score(signal, i, config) if i in signal else 0.0
        else:
            a_mix = _score(mix, i, config) if i in mix and len(mix) > 1 else a_out
        result.outcome_advantages[i], result.mixed_advantages[i] = a_out, a_mix
        if config.difficulty_target == "reasoning":
            result.advantages[i] = a_out + d * w * (a_mix - a_out)
        else:
            result.advantages[i] = d * ((1 - w) * a_out + w * a_mix)


def _gate(task, mix, sigma_out, sigma_mix, config):
    if len(mix) < 2 or sigma_out == sigma_mix == 0 or sigma_mix < config.noise_floor:
        return 0.0
    if config.saturated == "outcome_only" and min(task.values()) >= config.reward_max:
        return 0.0
    if config.gate == "threshold":
        return float(sigma_out / (config.reward_max - config.reward_min) < config.gate_threshold)
    ratio = sigma_mix / (sigma_out + sigma_mix + config.epsilon)
    return {"none": 0.0, "always": 1.0, "ratio": ratio}[config.gate]


def _difficulty(p, config):
    if config.difficulty == "none":
        return 1.0
    medium = config.difficulty_low <= p <= config.difficulty_high if config.difficulty == "band" else 4 * p * (1 - p)
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
