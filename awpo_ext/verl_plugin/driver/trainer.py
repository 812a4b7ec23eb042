"""Extends verl's V1 trainers: brings reward columns to the estimator and the clip radius to the workers' loss.

This is the one place that reaches beyond verl's hooks. verl's registered trainers are replaced by subclasses of
themselves under the same names, so stock `python -m verl.trainer.main_ppo` finds them; runs with another estimator pass
through untouched. A trainer class of your own needs `class MyTrainer(AwpoTrainerMixin, PPOTrainerSync)`.
"""

import logging
import math
from typing import Any

import ray
import torch
import transfer_queue as tq
from tensordict import TensorDict
from verl.utils.config import omega_conf_to_dataclass

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import awpo_metrics
from awpo_ext.verl_plugin.compat import AwpoSetupError, check_trainer
from awpo_ext.verl_plugin.driver import estimator
from awpo_ext.verl_plugin.driver.estimator import StepChannel, step_channel, to_rows
from awpo_ext.verl_plugin.driver.first_step import FirstResponses, unread_reason
from awpo_ext.verl_plugin.driver.group_check import has_group_manager
from awpo_ext.verl_plugin.driver.judge_monitor import JudgeSteps
from awpo_ext.verl_plugin.driver.run_checks import check_run, uses_awpo
from awpo_ext.verl_plugin.rollout.group_reward import write_group_sizes
from awpo_ext.verl_plugin.worker.loss import RADIUS_FIELD, worker_loss
from reward_models.llm_client.step_stats import StepCollector

logger = logging.getLogger(__name__)


class AwpoTrainerMixin:
    """Put before one of verl's PPOTrainer classes. Does nothing unless algorithm.adv_estimator=awpo.

    But for one thing: where the reward manager is the group judge's, prompts are told how many rollouts they have.
    """

    def __init__(self, config):
        gathers = uses_awpo(config) and ray.is_initialized()
        collector = StepCollector() if gathers else None  # first: the check asks the judge, and that counts
        self._awpo: AwpoConfig | None = check_run(config)
        self._judge = JudgeSteps(self._awpo, collector) if self._awpo is not None else None
        self._first = FirstResponses.of(self._awpo, config) if self._awpo is not None else None
        super().__init__(config)

    def _setup(self):
        super()._setup()
        if self._awpo is not None:
            actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
            self.actor_rollout_wg.set_loss_fn(worker_loss(actor, self._awpo.clip_higher))

    def fit(self, agent_loop_manager):
        if has_group_manager(self.config):
            write_group_sizes(agent_loop_manager, self.config.actor_rollout_ref.rollout)
        super().fit(agent_loop_manager)

    def _compute_advantage(self, batch, metrics):
        if self._awpo is None:
            return super()._compute_advantage(batch, metrics)
        channel = build_channel(batch, self._awpo, self.config.algorithm.use_kl_in_reward)
        self._first.check(channel.unread, lambda numbers: read_responses(batch, channel, numbers, self.tokenizer))
        with step_channel(channel):
            batch = super()._compute_advantage(batch, metrics)
        if channel.result is None:
            raise AwpoSetupError("verl computed advantages without calling the estimator awpo")
        radius = clip_radius(channel.result.gate, self._awpo, channel.result.verified)
        columns = (channel.outcome, channel.reasoning, channel.valid)
        metrics.update(awpo_metrics(channel.result, *columns, radius, self._awpo, channel.outcome_valid))
        metrics.update(self._judge.add(channel.valid, channel.failure))
        return put_radius(batch, radius, channel)

    def on_train_begin(self):
        if self._judge is not None:
            self._judge.end_step(self.global_steps - 1)  # what was asked before the first step
        super().on_train_begin()

    def on_step_begin(self):
        if self._judge is not None:
            self._judge.begin_step()
        super().on_step_begin()

    def on_validate_begin(self):
        if self._judge is not None:
            self._judge.begin_validation()
        super().on_validate_begin()

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        if self._judge is not None:
            metrics.update(self._judge.end_step(global_steps))

    def _update_actor(self, batch, metrics):
        batch = super()._update_actor(batch, metrics)
        for key in [key for key in metrics if key.startswith("actor/awpo/")]:  # verl puts "actor/" before them
            metrics[key.removeprefix("actor/")] = metrics.pop(key)
        return batch


def build_channel(batch: Any, config: AwpoConfig, kl_in_reward: bool) -> StepChannel:
    """Read the reward columns of a batch from the TransferQueue, one rollout a session.

    Args:
        batch: verl's KVBatchMeta; keys are `{uid}_{session}_{output}`, padding rows are tagged `is_padding`.
        kl_in_reward: whether verl takes a KL penalty off the reward; then the reward before it is read too.

    Raises:
        AwpoSetupError: a column is missing; the message says which the reward function gave and what to set.
    """
    real = [row for row, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
    last: dict[tuple[str, str], tuple[int, int]] = {}  # (uid, session) -> (output, row), in order of appearance
    sessions = {}
    for row in real:
        uid, session, output = batch.keys[row].rsplit("_", 2)
        sessions[row] = (uid, session)
        last[uid, session] = max(last.get((uid, session), (-1, -1)), (int(output), row))
    number = {session: i for i, session in enumerate(last)}
    final_rows = [row for _, row in last.values()]

    fetched = tq.kv_batch_get(
        keys=[batch.keys[row] for row in final_rows],
        partition_id=batch.partition_id,
        select_fields=["extra_fields", "rm_scores"] if kl_in_reward else ["extra_fields"],
    )
    # list(): by backend a field is a list, an array or a tensordict stack
    infos = [dict(extra).get("reward_extra_info") or {} for extra in list(fetched["extra_fields"])]
    rollout_of_row = [number[sessions[row]] if row in sessions else -1 for row in range(len(batch.keys))]
    return StepChannel(
        config=config,
        reasoning=_columns(infos, config.reasoning_key),
        valid=_columns(infos, config.valid_key) != 0,
        failure=torch.tensor(
            [[float(info.get(f"{key}_failure", math.nan)) for key in config.reasoning_key] for info in infos]
        ).reshape(len(infos), config.signals),
        outcome_valid=torch.tensor(
            [bool(info.get(config.outcome_valid_key, True)) for info in infos], dtype=torch.bool
        ),
        outcome_range=_outcome_range(infos, config),
        group=[uid for uid, _ in last],
        unread=[unread_reason(info) for info in infos],
        task=torch.tensor([float(r.sum()) for r in fetched["rm_scores"]]).double() if kl_in_reward else None,
        final_row=torch.tensor(final_rows, dtype=torch.int64),
        rollout_of_row=torch.tensor(rollout_of_row, dtype=torch.int64),
    )


def read_responses(batch: Any, channel: StepChannel, numbers: list[int], tokenizer: Any) -> list[str]:
    """The last responses of the rollouts with these numbers, as the reward function saw them: without special tokens."""
    keys = [batch.keys[int(channel.final_row[number])] for number in numbers]
    fetched = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["responses"])
    return [tokenizer.decode(ids, skip_special_tokens=True) for ids in fetched["responses"]]


def _outcome_range(infos: list[dict[str, Any]], config: AwpoConfig) -> torch.Tensor:
    """`(N, 2)` of the columns `outcome_min` and `outcome_max`; `reward_min` and `reward_max` where there are none."""
    limits = {"outcome_min": config.reward_min, "outcome_max": config.reward_max}
    values = [[float(info.get(column, limit)) for column, limit in limits.items()] for info in infos]
    return torch.tensor(values, dtype=torch.float64).reshape(len(infos), 2)


def _columns(infos: list[dict[str, Any]], names: tuple[str, ...]) -> torch.Tensor:
    """`(N, K)` float64 columns of `reward_extra_info`, as the reward function returned them for each rollout."""
    for name in names:
        lacking = [i for i, info in enumerate(infos) if name not in info]
        if lacking:
            raise AwpoSetupError(
                f"column '{name}' is missing from the reward of {len(lacking)} of {len(infos)} rollouts (columns there: "
                f"{sorted(infos[lacking[0]])}). Set reward.custom_reward_function.path=pkg://reward_models.reward "
                "name=compute_score, or let your reward function return it, or name your columns by "
                "+algorithm.awpo.reasoning_key / +algorithm.awpo.valid_key"
            )
    values = [[float(info[name]) for name in names] for info in infos]
    return torch.tensor(values, dtype=torch.float64).reshape(len(infos), len(names))


def put_radius(batch: Any, radius: torch.Tensor, channel: StepChannel) -> Any:
    """Store each row's clip radius beside its advantages; returns the batch meta that knows the new field."""
    per_rollout = radius[channel.result.group_index] if radius.ndim else radius.expand(len(channel.group))
    per_row = to_rows(per_rollout.float(), channel.rollout_of_row, padding=float(radius.mean()))
    fields = TensorDict({RADIUS_FIELD: per_row}, batch_size=len(per_row))
    return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)


def extend_registry(trainer_base: Any) -> None:
    """Replace each trainer in the registry of verl's `trainer_base` by its extension; called when verl imports it.

    Where verl is not one we know, nothing is replaced: runs without AWPO go on, and the estimator `awpo` says why not.
    """
    try:
        check_trainer(trainer_base.PPOTrainer)
    except AwpoSetupError as error:
        estimator.unavailable.append(str(error))
        logger.error("awpo-ext: AWPO is not available in this process: %s", error)
        return
    for name, trainer_cls in list(trainer_base.TRAINER_REGISTRY.items()):
        if not issubclass(trainer_cls, AwpoTrainerMixin):
            extended = type(f"Awpo{trainer_cls.__name__}", (AwpoTrainerMixin, trainer_cls), {})
            trainer_base.TRAINER_REGISTRY[name] = extended
