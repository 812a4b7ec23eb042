"""Outcome components through verl: columns to the estimator, the record and back, and what a run may ask for."""

import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.record import RecordError, open_record
from awpo_ext.record.recompute import check, compute, update_of
from awpo_ext.record.replay import Change, replay
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.config_check import compose, problems
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver.estimator import compute_awpo_advantage, step_channel
from awpo_ext.verl_plugin.driver.run_checks import awpo_section
from tests.awpo_ext.verl_plugin import test_recording
from tests.awpo_ext.verl_plugin.test_channel import verls_inputs
from tests.awpo_ext.verl_plugin.test_recording import TOKENIZER, recorder
from tests.awpo_ext.verl_plugin.test_run_checks import GOOD

batch = test_recording.batch
COMPONENTS = {"reward_components": {"right": 1.0, "short": 0.5, "seen": 0.0}, "component_range": {"right": [-1, 3]}}
CONFIG, GDPO = AwpoConfig(**COMPONENTS), AwpoConfig.from_mapping({"preset": "gdpo", **COMPONENTS})
PARTS = {"a_0_0": (1.0, 0.5), "a_0_1": (1.0, 0.5), "b_0_0": (0.0, 1.0), "a_1_0": (3.0, 0.0), "b_1_0": (-1.0, 0.25),
         "b_2_0": (1.0, None), "pad7_0_0": (0.0, 0.0)}  # fmt: skip


@pytest.fixture
def parts(batch):
    """The batch with the columns of the components; `b_2_0` lacks one."""
    infos = {key: extra["reward_extra_info"] for key, extra in batch.fields["extra_fields"].items()}
    for key, (right, short) in PARTS.items():
        infos[key] |= {"score": 9.0, "right": right, "short": short, "short_valid": short is not None, "seen": 7.0}
    batch.infos = infos
    return batch


def trained(batch, config, kl=0.0):
    channel = plane.build_channel(batch, config, bool(kl))
    channel.reliability = ReliabilityState()
    rewards, mask = verls_inputs()
    rewards[2, 0] -= kl
    with step_channel(channel):
        compute_awpo_advantage(rewards, mask)
    return channel


def test_the_weighted_sum_is_the_outcome_and_an_incomplete_rollout_counts_nowhere(parts):
    channel = trained(parts, CONFIG)
    assert channel.outcome[:4].tolist() == [1.25, 0.5, 3.0, -0.875] and channel.outcome[4].isnan()
    assert channel.outcome_valid.tolist() == [True] * 4 + [False]
    assert channel.outcome_range[0].tolist() == [-1.0, 3.5]
    assert channel.result.advantages[4] == 0 and channel.result.advantages[:4].all()


def test_a_kl_penalty_comes_off_the_sum(parts):
    channel = trained(parts, CONFIG, kl=0.25)
    assert channel.kl_penalty.tolist() == [0.0, 0.25, 0.0, 0.0, 0.0]
    assert channel.outcome[1] == 0.5 and channel.result.outcome_stats.mean[1] == (0.25 - 0.875) / 2


def test_the_range_of_a_row_and_of_the_score(parts):
    for info in parts.infos.values():
        info |= {"short_min": -1.0, "short_max": 2.0, "outcome_min": 8.0, "outcome_max": 9.0}
    config = AwpoConfig(reward_components={"short": 2.0, "score": 1.0})
    assert plane.build_channel(parts, config, False).outcome_range[0].tolist() == [6.0, 13.0]


def test_where_the_verifier_failed_no_component_is_read(parts):
    parts.infos["a_1_0"] |= {"outcome_valid": 0.0, "right": float("nan")}
    assert trained(parts, CONFIG).outcome_valid.tolist() == [True, True, False, True, False]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("right", None, "column 'right' of the reward function is None for rollout 1 of 5; allowed: a finite number"),
        (
            "short",
            3.0,
            r"component 'short' is 3.0 for rollout 1.*algorithm.awpo.component_range.short=\[lowest, highest",
        ),
        ("short_valid", "yes", "column 'short_valid' of the reward function is 'yes'"),
    ],
)
def test_a_bad_column_is_named(parts, column, value, message):
    parts.infos["b_0_0"][column] = value
    with pytest.raises(AwpoSetupError, match=message):
        plane.build_channel(parts, CONFIG, False)
    del parts.infos["b_0_0"]["right"]
    with pytest.raises(AwpoSetupError, match=r"column 'right' is missing.*algorithm.awpo.reward_components.<name>"):
        plane.build_channel(parts, CONFIG, False)


@pytest.mark.parametrize("config", [CONFIG, GDPO])
def test_a_run_replays_and_a_run_without_components_can_be_asked_about_them(parts, tmp_path, monkeypatch, config):
    monkeypatch.setattr(test_recording, "CONFIG", config)
    made, channel = recorder(tmp_path), trained(parts, config)
    radius = plane.radius_of_rollouts(clip_radius(channel.result.gate, config), channel)
    made.update(parts, channel, radius, (1, 0), TOKENIZER)
    made.close()
    record = open_record(tmp_path)
    assert check(record).difference < 1e-6
    rows = list(record.rows())
    assert [row["outcome"] for row in rows] == [1.25, 0.5, 3.0, -0.875, None] and not rows[4]["outcome_valid"]
    update = update_of(record.table("rollouts", record.parts()), None)
    assert torch.allclose(torch.tensor(compute(update, config).advantage), channel.result.advantages)
    weighed = Change({"reward_components": {"right": 0.5}, "component_range": {"right": [-1, 3]}})
    found = replay(tmp_path, weighed, tmp_path, None, print, lambda *_: lambda: None, rewards=False)
    assert found.comparison is not None and found.rollouts == 5
    with pytest.raises(RecordError, match=r"no column 'left' for reward_components; columns: .*right"):
        compute(update, AwpoConfig(reward_components=["left"]))


def test_what_a_run_may_ask_for():
    parts = ["+algorithm.awpo.reward_components.format=0.5", "+algorithm.awpo.reward_components.correctness=1"]
    section = awpo_section(compose([*GOOD, *parts]))
    assert section.component_range == {"format": (0.0, 1.0), "correctness": (-3.0, 3.0)}
    assert (section.reward_min, section.reward_max) == (-3.0, 3.5)
    assert problems([*GOOD, *parts]) == []
    for extra, message in (
        (["+algorithm.awpo.reward_components.form=1"], "reward_components=form is not a number that"),
        (["+algorithm.awpo.reward_max=4"], "reward_max=4 does not go with reward_components, by which it is 3.5"),
        (["+algorithm.awpo.preset=gdpo", "algorithm.use_kl_in_reward=True"], "use_kl_in_reward=True does not go with"),
    ):
        assert any(message in problem for problem in problems([*GOOD, *parts, *extra])), message
