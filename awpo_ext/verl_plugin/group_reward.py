"""The public path of `GroupRewardManager`, for `reward.reward_manager.module.path`."""

from awpo_ext.verl_plugin.rollout.group_reward import GroupRewardManager

__all__ = ["GroupRewardManager"]
