"""The advantage estimator `awpo` as verl calls it: takes the step's reward columns from the trainer, gives advantages.

verl's V1 trainer hands an estimator one scalar a rollout. The columns therefore travel in a context variable, which
`AwpoTrainerMixin` sets around verl's own advantage step and reads the result from. Without it there is no AWPO, and
the estimator stops the run instead of doing something else.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from awpo_ext.advantage import AwpoResult, awpo_advantages
from awpo_ext.components import Components
from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin import compat
from awpo_ext.verl_plugin.compat import AwpoSetupError

NAME = "awpo"


@dataclass
class StepChannel:
    """One training step's inputs to the estimator, and the result it leaves.

    verl's batch has B rows; N rollouts stand behind them: a session of an agent loop may have several rows, which count
    once, and padding rows count nowhere.
    """

    config: AwpoConfig
    reasoning: torch.Tensor  # (N, K) NaN where unscored
    valid: torch.Tensor  # (N, K) bool
    outcome_valid: torch.Tensor  # (N,) bool
    outcome_range: torch.Tensor  # (N, 2) lowest and highest outcome that the rollout's row allows
    group: list[str]  # (N,) uid of the prompt
    task: torch.Tensor | None  # (N,) reward before verl's KL penalty; None where verl takes none off
    final_row: torch.Tensor  # (N,) the row that stands for the rollout: the last output of its session
    rollout_of_row: torch.Tensor  # (B,) index in [0, N), -1 for padding rows
    unread: list[str | None] = field(default_factory=list)  # (N,) why the response could not be read, "" where it was
    failure: torch.Tensor | None = None  # (N, K) code of an UnscoredReason, 0 where scored, NaN where it is not said
    criteria: dict[str, torch.Tensor] = field(default_factory=dict)  # (N,) parts of the judge's score, NaN without one
    reliability: ReliabilityState | None = None  # what earlier steps have shown of the judge
    components: Components | None = (
        None  # of the outcome, unverified rollouts without any; None where it is verl's reward
    )
    outcome: torch.Tensor | None = None  # (N,) the outcome reward, without a KL penalty; NaN without a component of it
    kl_penalty: torch.Tensor | None = None  # (N,) what verl took off it; None where it takes none off
    tokens: torch.Tensor | None = None  # (N,) response tokens, over all outputs of the session
    result: AwpoResult | None = None

    def take_reward(self, reward: torch.Tensor) -> None:
        """verl's `(N,)` reward is the outcome where components are not."""
        if self.components is None:
            self.outcome = reward

    def advantages(self, config: AwpoConfig) -> AwpoResult:
        """Of this step, as `config` has it."""
        parts = self.components
        return awpo_advantages(
            self.outcome if parts is None else parts.values,
            self.reasoning,
            self.group,
            config,
            self.valid,
            self.outcome_valid if parts is None else parts.valid,
            kl_penalty=self.kl_penalty,
            tokens=self.tokens if config.whiten else None,
            reliability=self.reliability,
            outcome_range=self.outcome_range if parts is None else parts.ranges,
        )


_channel: ContextVar[StepChannel | None] = ContextVar("awpo_step_channel", default=None)


@contextmanager
def step_channel(channel: StepChannel):
    """Make `channel` the one that the estimator reads, for the duration of verl's advantage step."""
    token = _channel.set(channel)
    try:
        yield channel
    finally:
        _channel.reset(token)


def compute_awpo_advantage(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    config: Any = None,
    index: np.ndarray | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """verl's estimator interface: `(B, T)` rewards and mask -> `(B, T)` advantages and returns (the same, as in GRPO).

    Raises:
        AwpoSetupError: the trainer did not deliver the reward columns.
    """
    channel = _channel.get()
    if channel is None:
        raise AwpoSetupError(
            "adv_estimator=awpo got no reward columns: it needs verl's V1 trainer extended by awpo-ext. Set "
            "trainer.use_v1=True; a trainer class or task runner of your own needs AwpoTrainerMixin "
            "(awpo_ext.verl_plugin.trainer) first among its bases"
            + "".join(f". {why}" for why in compat.unavailable.values())
        )
    if len(channel.rollout_of_row) != len(response_mask):
        raise AwpoSetupError(
            f"the reward columns are for {len(channel.rollout_of_row)} rows, but verl computes advantages of "
            f"{len(response_mask)}; this trainer adds or drops rows between the two, which awpo-ext does not support"
        )
    # Not under the mask: verl writes the score on the last token, which a tool's answer may own. Padding holds zeros.
    reward = token_level_rewards.sum(dim=-1).double().cpu()[channel.final_row]
    channel.take_reward(reward if channel.task is None else channel.task)
    channel.kl_penalty = None if channel.task is None else channel.task - reward
    channel.tokens = session_tokens(response_mask, channel)
    channel.result = channel.advantages(channel.config)

    per_row = to_rows(channel.result.advantages, channel.rollout_of_row, padding=0.0)
    # The one (B, T) tensor: verl's mask is of integers, and a product with it would make a second, for the conversion.
    advantages = response_mask.to(token_level_rewards.dtype, copy=True).mul_(
        per_row.to(token_level_rewards).unsqueeze(-1)
    )
    return advantages, advantages


def session_tokens(response_mask: torch.Tensor, channel: StepChannel) -> torch.Tensor:
    """`(N,)` response tokens of each rollout, over all outputs of its session."""
    real = channel.rollout_of_row >= 0
    tokens = response_mask.sum(dim=-1).double().cpu()[real]
    return torch.zeros(len(channel.group), dtype=torch.float64).index_add_(0, channel.rollout_of_row[real], tokens)


def to_rows(values: torch.Tensor, rollout_of_row: torch.Tensor, padding: float) -> torch.Tensor:
    """Spread `(N,)` per-rollout values over the `(B,)` rows; padding rows get `padding`."""
    if not len(values):
        return values.new_full(rollout_of_row.shape, padding)
    return torch.where(rollout_of_row >= 0, values[rollout_of_row.clamp(min=0)], values.new_tensor(padding))


def register(core_algos: Any) -> None:
    """Register under verl's name registry; called when verl imports its algorithms."""
    core_algos.register_adv_est(NAME)(compute_awpo_advantage)
