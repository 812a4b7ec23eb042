"""Can a judge that ranks the rollouts of a prompt work in this run? Checked before it starts."""

import logging

from omegaconf import DictConfig

from awpo_ext.verl_plugin.compat import AwpoSetupError
from reward_models.judges.llm_group.rendezvous import MAX_WAITING

logger = logging.getLogger(__name__)

OVERRIDES = (
    "reward.reward_manager.source=importlib reward.reward_manager.name=GroupRewardManager "
    "reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward"
)


def check_group_judge(config: DictConfig) -> None:
    """Raise AwpoSetupError, with the override to set, where rollouts would not find their group.

    Warns where so many rollouts may wait in one reward worker that some groups are ranked before they are whole.
    """
    if not has_group_manager(config):
        manager = config.reward.reward_manager
        raise AwpoSetupError(
            f"the judge ranks the rollouts of a prompt, but reward.reward_manager (source={manager.source}, "
            f"name={manager.name}) does not tell the reward function whose siblings they are; set {OVERRIDES}"
        )
    rollout = config.actor_rollout_ref.rollout
    if rollout.n < 2:
        raise AwpoSetupError(
            f"actor_rollout_ref.rollout.n={rollout.n}, but the judge ranks the rollouts of a prompt against each other; "
            "set actor_rollout_ref.rollout.n=4 or more, or judge=llm"
        )
    model = config.reward.reward_model
    if model.enable and not model.enable_resource_pool:
        raise AwpoSetupError(
            "reward.reward_model.enable=True without enable_resource_pool=True scores after generation, without uid "
            "and session; set reward.reward_model.enable_resource_pool=True, or serve the judge outside of verl"
        )
    waiting = config.data.train_batch_size * rollout.n / config.reward.num_workers
    if waiting > MAX_WAITING:
        needed = -(-config.data.train_batch_size * rollout.n // MAX_WAITING)
        logger.warning(
            "awpo-ext: up to %d rollouts of a step may wait for siblings in each of reward.num_workers=%d workers; above "
            "%d the oldest groups are ranked before they are whole. Set reward.num_workers=%d",
            waiting,
            config.reward.num_workers,
            MAX_WAITING,
            needed,
        )


def has_group_manager(config: DictConfig) -> bool:
    """Whether the reward manager is GroupRewardManager, or a subclass; AwpoSetupError where it cannot be loaded."""
    from verl.trainer.ppo.reward import resolve_reward_manager_cls

    from awpo_ext.verl_plugin.rollout.group_reward import GroupRewardManager

    if config.reward.reward_manager.source != "importlib":
        return False
    try:
        return issubclass(resolve_reward_manager_cls(config), GroupRewardManager)
    except Exception as error:
        raise AwpoSetupError(f"reward.reward_manager cannot be loaded: {error}; set {OVERRIDES}") from error
