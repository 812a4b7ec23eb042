"""The presets are the estimators that they name: parity with verl's own functions, to 1e-6, on the installed verl."""

from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from awpo_ext.advantage import Closed, awpo_advantages
from awpo_ext.config import PRESETS, AwpoConfig
from tests.awpo_ext.batches import KNOWN, NAN, batches, cases, many, rng_batch, run

try:
    VERL = f"verl-{version('verl')}"
except PackageNotFoundError:
    VERL = "verl-absent"


def preset(name, **settings):
    return AwpoConfig.from_mapping({"preset": name, **settings})


def verls_columns(batch, rewards):
    """(token-level rewards, mask, uids): each rollout has its own number of response tokens, the reward on the last."""
    lengths = torch.tensor(batch.tokens)
    mask = (torch.arange(10) < lengths[:, None]).double()
    token_level = torch.zeros_like(mask)
    token_level[torch.arange(len(lengths)), lengths - 1] = torch.tensor(rewards, dtype=torch.float64)
    return token_level, mask, np.array(batch.group, dtype=object)


def summed(batch, weight):
    return [out + weight * s for out, (s,) in zip(batch.outcome, batch.reasoning, strict=True)]


def grpo(core_algos, batch):
    return core_algos.compute_grpo_outcome_advantage(*verls_columns(batch, batch.outcome))


def grpo_of_the_sum(core_algos, batch):
    return core_algos.compute_grpo_outcome_advantage(*verls_columns(batch, summed(batch, 2.0)))


def dr_grpo(core_algos, batch):
    columns = verls_columns(batch, batch.outcome)
    return core_algos.compute_grpo_outcome_advantage(*columns, norm_adv_by_std_in_grpo=False)


def rloo(core_algos, batch):
    return core_algos.compute_rloo_outcome_advantage(*verls_columns(batch, batch.outcome))


def gdpo(core_algos, batch, weights=(2.0,)):
    keys = [f"reasoning{k}" for k in range(len(weights))]
    token_level, mask, uids = verls_columns(batch, batch.outcome)
    prompts = torch.ones(len(batch), 3, dtype=torch.int64)
    return core_algos.compute_gdpo_outcome_advantage(
        token_level,
        mask,
        uids,
        config={"gdpo_reward_keys": ["outcome", *keys], "gdpo_reward_weights": [1.0, *weights]},
        non_tensor_batch={"outcome": batch.outcome} | dict(zip(keys, zip(*batch.reasoning, strict=True), strict=True)),
        batch={
            "prompts": prompts,
            "attention_mask": torch.cat([prompts, mask.long()], dim=1),
        },
    )


VERLS = {"outcome_only": grpo, "naive_sum": grpo_of_the_sum, "dr_grpo": dr_grpo, "rloo": rloo, "gdpo": gdpo}


@pytest.mark.parametrize("name", VERLS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("verl", [VERL])
def test_parity_with_verl(verl, name, seed):
    core_algos = pytest.importorskip("verl.trainer.ppo.core_algos", reason="needs verl")
    batch = rng_batch(seed, groups=16, size=8)
    theirs, _ = VERLS[name](core_algos, batch)
    ours = run(batch, preset(name, reasoning_weight=2.0)).advantages
    assert torch.allclose(ours, theirs[:, 0].double(), rtol=0, atol=1e-6)


discrete = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(
    batches(min_groups=1, min_size=2, all_valid=True, signals=2, outcomes=st.sampled_from([0.0, 1.0]), scores=discrete)
)
def test_gdpo_is_verls_where_rewards_tie_and_cancel(batch):
    core_algos = pytest.importorskip("verl.trainer.ppo.core_algos", reason="needs verl")
    batch = batch.with_(tokens=[1] * len(batch), kl_penalty=[0.0] * len(batch))
    settings = {"reasoning_key": ["a", "b"], "reasoning_weight": [1.0, 0.5]}
    assume(run(batch, preset("gdpo", **settings, whiten=False)).advantages.abs().max() > 0.01)  # else verl's rounding
    theirs, _ = gdpo(core_algos, batch, weights=(1.0, 0.5))
    config = preset("gdpo", **settings)
    assert torch.allclose(run(batch, config).advantages, theirs[:, 0].double(), rtol=0, atol=1e-4)  # verl: float32


def test_gdpo_hears_signals_that_stand_on_different_rollouts():
    config = preset("gdpo", reasoning_key=["a", "b"], whiten=False)
    scores = [[0.0, NAN], [1.0, NAN], [NAN, 0.0], [NAN, 1.0]]
    valid = [[True, False], [True, False], [False, True], [False, True]]
    result = awpo_advantages([0.0] * 4, scores, ["g"] * 4, config, valid)
    assert result.closed.tolist() == [Closed.OPEN]
    assert result.advantages.tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5] * 2, abs=1e-5)


@many
@given(cases())
def test_a_sum_of_nothing_but_the_outcome_is_outcome_only(case):
    batch, config = case
    mute = {"reasoning_key": config.reasoning_key, "reasoning_weight": 0.0}
    assert torch.equal(
        run(batch, preset("naive_sum", **mute)).advantages, run(batch, preset("outcome_only", **mute)).advantages
    )


@many
@given(cases())
def test_gdpo_gives_an_unscored_rollout_its_outcome_part_and_moves_no_sibling(case):
    batch, config = case
    settings = {"reasoning_key": config.reasoning_key, "reasoning_weight": config.reasoning_weight, "whiten": False}
    result = run(batch, preset("gdpo", **settings))
    unscored = torch.tensor([not any(valid) for valid in batch.valid], dtype=torch.bool)
    assert torch.equal(result.advantages[unscored], result.outcome_advantages[unscored])


def test_explicit_keys_win_over_a_preset():
    assert preset("rloo", gate="always").gate == "always"
    assert preset("awpo") == AwpoConfig()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_takes_a_batch_without_any_score(name):
    columns = [0.0, 1.0, 2.0, 4.0], [float("nan")] * 4, ["a"] * 4, preset(name), [False] * 4
    result = awpo_advantages(*columns, reliability=KNOWN)
    assert torch.isfinite(result.advantages).all() and (result.gate == 0).all()
