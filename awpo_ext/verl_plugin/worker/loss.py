"""The policy loss `awpo` as verl calls it, and the worker's loss function that hands it the clip radius.

verl passes a policy loss no per-batch numbers. So the worker's loss (set through verl's `set_loss_fn`) takes the radius
that the trainer put beside the advantages, keeps it in a context variable, and calls verl's own `ppo_loss`.
"""

from contextvars import ContextVar
from functools import partial
from typing import Any

import torch

from awpo_ext.clipping import awpo_policy_loss
from awpo_ext.verl_plugin.compat import PPO_LOSS_PARAMETERS, AwpoSetupError, check_parameters

NAME = "awpo"
RADIUS_FIELD = "awpo_clip_radius"  # (B,) float, in verl's training batch

# the micro-batch's radius, and clip_higher
_clip: ContextVar[tuple[torch.Tensor, float] | None] = ContextVar("awpo_clip", default=None)


def compute_policy_loss_awpo(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """verl's policy-loss interface around `awpo_policy_loss`; dual clip and aggregation come from verl's actor config.

    Raises:
        AwpoSetupError: no clip radius reached this worker.
    """
    clip = _clip.get()
    if clip is None:
        raise AwpoSetupError(
            "policy_loss.loss_mode=awpo got no clip radius: it needs algorithm.adv_estimator=awpo, "
            "trainer.use_v1=True and awpo-ext installed on every node"
        )
    from verl.trainer.ppo.core_algos import agg_loss

    radius, clip_higher = clip

    def aggregate(loss: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return agg_loss(loss_mat=loss, loss_mask=mask, loss_agg_mode=loss_agg_mode, **config.global_batch_info)

    return awpo_policy_loss(
        old_log_prob,
        log_prob,
        advantages,
        response_mask,
        radius,
        clip_ratio_c=config.get("clip_ratio_c", 3.0),
        clip_higher=clip_higher,
        rollout_is_weights=rollout_is_weights,
        aggregate=aggregate,
    )


def awpo_worker_loss(
    config: Any, model_output: Any, data: Any, dp_group: Any = None, clip_higher: float = 1.0
) -> tuple[torch.Tensor, dict]:
    """verl's `ppo_loss` with the micro-batch's clip radius within reach of the policy loss. Runs in the workers."""
    from verl.workers.utils.losses import ppo_loss

    known = RADIUS_FIELD in data.keys()  # noqa: SIM118  (a TensorDict)
    token = _clip.set((data[RADIUS_FIELD], clip_higher) if known else None)
    try:
        return ppo_loss(config=config, model_output=model_output, data=data, dp_group=dp_group)
    finally:
        _clip.reset(token)


def worker_loss(actor_config: Any, clip_higher: float = 1.0) -> partial:
    """What the trainer sends to the workers with `set_loss_fn`.

    Args:
        actor_config: verl's ActorConfig dataclass of `actor_rollout_ref.actor`.
        clip_higher: of `AwpoConfig`.
    """
    from verl.workers.utils.losses import ppo_loss

    check_parameters(ppo_loss, PPO_LOSS_PARAMETERS, "verl's ppo_loss")
    return partial(awpo_worker_loss, config=actor_config, clip_higher=clip_higher)


def register(core_algos: Any) -> None:
    """Register under verl's name registry; called when verl imports its algorithms."""
    core_algos.register_policy_loss(NAME)(compute_policy_loss_awpo)
