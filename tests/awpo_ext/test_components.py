"""Outcome components: the same method on their weighted sum, and on each of them where rewards are normalised one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.advantage import Closed, awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import PRESETS, AwpoConfig
from awpo_ext.metrics import awpo_metrics
from tests.awpo_ext.batches import KNOWN, NAN, batches, configs, many, rng_batch, run
from tests.awpo_ext.slow_reference import slow_awpo
from tests.awpo_ext.test_presets import preset, verls_columns

RANGES = {"right": (-3.0, 3.0), "short": (0.0, 1.0), "seen": (0.0, 1.0)}
values = st.tuples(st.sampled_from([-3.0, 0.0, 1.0, 3.0]), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
weights = st.fixed_dictionaries(
    {"right": st.sampled_from([0.5, 1.0, -1.0]), "short": st.sampled_from([0.0, 0.3, -0.5]), "seen": st.just(0.0)}
)


@st.composite
def cases(draw, **fixed):
    """A batch whose outcome is three components, of which some rollouts lack some; and a configuration with a weight each."""
    signals = draw(st.integers(1, 2))
    batch = draw(batches(signals=signals))
    n = len(batch)
    valid = draw(st.lists(st.tuples(*[st.sampled_from([True, True, False])] * 3), min_size=n, max_size=n))
    rows = [draw(values) for _ in range(n)]
    rows = [[x if ok else NAN for x, ok in zip(*both, strict=True)] for both in zip(rows, valid, strict=True)]
    config = draw(configs(signals=signals, reward_components=draw(weights), component_range=RANGES, **fixed))
    penalty = [0.0] * n if config.integration == "decoupled" else batch.kl_penalty
    return batch.with_(outcome=rows, outcome_valid=[list(row) for row in valid], kl_penalty=penalty), config


def with_components(batch, seed=0):
    """Two components in [0, 1] in place of the outcome."""
    rows = np.random.default_rng(seed).integers(0, 5, (len(batch), 2)) / 4
    return batch.with_(outcome=rows.tolist(), outcome_valid=[[True] * 2] * len(batch))


@many
@given(cases())
def test_equals_the_slow_reference(case):
    batch, config = case
    result, slow = run(batch, config), slow_awpo(batch, config, KNOWN.mean, KNOWN.variance)
    for name in ("advantages", "outcome_advantages", "mixed_advantages", "judge_part", "gate", "difficulty"):
        assert getattr(result, name).tolist() == pytest.approx(getattr(slow, name), rel=1e-6, abs=1e-6), name


@many
@given(st.data(), st.sampled_from(["mix", "decoupled"]))
def test_weighting_equals_the_slow_reference(data, integration):
    batch, config = data.draw(cases(gate="always", weighting="variation", integration=integration))
    result, slow = run(batch, config), slow_awpo(batch, config, KNOWN.mean, KNOWN.variance)
    assert result.advantages.tolist() == pytest.approx(slow.advantages, rel=1e-6, abs=1e-6)


@many
@given(batches(), configs())
def test_one_component_of_weight_1_is_the_outcome(batch, config):
    named = {"reward_components": {"right": 1.0}, "component_range": {"right": (-3.0, 4.0)}}
    if config.integration == "decoupled":
        batch = batch.with_(kl_penalty=[0.0] * len(batch))
    as_one = batch.with_(outcome=[[x] for x in batch.outcome], outcome_valid=[[ok] for ok in batch.outcome_valid])
    one, plain = run(as_one, AwpoConfig(**{**vars(config), **named})), run(batch, config)
    assert torch.equal(one.advantages, plain.advantages) and torch.equal(one.closed, plain.closed)


@many
@given(st.data(), st.sampled_from(["mix", "reasoning"]))
def test_several_are_their_sum_where_rewards_are_summed_first(data, integration):
    batch, config = data.draw(cases(integration=integration))
    parts = run(batch, config).components
    plain = AwpoConfig(**{**vars(config), "reward_components": {}, "component_range": {}})
    summed = batch.with_(outcome=parts.total(config).tolist(), outcome_valid=parts.verified(config).tolist())
    assert torch.equal(run(summed, plain).advantages, run(batch, config).advantages)


@many
@given(cases())
def test_a_rollout_without_a_weighted_component_is_as_if_it_were_not_there(case):
    batch, config = case
    complete = [all(ok for ok, w in zip(row, config.reward_components.values(), strict=True) if w)
                for row in batch.outcome_valid]  # fmt: skip
    members = [i for i, ok in enumerate(complete) if ok]
    result = run(batch, config)
    assert torch.allclose(result.advantages[members], run(batch.permuted(members), config).advantages, atol=1e-6)
    assert not result.advantages[[i for i, ok in enumerate(complete) if not ok]].any()


@given(st.lists(st.sampled_from([0.1, 0.3, 0.7, -0.2, 1.7]), min_size=1, max_size=5))
def test_all_at_their_best_is_solved_whatever_the_rounding(given_weights):
    config = AwpoConfig(reward_components={f"c{k}": w for k, w in enumerate(given_weights)})
    best = [[float(w > 0) for w in given_weights]] * 2
    result = awpo_advantages(best, [0.1, 0.9], ["g"] * 2, config)
    assert result.closed.tolist() == [Closed.SATURATED] and result.success_rate.tolist() == [1.0]


@pytest.mark.parametrize("seed", range(3))
def test_gdpo_is_verls_with_several_reward_keys(seed):
    core_algos = pytest.importorskip("verl.trainer.ppo.core_algos", reason="needs verl")
    batch = with_components(rng_batch(seed, groups=16, size=8, signals=2), seed)
    token_level, mask, uids = verls_columns(batch, [0.0] * len(batch))
    rewards = dict(zip(("right", "short"), zip(*batch.outcome, strict=True), strict=True))
    rewards |= dict(zip(("a", "b"), zip(*batch.reasoning, strict=True), strict=True))
    prompts = torch.ones(len(batch), 3, dtype=torch.int64)
    theirs, _ = core_algos.compute_gdpo_outcome_advantage(
        token_level,
        mask,
        uids,
        config={"gdpo_reward_keys": list(rewards), "gdpo_reward_weights": [1.0, 0.5, 2.0, 0.25]},
        non_tensor_batch=rewards,
        batch={"prompts": prompts, "attention_mask": torch.cat([prompts, mask.long()], dim=1)},
    )
    keys = {"reasoning_key": ["a", "b"], "reasoning_weight": [2.0, 0.25]}
    ours = run(batch, preset("gdpo", reward_components={"right": 1.0, "short": 0.5}, **keys)).advantages
    assert torch.allclose(ours, theirs[:, 0].double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("name", ["saw", "saw_gdpo"])
def test_saw_weighs_each_component_with_or_without_a_judge(name, judged):
    batch = with_components(rng_batch(0, groups=16, size=8))
    batch = batch.with_(valid=[[judged]] * len(batch), tokens=[1] * len(batch))
    columns = [torch.tensor(c) for c in zip(*batch.outcome, strict=True)]
    columns += [torch.tensor([s for (s,) in batch.reasoning])] if judged else []
    variation = [c.std() / (c.mean().abs() + 1e-8) for c in columns]
    shares = [len(columns) * v / (sum(variation) + 1e-8) for v in variation]

    def grpo(x):
        x = x.double().reshape(8, 16)  # rollout i is of group i % 16
        return ((x - x.mean(0)) / (x.std(0) + 1e-6)).reshape(-1)

    weighed = list(zip([1.0, 0.5, 1.0], shares, columns, strict=False))
    if name == "saw":
        theirs = grpo(sum(w * f * c for w, f, c in weighed))
    else:
        theirs = sum(w * f * grpo(c) for w, f, c in weighed)
        theirs = (theirs - theirs.mean()) / (theirs.var() + 1e-8).sqrt()
    result = run(batch, preset(name, reward_components={"right": 1.0, "short": 0.5}))
    assert result.shares[: len(shares)] == pytest.approx([float(f) for f in shares], rel=1e-6)
    assert torch.allclose(result.advantages, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_takes_components(name):
    batch = with_components(rng_batch(1, groups=4, size=4))
    result = run(batch, preset(name, reward_components=["right", "short"]))
    assert torch.isfinite(result.advantages).all() and result.advantages.any()


def test_gdpo_hears_components_that_cancel_in_the_sum_and_grpo_does_not():
    rows, keys = [[0.0, 1.0], [1.0, 0.0]], {"reward_components": {"right": 1.0, "short": 0.5}, "reasoning_weight": 0.0}
    equal = {**keys, "reward_components": {"right": 1.0, "short": 1.0}}
    for config, moves in ((preset("gdpo", **keys), True), (preset("outcome_only", **equal), False)):
        assert bool(awpo_advantages(rows, [NAN] * 2, ["g"] * 2, config, [False] * 2).advantages.any()) is moves


def test_the_range_of_a_row_is_that_of_its_components():
    config = AwpoConfig(reward_components={"right": 1.0, "short": -0.5}, component_range={"right": [-3, 3]})
    assert (config.reward_min, config.reward_max) == (-3.5, 3.0)
    columns = [[0.0, 0.0], [0.0, 1.0]], [0.1, 0.9], ["g"] * 2, config
    told = [[[0.0, 0.0], [NAN, NAN]]] * 2  # nothing to get right here
    result = awpo_advantages(*columns, outcome_range=told)
    assert result.success_rate.tolist() == [0.5]
    assert awpo_advantages(*columns).success_rate.tolist() == [pytest.approx(3.25 / 6.5)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ([0.0, 1.0],),
            r"outcome has shape \(2,\); expected \(2, 2\), one column for each of reward_components: right",
        ),
        (([[0.0, 1.0], [NAN, 1.0]],), r"outcome \(where valid\)\[1, 0\] is nan"),
        (([[0.0, 1.0], [0.0, 1.5]],), r"component 'short' is 1.5 for rollout 1.*component_range.short=\[lowest"),
        (([[0.0, 1.0]] * 2, None, [0.0, 0.1]), "integration=decoupled compares each of reward_components by itself"),
        (([[0.0, 1.0]] * 2, [[True]] * 2), r"outcome_valid has shape \(2, 1\)"),
    ],
)
def test_what_does_not_fit_is_named(columns, message):
    outcome, valid, penalty = (*columns, None, None)[:3]
    config = AwpoConfig(reward_components=["right", "short"], integration="decoupled", gate="always")
    with pytest.raises(ValueError, match=message):
        awpo_advantages(outcome, [0.0, 0.0], ["g"] * 2, config, None, valid, penalty)


def test_each_component_is_logged():
    config = AwpoConfig(reward_components={"right": 1.0, "summary": 0.0}, component_range={"right": [-3, 3]})
    rows = [[3.0, 0.2], [-3.0, NAN], [NAN, 0.4]]
    result = awpo_advantages(
        rows, [0.1, 0.9, 0.5], ["g"] * 3, config, None, [[True, True], [True, False], [False, True]]
    )
    outcome, known = result.components.total(config), result.components.verified(config)
    columns = outcome, torch.tensor([0.1, 0.9, 0.5]), torch.ones(3, dtype=torch.bool)
    metrics = awpo_metrics(result, *columns, clip_radius(result.gate, config), config, known)
    assert metrics["awpo/outcome/mean"] == 0.0 and metrics["awpo/outcome/valid_fraction"] == pytest.approx(2 / 3)
    assert metrics["awpo/outcome/right/valid_fraction"] == pytest.approx(2 / 3)
    assert metrics["awpo/outcome/right/signal_power"] == pytest.approx(0.5)
    assert metrics["awpo/outcome/s_ummary/mean"] == pytest.approx(0.2)  # of the verified ones; no name that verl sums
    assert metrics["awpo/outcome/right/std"] > 4 and "awpo/outcome/s_ummary/std" not in metrics
