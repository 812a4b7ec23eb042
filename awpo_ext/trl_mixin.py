"""AWPO in TRL's GRPOTrainer: the mixin replaces its advantages and its clip radius, and leaves all else to TRL.

    class Trainer(AwpoMixin, GRPOTrainer): ...

    Trainer(model, reward_funcs=[outcome, judge], args=GRPOConfig(..), awpo=AwpoConfig(reward_min=0.0, reward_max=1.0), ..)

The first reward function is the outcome, or the first C are its components in the order of `awpo.reward_components`; the
others are the reasoning signals, in the order of `awpo.reasoning_key`. Where one returns None, the rollout has no such
reward. TRL itself is not imported here. Written for TRL 1.16.
"""

from dataclasses import replace
from typing import Any

import torch

from awpo_ext.advantage import awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig, AwpoConfigError
from awpo_ext.metrics import awpo_metrics
from awpo_ext.reliability import ReliabilityState


class AwpoMixin:
    """Put before TRL's GRPOTrainer; takes the keyword `awpo` beside TRL's own.

    The state of `gate=reliability` is kept for the run, in `reliability`; TRL's checkpoints do not hold it, so a resumed run
    starts without evidence.

    Raises:
        AwpoConfigError: `clip_scope=group`, since TRL has one radius; or other than one reward function a signal and one for
            the outcome, or for each of its components.
    """

    def __init__(self, *args: Any, awpo: AwpoConfig = AwpoConfig(), **kwargs: Any) -> None:
        if awpo.clip_scope == "group":
            raise AwpoConfigError(
                "clip_scope='group' is not possible in TRL, which has one radius; set clip_scope=batch"
            )
        self.awpo, self.reliability = awpo, ReliabilityState()
        self._awpo_rewards: torch.Tensor | None = None
        super().__init__(*args, **kwargs)
        if len(self.reward_funcs) != (len(awpo.components) or 1) + awpo.signals:
            first = f"one for each of reward_components={list(awpo.components)}" if awpo.components else "the outcome's"
            raise AwpoConfigError(
                f"reward_funcs has {len(self.reward_funcs)} functions; give {first} first and then one for each of "
                f"reasoning_key={list(awpo.reasoning_key)}"
            )

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._awpo_rewards = super()._calculate_rewards(
            *args, **kwargs
        )  # of all processes, in the order of the prompts
        return self._awpo_rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        training = self.model.training
        rewards = self._awpo_rewards.double().cpu()
        size = self.num_generations if training else self.num_generations_eval
        outcome, scores = rewards[:, : -self.awpo.signals], rewards[:, -self.awpo.signals :]
        outcome = outcome if self.awpo.components else outcome[:, 0]
        known, scored = outcome.isfinite(), scores.isfinite()
        config = self.awpo if training else replace(self.awpo, whiten=False)
        columns = outcome, scores, torch.arange(len(outcome)) // size, config, scored, known
        result = awpo_advantages(*columns, reliability=self.reliability)
        if parts := result.components:
            outcome, known = parts.total(config), parts.verified(config)
        radius = clip_radius(result.gate, config, result.verified)
        if training:
            self.reliability = result.reliability
            self.epsilon_low, self.epsilon_high = float(radius), config.clip_higher * float(radius)
        for name, value in awpo_metrics(result, outcome, scores, scored, radius, config, known).items():
            self._metrics["train" if training else "eval"][name].append(value)

        here, local = self.accelerator.process_index, output["advantages"]
        ours = result.advantages[here * len(local) : (here + 1) * len(local)]
        return {**output, "advantages": ours.to(local)}
