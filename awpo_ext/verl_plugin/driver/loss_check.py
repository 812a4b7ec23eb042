"""Which of verl's policy losses train AWPO's advantages: one table, and a refusal of the rest before a model is loaded.

An advantage of AWPO is one number a rollout, on each of its response tokens, of either sign: what GRPO gives. So a loss
that takes GRPO's advantages takes AWPO's. What differs is the clip radius, which only the loss `awpo` reads.
"""

import logging
from collections.abc import Mapping

from omegaconf import DictConfig

from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.worker import loss

logger = logging.getLogger(__name__)

# verl's policy losses that train AWPO's advantages with clip_schedule=fixed -> what bounds a step there
VERLS_LOSSES = {
    "vanilla": "clip_ratio_low, clip_ratio_high, clip_ratio_c",
    "gspo": "the same two, of the ratio of whole sequences",
    "sapo": "tau_pos, tau_neg: a smooth gate in place of the clip",
    "geo_mean": "the same two, of the geometric mean of a sequence's ratios",
    "cispo": "the same two, of the weight alone: no token loses its gradient",
    "dppo_tv": "the same two, of the total variation",
    "dppo_kl": "the same two, of the KL",
    "clip_cov": "the same two, and the gradient of tokens of high covariance is cut",
    "kl_cov": "a KL penalty on tokens of high covariance; no clip",
    "gpg": "nothing: plain policy gradient",
    "dro": "dro_beta: a quadratic penalty on the log-ratio",
}


def check_loss(config: DictConfig, section: AwpoConfig) -> None:
    """The policy loss has to use the radius, in the form that it has; warns where no radius has any effect.

    Raises:
        AwpoSetupError: a loss that verl does not know, that does not stand by itself, or that would ignore a moving radius.
    """
    actor = config.actor_rollout_ref.actor
    mode = actor.policy_loss.loss_mode
    if mode != loss.NAME:
        _check_verls_loss(config, mode, section)
    if clip_is_inert(config):
        logger.warning(
            "awpo-ext: data.train_batch_size equals actor.ppo_mini_batch_size and ppo_epochs=1, so each batch is one "
            "update, the probability ratio is 1 and no clip radius has any effect; use a smaller ppo_mini_batch_size"
        )


def _check_verls_loss(config: DictConfig, mode: str, section: AwpoConfig) -> None:
    from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

    key = f"actor_rollout_ref.actor.policy_loss.loss_mode={mode}"
    if mode == "bypass_mode":
        raise AwpoSetupError(
            f"{key} takes its settings from a section that verl's V1 trainer does not fill; set loss_mode=awpo and, to skip "
            "the second pass for old log-probabilities, algorithm.rollout_correction.bypass_mode=True"
        )
    if mode not in POLICY_LOSS_REGISTRY and not config.actor_rollout_ref.model.get("external_lib"):
        raise AwpoSetupError(f"{key} is not a policy loss of verl's; losses: awpo, {', '.join(VERLS_LOSSES)}")
    if section.clip_schedule != "fixed":
        raise AwpoSetupError(
            f"{key} ignores AWPO's clip radius; set it to awpo, or set +algorithm.awpo.clip_schedule=fixed to train AWPO's "
            "advantages with that loss"
        )
    if mode == "dro" and not config.actor_rollout_ref.actor.policy_loss.get("dro_beta"):
        raise AwpoSetupError(f"{key} needs actor_rollout_ref.actor.policy_loss.dro_beta, a number above 0")
    if mode not in VERLS_LOSSES:
        logger.warning("awpo-ext: %s is not among the losses that AWPO's advantages were tested with", key)


def clip_is_inert(config: DictConfig) -> bool:
    """True where each batch is one update from its own policy: the ratio is then 1 and clipping does nothing."""
    actor = config.actor_rollout_ref.actor
    return (
        actor.ppo_mini_batch_size >= config.data.train_batch_size
        and actor.ppo_epochs == 1
        and not rollout_correction(config).get("bypass_mode")  # there the ratio is to vLLM's policy
    )


def rollout_correction(config: DictConfig) -> Mapping:
    """verl's `algorithm.rollout_correction`; {} where there is none."""
    return config.algorithm.get("rollout_correction") or {}
