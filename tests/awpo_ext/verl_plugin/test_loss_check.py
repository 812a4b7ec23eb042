"""AWPO's advantages with each of verl's policy losses: the pairs of the table train, the others are refused."""

import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from verl.trainer.ppo import core_algos
from verl.workers.config import ActorConfig, PolicyLossConfig

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.config_check import problems
from awpo_ext.verl_plugin.driver.loss_check import VERLS_LOSSES
from tests.awpo_ext.verl_plugin.test_run_checks import GOOD

LOSS = "actor_rollout_ref.actor.policy_loss.loss_mode"
FIXED = "+algorithm.awpo.clip_schedule=fixed"
DRO = "actor_rollout_ref.actor.policy_loss.dro_beta=0.1"


def test_the_table_holds_every_loss_of_verl_that_stands_by_itself():
    assert set(core_algos.POLICY_LOSS_REGISTRY) == {*VERLS_LOSSES, "awpo", "bypass_mode"}


@pytest.mark.parametrize("preset", ["awpo", "gdpo"])
@pytest.mark.parametrize("mode", VERLS_LOSSES)
def test_a_step_of_each_loss_makes_better_responses_likelier_and_leaves_the_others_alone(mode, preset):
    """At the policy that sampled, a token's gradient has the sign of its advantage, and none where that is 0."""
    torch.manual_seed(0)
    outcome = torch.tensor([-3.0, 4.0, 0.0, 4.0, 1.0, 1.0, 4.0, 4.0], dtype=torch.float64)
    scores = [0.1, 0.9, 0.4, 0.2, 0.3, 0.8, 0.6, 0.6]  # outcomes differ, then agree; the last group has nothing to say
    group = [0, 0, 0, 0, 1, 1, 2, 2]
    config = AwpoConfig.from_mapping({"preset": preset, "whiten": False})
    advantages = awpo_advantages(outcome, scores, group, config).advantages
    assert (advantages != 0).sum() == 6

    old = -torch.rand(8, 5, dtype=torch.float64) - 0.1
    log_prob = old.clone().requires_grad_()
    mask = torch.arange(5) < torch.tensor([5, 4, 3, 5, 2, 5, 4, 5])[:, None]
    actor = ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        policy_loss=PolicyLossConfig(loss_mode=mode, dro_beta=0.1),
    )
    loss, metrics = core_algos.get_policy_loss_fn(mode)(
        old_log_prob=old, log_prob=log_prob, advantages=advantages[:, None] * mask, response_mask=mask, config=actor
    )
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(log_prob.grad).all()
    assert all(isinstance(value, float) for value in metrics.values())
    assert (log_prob.grad[~mask] == 0).all() and (log_prob.grad[advantages == 0] == 0).all()
    moved = (-log_prob.grad * advantages.sign()[:, None])[mask & (advantages != 0)[:, None]]
    assert (moved >= 0).all() and (moved > 0).float().mean() > 0.9  # clip_cov cuts a token


@pytest.mark.parametrize("mode", VERLS_LOSSES)
def test_a_pair_of_the_table_needs_a_fixed_radius(mode):
    extra = [DRO] if mode == "dro" else []
    assert problems([*GOOD, f"{LOSS}={mode}", FIXED, *extra]) == []
    (problem,) = problems([*GOOD, f"{LOSS}={mode}", *extra])
    assert "ignores AWPO's clip radius" in problem and "clip_schedule=fixed" in problem


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("gsp0", "loss_mode=gsp0 is not a policy loss of verl's; losses: awpo, vanilla, gspo"),
        ("bypass_mode", "set loss_mode=awpo and"),
        ("dro", "needs actor_rollout_ref.actor.policy_loss.dro_beta"),
    ],
)
def test_a_loss_that_cannot_train_is_refused_before_a_model_is_loaded(mode, says):
    found = problems([*GOOD, f"{LOSS}={mode}", FIXED])
    assert any(says in problem for problem in found), found


def test_a_loss_of_a_library_of_ones_own_is_let_through_with_a_warning(caplog):
    library = "actor_rollout_ref.model.external_lib=json"
    assert problems([*GOOD, f"{LOSS}=mine", FIXED, library]) == []
    assert "loss_mode=mine is not among the losses" in caplog.text
