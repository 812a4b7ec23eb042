"""What a judge that ranks the rollouts of a prompt needs of verl: whose siblings they are, and how many.

    reward.reward_manager.source=importlib
    reward.reward_manager.name=GroupRewardManager
    reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward

verl's reward manager sees `uid` and `session_id`, but passes neither to the reward function. How many sessions a prompt
has, nobody tells it: rollout.n or val_kwargs.n, or the row's own `__rollout_n__`, which is taken out before. So the
trainer writes it beside each prompt (`driver/group_sizes.py`).
"""

from typing import Any

import numpy as np
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

from reward_models.judges.llm_group import Place

SIZE_FIELD = "awpo_group_size"  # beside uid and session_id


class GroupRewardManager(NaiveRewardManager):
    """verl's naive reward manager, whose reward function finds a rollout's group in `extra_info`."""

    async def run_single(self, data: DataProto) -> dict:
        data = data[-1:]
        row = data[0].non_tensor_batch
        if "uid" in row and "session_id" in row:
            place = Place(str(row["uid"]), str(row["session_id"]), self._size(row))
            data.non_tensor_batch["extra_info"] = _one(place.write(row.get("extra_info")))
        return await super().run_single(data)

    def _size(self, row: dict[str, Any]) -> int | None:
        """As the trainer wrote it; without that, what training and validation have in common, else unknown."""
        if SIZE_FIELD in row:
            return int(row[SIZE_FIELD])
        rollout = self.config.actor_rollout_ref.rollout
        return rollout.n if rollout.n == rollout.val_kwargs.n else None


def _one(value: Any) -> np.ndarray:
    array = np.empty(1, dtype=object)
    array[0] = value
    return array
