"""MaxRL, S-GRPO and SAW: parity to 1e-6 with what their authors' code computes, written out plainly here.

Sources: tajwarfahim/maxrl (`compute_maxrl_outcome_advantage`), shenpeijun0212/S-GRPO (`group_weight` and
`compute_monte_carlo_advantages`), Zhaolutuan/SAW (the estimators `grpo-h` and `gdpo-h` of its trainer).
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics
from tests.awpo_ext.batches import KNOWN, NAN, batches, cases, many, rng_batch, run
from tests.awpo_ext.slow_reference import slow_awpo

ZERO_ONE = {"reward_min": 0.0, "reward_max": 1.0}


def preset(name, **settings):
    return AwpoConfig.from_mapping({"preset": name, **settings})


def zero_one(seed, groups=16, size=8):
    batch = rng_batch(seed, groups, size)
    return batch.with_(outcome=[float(x > 1.0) for x in batch.outcome])


def by_group(batch, values):
    """`(M, G)` of rollouts that are interleaved: rollout i is of group i % M."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, len(set(batch.group))).T


def flat(advantages):
    return advantages.T.reshape(-1)


@pytest.mark.parametrize("seed", range(3))
def test_maxrl(seed):
    batch = zero_one(seed)
    rewards = by_group(batch, batch.outcome)
    mean = rewards.mean(1, keepdim=True)
    ours = run(batch, preset("maxrl", **ZERO_ONE)).advantages
    assert torch.allclose(ours, flat((rewards - mean) / (mean + 1e-6)), rtol=0, atol=1e-6)


@many
@given(batches(min_groups=1, min_size=2, all_valid=True))
def test_maxrl_is_bounded_by_the_group_and_silent_where_nothing_was_earned(batch):
    batch = batch.with_(kl_penalty=[0.0] * len(batch))
    result = run(batch, preset("maxrl"))
    others = result.outcome_stats.count[result.group_index] - 1
    assert (result.advantages.abs() <= others.clamp(min=1) + 1e-9).all()
    assert (result.advantages[(result.success_rate == 0)[result.group_index]] == 0).all()


def test_maxrl_refuses_a_kl_penalty():
    with pytest.raises(ValueError, match="norm_by_mean divides by a success rate"):
        awpo_advantages([0.0, 1.0], [NAN] * 2, ["g"] * 2, preset("maxrl"), [False] * 2, kl_penalty=[0.0, 0.1])


def s_grpo_weight(n, k, p, epsilon=1e-8):
    """`group_weight` of the authors' code."""
    observed = k / n
    t = max(0.0, min(1.0, (observed - p) / (1 - 2 * p)))
    return (
        (1 - 2 * p) * t * (1 - t) / (math.sqrt(observed * (1 - observed) + epsilon) * math.sqrt(t * (1 - t) + epsilon))
    )


@pytest.mark.parametrize("error", [0.0, 0.1, 0.15])
def test_s_grpo(error):
    batch = zero_one(1)
    rewards = by_group(batch, batch.outcome)
    weights = torch.tensor([[s_grpo_weight(8, int(k), error)] for k in rewards.sum(1)], dtype=torch.float64)
    theirs = (rewards - rewards.mean(1, keepdim=True)) * weights / (rewards.std(1, keepdim=True) + 1e-8)
    ours = run(batch, preset("s_grpo", outcome_error_rate=error, **ZERO_ONE)).advantages
    assert torch.allclose(ours, flat(theirs), rtol=0, atol=1e-6)


@given(st.floats(0.0, 0.4), st.integers(2, 16))
def test_s_grpo_trains_nothing_that_errors_explain(error, size):
    """One success among so many that the verifier's errors alone would give more."""
    outcome = [1.0] + [0.0] * (size - 1)
    config = preset("s_grpo", outcome_error_rate=error, **ZERO_ONE)
    d = awpo_advantages(outcome, [0.0] * size, ["g"] * size, config).difficulty
    assert (d == 0).all() if 1 / size <= error else (d >= 0).all()


def saw_weights(outcome, scores):
    def variation(x):
        return np.std(x, ddof=1) / (abs(np.mean(x)) + 1e-8)

    first, second = variation(np.array(outcome) + 3.0), variation(np.array(scores))
    return 2 * first / (first + second + 1e-8), 2 * second / (first + second + 1e-8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["saw", "saw_gdpo"])
def test_saw(name, seed):
    batch = rng_batch(seed, 16, 8)
    scores = [s for (s,) in batch.reasoning]
    by_outcome, by_score = saw_weights(batch.outcome, scores)
    first, second = by_group(batch, batch.outcome), by_group(batch, scores)

    def grpo(x):
        return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-6)

    if name == "saw":
        theirs = flat(grpo(by_outcome * first + by_score * second))
    else:
        theirs = flat(by_outcome * grpo(first) + by_score * grpo(second))
        tokens = torch.tensor(batch.tokens, dtype=torch.float64)
        mean = (theirs * tokens).sum() / tokens.sum()
        variance = ((theirs - mean) ** 2 * tokens).sum() / (tokens.sum() - 1)
        theirs = (theirs - mean) / (variance + 1e-8).sqrt()
    result = run(batch, preset(name))
    assert result.shares == pytest.approx((by_outcome, by_score), rel=1e-9)
    assert torch.allclose(result.advantages, theirs, rtol=0, atol=1e-6)


@many
@given(st.sampled_from(["mix", "decoupled"]), st.data())
def test_weighting_equals_the_slow_reference(integration, data):
    fixed = {"gate": "always", "weighting": "variation", "integration": integration}
    batch, config = data.draw(cases(fixed=fixed))
    result, slow = run(batch, config), slow_awpo(batch, config, KNOWN.mean, KNOWN.variance)
    assert result.advantages.tolist() == pytest.approx(slow.advantages, rel=1e-6, abs=1e-6)
    assert result.gate.tolist() == slow.gate


def test_saw_hears_no_judge_that_failed_everywhere_and_logs_its_weights():
    outcome, failed = torch.tensor([0.0, 1.0, 4.0, 2.0]), torch.zeros(4, dtype=torch.bool)
    result = awpo_advantages(outcome, torch.full((4,), NAN), ["g"] * 4, preset("saw"), failed)
    assert result.shares == pytest.approx((1.0, 1.0))
    assert torch.equal(result.advantages, result.outcome_advantages)
    columns = result, outcome, torch.full((4,), NAN), failed, torch.tensor(0.2), preset("saw"), ~failed
    assert awpo_metrics(*columns)["awpo/weight/outcome"] == pytest.approx(1.0)


def test_saw_turns_to_the_signal_that_still_varies():
    scores = [0.1, 0.9, 0.2, 0.8]
    result = awpo_advantages([3.9, 4.0, 3.9, 4.0], scores, ["g"] * 4, preset("saw_gdpo", reward_min=-3.0))
    assert result.shares[1] > 1.9 > 0.1 > result.shares[0]
