"""Writes beside each prompt how many rollouts it has, where the reward manager is the group judge's."""

import functools
from typing import Any

from tensordict import NonTensorData, TensorDict
from verl.utils import tensordict_utils as tu

from awpo_ext.verl_plugin.rollout.group_reward import SIZE_FIELD


def write_group_sizes(agent_loop_manager: Any, rollout_config: Any) -> None:
    """Let `agent_loop_manager.generate_sequences` write the group's size beside each prompt, training or validation."""
    generate = agent_loop_manager.generate_sequences

    @functools.wraps(generate)
    def with_sizes(prompts: TensorDict) -> Any:
        validates = bool(tu.get_non_tensor_data(prompts, "validate", False))
        default = rollout_config.val_kwargs.n if validates else rollout_config.n
        sizes = _rows(prompts["__rollout_n__"]) if "__rollout_n__" in prompts else [default] * len(prompts)
        tu.assign_non_tensor_stack(prompts, SIZE_FIELD, [int(size) for size in sizes])
        return generate(prompts)

    agent_loop_manager.generate_sequences = with_sizes


def _rows(values: Any) -> list[Any]:
    return [value.data if isinstance(value, NonTensorData) else value for value in list(values)]
