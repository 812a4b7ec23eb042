"""The public path of the agent loop `awpo_tool_agent`; importing it registers the loop."""

from awpo_ext.verl_plugin.rollout.turns import TurnsAgentLoop

__all__ = ["TurnsAgentLoop"]
