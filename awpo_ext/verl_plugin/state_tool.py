"""The public path of `StateTool`, for `class_name` in verl's tool configurations."""

from awpo_ext.verl_plugin.rollout.state_tool import StateTool

__all__ = ["StateTool"]
