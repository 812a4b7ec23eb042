"""Settings of verl under which AWPO trains nothing, or that it does not read: each is refused with the key to set."""

import difflib

from omegaconf import DictConfig

from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver import group_filter
from awpo_ext.verl_plugin.worker import loss
from reward_models.reward_columns import CRITERION, REWARD_COLUMNS

OUR_REWARD = "pkg://reward_models.reward"
CLIP_RATIO = 0.2  # verl's default of clip_ratio, clip_ratio_low and clip_ratio_high
VERLS_METRIC = "reward"  # of filter_groups: the reward itself, not a column


def check_settings(config: DictConfig, section: AwpoConfig) -> None:
    """Raises AwpoSetupError naming key, value and fix."""
    _check_group_size(config)
    _check_normalisation(config, section)
    _check_clip(config)
    _check_reward_model(config)
    _check_names_of_columns(config, section)
    group_filter.check_filter(config)


def _check_group_size(config: DictConfig) -> None:
    n = config.actor_rollout_ref.rollout.n
    if n < 2:
        raise AwpoSetupError(
            f"actor_rollout_ref.rollout.n={n}: AWPO compares the rollouts of a prompt with each other, so with one "
            "every advantage is 0 and nothing is trained; set actor_rollout_ref.rollout.n=4 or more"
        )


def _check_normalisation(config: DictConfig, section: AwpoConfig) -> None:
    key = "norm_adv_by_std_in_grpo"
    value = config.algorithm.get(key, True)
    if section.norm_by_mean and config.algorithm.get("use_kl_in_reward"):
        raise AwpoSetupError(
            "algorithm.use_kl_in_reward=True does not go with +algorithm.awpo.norm_by_mean=True (preset maxrl), which divides "
            "by the success rate; set use_kl_in_reward=False, and actor_rollout_ref.actor.use_kl_loss=True if you want KL"
        )
    if section.components and section.integration == "decoupled" and config.algorithm.get("use_kl_in_reward"):
        raise AwpoSetupError(
            "algorithm.use_kl_in_reward=True does not go with +algorithm.awpo.integration=decoupled (presets gdpo, saw_gdpo) "
            "and reward_components, each of which is compared by itself: the penalty belongs to none of them; set "
            "use_kl_in_reward=False, and actor_rollout_ref.actor.use_kl_loss=True if you want KL"
        )
    if value != section.norm_by_std and not value:
        raise AwpoSetupError(
            f"algorithm.{key}={value} is not read by the estimator awpo; set +algorithm.awpo.norm_by_std={value}"
        )


def _check_clip(config: DictConfig) -> None:
    actor = config.actor_rollout_ref.actor
    if actor.policy_loss.loss_mode != loss.NAME:
        return
    if actor.clip_ratio_c <= 1.0:
        raise AwpoSetupError(
            f"actor_rollout_ref.actor.clip_ratio_c={actor.clip_ratio_c} is out of range; allowed: above 1.0 (3.0 by default)"
        )
    low, high = actor.clip_ratio_low, actor.clip_ratio_high
    if low != high:
        raise AwpoSetupError(
            f"actor.clip_ratio_low={low} and clip_ratio_high={high} differ, but the loss awpo reads neither: leave both "
            "alone, set the radius by +algorithm.awpo.clip_min and clip_max, and for clip-higher "
            f"+algorithm.awpo.clip_higher={high / low:.3g}, the upper radius over the lower one"
        )
    for key in ("clip_ratio", "clip_ratio_low", "clip_ratio_high"):
        if actor[key] != CLIP_RATIO:
            raise AwpoSetupError(
                f"actor_rollout_ref.actor.{key}={actor[key]} is not read by the loss awpo; leave it at {CLIP_RATIO} and set "
                f"+algorithm.awpo.clip_max={actor[key]} (the radius where the gate is 0) and clip_min"
            )


def _check_reward_model(config: DictConfig) -> None:
    model = config.reward.get("reward_model") or {}
    if model.get("enable") and not model.get("enable_resource_pool"):
        raise AwpoSetupError(
            "reward.reward_model.enable=True with enable_resource_pool=False scores rollouts after they were sampled, "
            "without the reward function's columns; set reward.reward_model.enable_resource_pool=True"
        )


def _check_names_of_columns(config: DictConfig, section: AwpoConfig) -> None:
    """With our reward function the columns are known before the first rollout."""
    if (config.reward.get("custom_reward_function") or {}).get("path") != OUR_REWARD:
        return
    named = [("algorithm.awpo.reasoning_key", key) for key in section.reasoning_key]
    named += [("algorithm.awpo.valid_key", key) for key in section.valid_key]
    named += [("algorithm.awpo.reward_components", name) for name in section.components]
    named.append(("algorithm.awpo.outcome_valid_key", section.outcome_valid_key))
    groups = config.algorithm.get("filter_groups") or {}
    if groups.get("enable") and groups.get("metric") not in (VERLS_METRIC, group_filter.METRIC):
        named.append(("algorithm.filter_groups.metric", str(groups.get("metric"))))
    numbers = [column for column in REWARD_COLUMNS if column != "details"]
    for key, name in named:
        if name not in numbers and not name.startswith(CRITERION):
            near = difflib.get_close_matches(name, numbers, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise AwpoSetupError(
                f"{key}={name} is not a number that {OUR_REWARD} returns; {hint}columns: {', '.join(numbers)}"
            )
