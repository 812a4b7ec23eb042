"""Dynamic sampling that asks the estimator: `algorithm.filter_groups.metric=awpo` drops the prompts that would train nothing.

verl's own filter compares one column of the rollouts. That drops a prompt whose outcome and reasoning cancel in the sum, and
keeps a solved one, which AWPO closes. Here a prompt goes where every one of its advantages is 0.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import DictConfig

from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError, check_parameters
from awpo_ext.verl_plugin.driver.channel import build_channel
from awpo_ext.verl_plugin.driver.estimator import StepChannel

METRIC = "awpo"
NOTHING = 1e-9  # an advantage below this is rounding


def asks_estimator(config: DictConfig) -> bool:
    """True where the run filters groups by the estimator."""
    groups = config.algorithm.get("filter_groups") or {}
    return bool(groups.get("enable")) and groups.get("metric") == METRIC


def check_filter(config: DictConfig) -> None:
    """Raise AwpoSetupError where the run's replay buffer cannot be asked to filter by the estimator."""
    if not asks_estimator(config):
        return
    from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    check_parameters(ReplayBuffer._dapo_filtered_keys, ("self", "partition_id"), "ReplayBuffer._dapo_filtered_keys")
    check_parameters(PPOTrainer._build_replay_buffer, ("self",), "PPOTrainer._build_replay_buffer")
    sampler = config.trainer.v1.sampler.get("custom_sampler") or {}
    if sampler.get("path"):
        raise AwpoSetupError(
            f"algorithm.filter_groups.metric={METRIC} works with verl's own replay buffer, and "
            f"trainer.v1.sampler.custom_sampler.path={sampler.get('path')} replaces it; unset one of the two"
        )


def install(buffer: Any, config: Callable[[], AwpoConfig], reliability: Callable[[], ReliabilityState]) -> None:
    """Make verl's replay buffer ask the estimator which finished prompts to drop.

    Args:
        config, reliability: the method, and what is known of the judge, at the time of asking.
    """
    buffer._dapo_filtered_keys = partial(filtered_keys, buffer, config, reliability)


def filtered_keys(
    buffer: Any, config: Callable[[], AwpoConfig], reliability: Callable[[], ReliabilityState], partition_id: str
) -> tuple[set[str], Counter]:
    """In place of `ReplayBuffer._dapo_filtered_keys`: the finished prompts to drop, and how many had which mean outcome.

    Each prompt is asked about once; the answer is kept in verl's own cache, which the buffer clears with the prompt.
    """
    if partition_id == "val":
        return set(), Counter()
    finished, known = buffer.finished_keys[partition_id], buffer._dapo_classification_cache[partition_id]
    for uid in known.keys() - finished:
        del known[uid]
    fresh = finished - known.keys()
    keys = [key for key in buffer.partitions[partition_id] if key.split("_")[0] in fresh]
    idle = dict.fromkeys(fresh - {key.split("_")[0] for key in keys}, 0.0)  # no rollout of them is left
    if keys:
        batch = SimpleNamespace(keys=keys, tags=[{}] * len(keys), partition_id=partition_id)
        idle |= idle_groups(build_channel(batch, config(), kl_in_reward=True), reliability())
    known.update({uid: idle.get(uid) for uid in fresh})
    dropped = {uid: outcome for uid, outcome in known.items() if outcome is not None}
    return set(dropped), Counter(dropped.values())


def idle_groups(channel: StepChannel, reliability: ReliabilityState) -> dict[str, float]:
    """The prompts of which every advantage is 0, with their mean outcome (0 where nothing could be verified).

    Args:
        channel: with `task`, the rewards before any KL penalty.
        reliability: `gate: reliability` shares the judge's say between the groups of a batch, which is not known yet: here
            the judge counts where it is trusted at all.
    """
    config = replace(channel.config, whiten=False)
    if config.gate == "reliability":
        config = replace(config, gate="always" if reliability.trust > 0 else "none")
    channel.take_reward(channel.task)
    result = channel.advantages(config)
    size = torch.zeros(len(result.gate), dtype=torch.float64).index_add_(
        0, result.group_index, result.advantages.double().abs()
    )
    uids = dict.fromkeys(channel.group)
    means = result.task_stats.mean.tolist()
    return {uid: mean for uid, mean, moved in zip(uids, means, size.tolist(), strict=True) if moved <= NOTHING}
