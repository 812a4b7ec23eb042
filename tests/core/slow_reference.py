"""The default column of docs/method.md, written as plainly as possible: what the tensors must equal."""

from statistics import fmean, stdev

from awpo_ext.config import AwpoConfig


def slow_awpo(batch, config: AwpoConfig = AwpoConfig()):
    """(advantages by rollout, gate by group, difficulty by group); `gate: ratio` and `difficulty: parabola` only."""
    advantages = [0.0] * len(batch.group)
    gates, weights = [], []
    for label in dict.fromkeys(batch.group):
        members = [i for i, g in enumerate(batch.group) if g == label]
        scored = [i for i in members if batch.valid[i]]
        out = {i: batch.outcome[i] for i in members}
        mix = {i: out[i] + config.reasoning_weight * config.reasoning_scale * batch.reasoning[i] for i in scored}
        sigma_out, sigma_mix = _std(out), _std(mix)

        closed = len(scored) < 2 or sigma_out == sigma_mix == 0 or min(out.values()) >= config.reward_max
        w = 0.0 if closed else sigma_mix / (sigma_out + sigma_mix + config.epsilon)
        p = (fmean(out.values()) - config.reward_min) / (config.reward_max - config.reward_min)
        p = min(max(p, 0.0), 1.0)
        d = config.difficulty_base + config.difficulty_priority * 4 * p * (1 - p)

        for i in members:
            a_out = _score(out, i, sigma_out, config)
            a_mix = _score(mix, i, sigma_mix, config) if i in mix and len(mix) > 1 else a_out
            advantages[i] = d * ((1 - w) * a_out + w * a_mix)
        gates.append(w)
        weights.append(d)
    return advantages, gates, weights


def _std(values):
    return stdev(values.values()) if len(values) > 1 and len(set(values.values())) > 1 else 0.0


def _score(values, i, sigma, config):
    if len(values) < 2 or len(set(values.values())) == 1:
        return 0.0
    return (values[i] - fmean(values.values())) / (sigma + config.epsilon)
