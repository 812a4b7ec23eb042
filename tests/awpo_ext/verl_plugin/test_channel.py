"""Between trainer and estimator: sessions with several outputs, padding rows, missing columns, a missing channel."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver.estimator import compute_awpo_advantage, step_channel
from awpo_ext.verl_plugin.worker import loss

# key -> (outcome, reasoning); session 0 of prompt `a` has two outputs, and the last row is padding
ROWS = {
    "a_0_0": (1.0, 0.9),
    "a_0_1": (1.0, 0.9),
    "b_0_0": (0.0, 0.2),
    "a_1_0": (2.0, 0.1),
    "b_1_0": (3.0, None),
    "b_2_0": (1.0, 0.7),
    "pad7_0_0": (0.0, 0.9),
}
CONFIG = AwpoConfig()


def reward_info(reasoning):
    return {
        "reasoning": float("nan") if reasoning is None else reasoning,
        "reasoning_valid": float(reasoning is not None),
    }


@pytest.fixture
def batch(monkeypatch):
    infos = {key: {"reward_extra_info": reward_info(reasoning)} for key, (_, reasoning) in ROWS.items()}
    fake_queue = SimpleNamespace(
        kv_batch_get=lambda keys, partition_id, select_fields: {
            "extra_fields": [infos[key] for key in keys],
            "rm_scores": [torch.tensor([0.0, ROWS[key][0]]) for key in keys],
        },
        kv_batch_put=lambda keys, partition_id, fields: SimpleNamespace(keys=keys, fields=fields),
    )
    monkeypatch.setattr(plane, "tq", fake_queue)
    tags = [{"is_padding": key.startswith("pad")} for key in ROWS]
    return SimpleNamespace(keys=list(ROWS), tags=tags, partition_id="train", infos=infos)


def verls_inputs():
    mask = torch.ones(len(ROWS), 3)
    rewards = torch.zeros(len(ROWS), 3)
    rewards[:, -1] = torch.tensor([outcome for outcome, _ in ROWS.values()])
    mask[4, -1] = 0  # the score's token may belong to a tool's answer
    return rewards, mask


def test_a_session_counts_once_and_is_broadcast_and_padding_counts_nowhere(batch):
    rewards, mask = verls_inputs()
    with step_channel(plane.build_channel(batch, CONFIG, False)) as channel:
        advantages, returns = compute_awpo_advantage(rewards, mask)

    rollouts = [key for key in ROWS if key not in ("a_0_0", "pad7_0_0")]
    expected = awpo_advantages(
        [ROWS[key][0] for key in rollouts],
        [ROWS[key][1] or 0.0 for key in rollouts],
        [key[0] for key in rollouts],
        CONFIG,
        [ROWS[key][1] is not None for key in rollouts],
    )
    by_key = dict(zip(rollouts, expected.advantages.tolist(), strict=True))
    assert advantages[:, 0].tolist() == pytest.approx(
        [by_key["a_0_1"], by_key["a_0_1"], *[by_key[key] for key in list(ROWS)[2:-1]], 0.0], rel=1e-6
    )
    assert torch.equal(advantages, returns) and advantages[4, -1] == 0
    assert sorted(channel.outcome.tolist()) == [0.0, 1.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("scope", ["batch", "group"])
def test_radius_reaches_each_row_by_its_group(batch, scope):
    config = AwpoConfig(clip_scope=scope)
    with step_channel(plane.build_channel(batch, config, False)) as channel:
        compute_awpo_advantage(*verls_inputs())
    radius = clip_radius(channel.result.gate, config)
    put = plane.put_radius(batch, radius, channel).fields[loss.RADIUS_FIELD]
    of = {"a": radius, "b": radius} if scope == "batch" else {"a": radius[0], "b": radius[1]}
    assert put[:-1].tolist() == pytest.approx([float(of[key[0]]) for key in list(ROWS)[:-1]], rel=1e-6)
    assert 0 < float(put[-1]) < 1


def test_a_kl_penalty_is_not_a_failed_task(batch):
    rewards, mask = verls_inputs()
    penalized = rewards - 0.25  # on each of three tokens
    with step_channel(plane.build_channel(batch, CONFIG, True)) as channel:
        compute_awpo_advantage(penalized, mask)
    with step_channel(plane.build_channel(batch, CONFIG, False)) as plain:
        compute_awpo_advantage(rewards, mask)
    assert channel.outcome.tolist() == plain.outcome.tolist()
    assert torch.equal(channel.result.success_rate, plain.result.success_rate)
    assert torch.allclose(channel.result.advantages, plain.result.advantages)  # the same penalty for all


def test_several_signals_arrive_in_their_order(batch):
    for info in batch.infos.values():
        info["reward_extra_info"] |= {"grounding": 0.25, "grounding_valid": 1.0}
    config = AwpoConfig(reasoning_key=["grounding", "reasoning"])
    channel = plane.build_channel(batch, config, False)
    assert channel.reasoning.shape == channel.valid.shape == (5, 2)
    assert (channel.reasoning[:, 0] == 0.25).all() and channel.valid[:, 0].all()
    assert int(channel.valid[:, 1].sum()) == 4


def test_a_rollout_that_was_not_verified_has_no_advantage_and_moves_no_sibling(batch):
    batch.infos["b_1_0"]["reward_extra_info"]["outcome_valid"] = 0.0
    with step_channel(plane.build_channel(batch, CONFIG, False)) as channel:
        advantages, _ = compute_awpo_advantage(*verls_inputs())
    assert channel.outcome_valid.tolist() == [True, True, True, False, True]
    assert (advantages[list(ROWS).index("b_1_0")] == 0).all()
    assert channel.result.outcome_stats.mean.tolist() == [1.5, 0.5]


def test_the_range_of_a_row_comes_with_its_rollouts(batch):
    for key in ("b_0_0", "b_1_0", "b_2_0"):
        batch.infos[key]["reward_extra_info"] |= {"outcome_min": 0.0, "outcome_max": 1.0}
    channel = plane.build_channel(batch, CONFIG, False)
    everywhere = [CONFIG.reward_min, CONFIG.reward_max]
    of_group = {uid: rows for uid, rows in zip(channel.group, channel.outcome_range.tolist(), strict=True)}
    assert of_group == {"a": everywhere, "b": [0.0, 1.0]}
    with step_channel(channel):
        compute_awpo_advantage(*verls_inputs())
    rates = dict(zip(dict.fromkeys(channel.group), channel.result.success_rate.tolist(), strict=True))
    outcome = [channel.outcome[i].item() for i, uid in enumerate(channel.group) if uid == "b"]
    assert rates["b"] == pytest.approx(min(1.0, sum(outcome) / len(outcome)))


def test_whitening_weighs_a_session_by_all_its_tokens(batch):
    config = AwpoConfig.from_mapping({"preset": "gdpo"})
    rewards, mask = verls_inputs()
    with step_channel(plane.build_channel(batch, config, False)) as channel:
        advantages, _ = compute_awpo_advantage(rewards, mask)
    real = mask.bool() & torch.tensor([[not key.startswith("pad")] for key in ROWS])
    assert float(advantages[real].mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(advantages[real].std()) == pytest.approx(1.0, abs=1e-5)
    assert channel.result.gate.max() == 1.0


def test_a_missing_column_says_what_to_set(batch):
    del batch.infos["b_0_0"]["reward_extra_info"]["reasoning_valid"]
    with pytest.raises(AwpoSetupError, match="column 'reasoning_valid' is missing from the reward of 1 of 5 rollouts"):
        plane.build_channel(batch, CONFIG, False)


def test_without_the_channel_the_estimator_stops():
    with pytest.raises(AwpoSetupError, match=r"trainer\.use_v1=True"):
        compute_awpo_advantage(*verls_inputs())


def test_rows_that_changed_in_between_are_refused(batch):
    rewards, mask = verls_inputs()
    with step_channel(plane.build_channel(batch, CONFIG, False)), pytest.raises(AwpoSetupError, match="7 rows"):
        compute_awpo_advantage(rewards[:5], mask[:5])


def test_without_a_radius_the_loss_stops():
    zeros = torch.zeros(2, 3)
    with pytest.raises(AwpoSetupError, match="got no clip radius"):
        loss.compute_policy_loss_awpo(zeros, zeros, zeros, zeros)


def test_the_reasons_of_failures_arrive_where_the_reward_function_gives_them(batch):
    assert plane.build_channel(batch, CONFIG, False).failure.isnan().all()
    for info in batch.infos.values():
        info["reward_extra_info"]["reasoning_failure"] = 2.0
    assert plane.build_channel(batch, CONFIG, False).failure.tolist() == [[2.0]] * 5


def test_clip_higher_reaches_the_loss_in_the_workers(monkeypatch):
    """By the function that the trainer sends to the workers, through verl's own interfaces."""
    from verl.workers.config import ActorConfig
    from verl.workers.utils import losses

    old = torch.zeros(1, 1)
    rising = torch.tensor([[1.25]]).log()  # beyond a radius of 0.2, within 1.4 times as much

    def ppo_loss(config, model_output, data, dp_group=None):
        return loss.compute_policy_loss_awpo(old, rising, old + 1, old + 1, config=config)

    monkeypatch.setattr(losses, "ppo_loss", ppo_loss)
    config = ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1)
    data = {loss.RADIUS_FIELD: torch.tensor([0.2])}
    for clip_higher, expected in ((1.0, -1.2), (1.4, -1.25)):
        value, _ = loss.worker_loss(config, clip_higher)(model_output=None, data=data)
        assert float(value) == pytest.approx(expected)
    with pytest.raises(AwpoSetupError, match="got no clip radius"):
        loss.worker_loss(config, 1.4)(model_output=None, data={})
