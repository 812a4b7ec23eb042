"""The radius and the clipped objective: range, monotony, gradients, and parity with verl's vanilla loss."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.clipping import awpo_policy_loss, clip_radius
from awpo_ext.config import AwpoConfig
from tests.awpo_ext.batches import many

AGGREGATIONS = ["token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
gates = st.lists(st.floats(0, 1), max_size=8).map(lambda w: torch.tensor(w, dtype=torch.float64))
schedules = st.sampled_from(["linear", "inverse", "fixed"])


@many
@given(gates, schedules, st.sampled_from(["batch", "group"]), st.floats(0, 20))
def test_radius_stays_between_its_bounds(gate, schedule, scope, eta):
    config = AwpoConfig(clip_schedule=schedule, clip_scope=scope, clip_eta=eta)
    radius = clip_radius(gate, config)
    assert radius.shape == (gate.shape if scope == "group" else ())
    assert ((radius >= config.clip_min) & (radius <= config.clip_max)).all()


@many
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), schedules)
def test_radius_never_grows_with_the_gate(gate, schedule):
    config = AwpoConfig(clip_schedule=schedule, clip_scope="group")
    radius = clip_radius(torch.tensor(sorted(gate), dtype=torch.float64), config)
    assert (radius.diff() <= 1e-12).all()


def test_radius_at_the_ends():
    ends = clip_radius(torch.tensor([0.0, 1.0]), AwpoConfig(clip_scope="group", clip_min=0.05, clip_max=0.3))
    assert ends.tolist() == pytest.approx([0.3, 0.05])
    assert float(clip_radius(torch.zeros(0), AwpoConfig())) == pytest.approx(0.2)


def random_step(seed, dtype=torch.float64):
    torch.manual_seed(seed)
    old = -torch.rand(6, 9, dtype=dtype) * 3
    new = old + torch.randn(6, 9, dtype=dtype) * 0.5
    mask = torch.rand(6, 9) > 0.3
    return old, new, torch.randn(6, 9, dtype=dtype), mask


@pytest.mark.parametrize("mode", AGGREGATIONS)
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(("radius", "higher"), [(0.1, 1.0), (0.2, 1.0), (0.2, 1.4), (0.1, 15.0)])
def test_fixed_radius_is_verls_vanilla_loss(mode, weights, radius, higher):
    core_algos = pytest.importorskip("verl.trainer.ppo.core_algos", reason="needs verl")
    from verl.workers.config import ActorConfig

    config = ActorConfig(
        strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, clip_ratio=radius,
        clip_ratio_low=radius, clip_ratio_high=higher * radius, clip_ratio_c=2.0,
    )  # fmt: skip
    for seed in range(5):
        old, new, advantages, mask = random_step(seed)
        is_weights = torch.rand_like(old) if weights else None
        theirs_log, ours_log = new.clone().requires_grad_(), new.clone().requires_grad_()
        theirs, theirs_metrics = core_algos.compute_policy_loss_vanilla(
            old, theirs_log, advantages, mask, mode, config, rollout_is_weights=is_weights
        )
        ours, ours_metrics = awpo_policy_loss(
            old, ours_log, advantages, mask, torch.full((6,), radius), clip_ratio_c=2.0, clip_higher=higher,
            rollout_is_weights=is_weights, aggregate=lambda loss, m: core_algos.agg_loss(loss, m, mode),
        )  # fmt: skip
        theirs.backward()
        ours.backward()
        assert torch.allclose(ours, theirs, atol=1e-9)
        assert torch.allclose(ours_log.grad, theirs_log.grad, atol=1e-9)
        for key, value in theirs_metrics.items():
            assert ours_metrics[key] == pytest.approx(value, abs=1e-6)


def test_gradient_is_zero_exactly_where_the_clip_binds():
    ratio = torch.tensor([[0.5, 0.85, 1.0, 1.15, 1.5]], dtype=torch.float64)
    for advantage, binds in ((1.0, ratio > 1.1), (-1.0, ratio < 0.9)):
        log_prob = ratio.log().clone().requires_grad_()
        advantages = torch.full_like(ratio, advantage)
        loss, _ = awpo_policy_loss(torch.zeros_like(ratio), log_prob, advantages, torch.ones_like(ratio), 0.1)
        loss.backward()
        assert ((log_prob.grad == 0) == binds).all()


@many
@given(st.integers(0, 1000), st.floats(0.01, 0.5), st.floats(1, 5))
def test_clip_higher_frees_only_tokens_that_rise_with_a_positive_advantage(seed, radius, higher):
    old, new, advantages, mask = random_step(seed)
    gradients = []
    for clip_higher in (1.0, higher):
        log_prob = new.clone().requires_grad_()
        awpo_policy_loss(old, log_prob, advantages, mask, radius, clip_higher=clip_higher)[0].backward()
        gradients.append(log_prob.grad)
    ratio = (new - old).exp()
    freed = mask & (advantages > 0) & (ratio > 1 + radius) & (ratio <= 1 + higher * radius)
    assert torch.equal(gradients[0] != gradients[1], freed)
    assert (gradients[1][freed] < 0).all()


def test_both_sides_tighten_together_with_the_gate():
    config = AwpoConfig(clip_scope="group", clip_min=0.1, clip_max=0.2, clip_higher=1.4)
    radius = clip_radius(torch.tensor([0.0, 1.0]), config)
    for sample, (lowest, highest) in enumerate([(0.8, 1.28), (0.9, 1.14)]):
        for ratio, advantage, binds in (
            (lowest - 0.01, -1.0, True), (lowest + 0.01, -1.0, False),
            (highest + 0.01, 1.0, True), (highest - 0.01, 1.0, False),
        ):  # fmt: skip
            log_prob = torch.tensor([[ratio]], dtype=torch.float64).log().requires_grad_()
            same = torch.zeros_like(log_prob)
            loss, _ = awpo_policy_loss(
                same, log_prob, same + advantage, same + 1, radius[sample], clip_higher=config.clip_higher
            )
            loss.backward()
            assert (float(log_prob.grad) == 0) == binds


def test_each_sample_is_clipped_at_its_own_radius():
    log_prob = torch.tensor([[0.5], [0.5]], dtype=torch.float64)
    loss, metrics = awpo_policy_loss(
        torch.zeros_like(log_prob),
        log_prob,
        torch.ones_like(log_prob),
        torch.ones_like(log_prob),
        torch.tensor([0.1, 0.3]),
    )
    assert float(loss) == pytest.approx(-(1.1 + 1.3) / 2)
    assert metrics["actor/awpo/applied_clip_radius"] == pytest.approx(0.2)


@many
@given(st.integers(0, 1000))
def test_gradient_is_finite_for_any_ratio(seed):
    old, new, advantages, mask = random_step(seed, torch.float32)
    log_prob = (new * 100).requires_grad_()
    loss, _ = awpo_policy_loss(old, log_prob, advantages, mask, 0.2)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(log_prob.grad).all()


def test_no_token_gives_no_loss():
    old, new, advantages, mask = random_step(0)
    loss, metrics = awpo_policy_loss(old, new, advantages, torch.zeros_like(mask), 0.2)
    assert float(loss) == 0.0 and metrics["actor/pg_clipfrac"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (SimpleNamespace(radius=0.0), r"radius has values from 0.0 to 0.0; allowed: \(0, 1\)"),
        (SimpleNamespace(radius=torch.tensor([0.1, 0.2])), r"radius has shape \(2,\); expected a scalar or \(6,\)"),
        (SimpleNamespace(radius=0.2, clip_ratio_c=1.0), "clip_ratio_c=1.0 is out of range"),
        (SimpleNamespace(radius=0.2, clip_higher=0.9), "clip_higher=0.9 is out of range; allowed: 1.0 and above"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        awpo_policy_loss(*random_step(0), **vars(arguments))
