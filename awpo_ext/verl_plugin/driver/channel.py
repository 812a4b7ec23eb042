"""The data plane: reward columns from the TransferQueue to the estimator, the clip radius back. The only user of it.

Where verl carries rollouts by other means, this file changes and no other.
"""

from typing import Any

import torch
import transfer_queue as tq
from tensordict import TensorDict

from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.driver.columns import (
    component_columns,
    criteria_columns,
    failure_columns,
    outcome_range_columns,
    outcome_valid_column,
    require_columns,
    score_columns,
    valid_columns,
)
from awpo_ext.verl_plugin.driver.estimator import StepChannel, to_rows
from awpo_ext.verl_plugin.driver.first_step import unread_reason
from awpo_ext.verl_plugin.worker.loss import RADIUS_FIELD


def build_channel(batch: Any, config: AwpoConfig, kl_in_reward: bool) -> StepChannel:
    """Read the reward columns of a batch from the TransferQueue, one rollout a session.

    Args:
        batch: verl's KVBatchMeta; keys are `{uid}_{session}_{output}`, padding rows are tagged `is_padding`.
        kl_in_reward: whether verl takes a KL penalty off the reward; then the reward before it is read too.

    Raises:
        AwpoSetupError: a column is missing or holds what it may not; the message says which, and what to set.
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
    require_columns(infos, (*config.reasoning_key, *config.valid_key))
    valid = valid_columns(infos, config.valid_key)
    verified = outcome_valid_column(infos, config.outcome_valid_key)
    parts, outcome, ranges = None, None, None
    if config.components:
        parts = component_columns(infos, config, verified)
        outcome, verified, ranges = parts.total(config), parts.verified(config), parts.total_range(config)
    return StepChannel(
        config=config,
        reasoning=score_columns(infos, config.reasoning_key, valid),
        valid=valid,
        failure=failure_columns(infos, [f"{key}_failure" for key in config.reasoning_key]),
        outcome_valid=verified,
        outcome_range=outcome_range_columns(infos, config.reward_min, config.reward_max) if ranges is None else ranges,
        components=parts,
        outcome=outcome,
        group=[uid for uid, _ in last],
        unread=[unread_reason(info) for info in infos],
        task=torch.tensor([float(r.sum()) for r in fetched["rm_scores"]]).double() if kl_in_reward else None,
        criteria=criteria_columns(infos),
        final_row=torch.tensor(final_rows, dtype=torch.int64),
        rollout_of_row=torch.tensor(rollout_of_row, dtype=torch.int64),
    )


def read_responses(batch: Any, channel: StepChannel, numbers: list[int], tokenizer: Any) -> list[str]:
    """The last responses of the rollouts with these numbers, as the reward function saw them: without special tokens."""
    keys = [batch.keys[int(channel.final_row[number])] for number in numbers]
    fetched = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["responses"])
    return [tokenizer.decode(ids, skip_special_tokens=True) for ids in fetched["responses"]]


def radius_of_rollouts(radius: torch.Tensor, channel: StepChannel) -> torch.Tensor:
    """`(N,)` of `clip_radius`, which is one number or one a group."""
    return radius[channel.result.group_index] if radius.ndim else radius.expand(len(channel.group))


def put_radius(batch: Any, radius: torch.Tensor, channel: StepChannel) -> Any:
    """Store each row's clip radius beside its advantages; returns the batch meta that knows the new field."""
    per_row = to_rows(radius_of_rollouts(radius, channel).float(), channel.rollout_of_row, padding=float(radius.mean()))
    fields = TensorDict({RADIUS_FIELD: per_row}, batch_size=len(per_row))
    return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)
