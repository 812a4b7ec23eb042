"""A method of a stateful class as a tool of verl's agent loop; what it does is forgotten with the trajectory.

In verl's `multi_turn.tool_config_path`, one entry a tool:

    tools:
      - class_name: awpo_ext.verl_plugin.rollout.state_tool.StateTool
        config: {type: native, class: Bank, target: "my_package.bank:Bank"}  # and sandbox: {..}, see SandboxConfig
        tool_schema: {type: function, function: {name: deposit, description: .., parameters: ..}}

`class` is the name in the ground truth's `involved_classes`, `target` what the verifier `state` has for it in its
`classes`. The tools are trusted code, the arguments are the model's: calls run in the project's sandbox. A session is
replayed from its start at each call, so tools should be quick, and give the same answers to the same calls.
"""

import json
import logging
from functools import cache
from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from awpo_ext.verl_plugin.rollout.turns import NAME, SCENE
from reward_models.options import plain
from reward_models.sandbox import PayloadTooLarge, Sandbox, SandboxConfig, SandboxUnavailable, TaskStatus
from reward_models.verifiers.tools.executed import TOOLS_FAILED
from reward_models.verifiers.tools.state_truth import read_truth

logger = logging.getLogger(__name__)

_JOB = "reward_models.sandbox.jobs:run_session"
_SESSIONS = "state_tool_calls"  # in AgentData.extra_fields: {target: [call, ..]}
_KEYS = {"type", "class", "target"}


class StateTool(BaseTool):
    """verl's interface of a tool; `execute` never raises for what the model asks, it answers with the error's text.

    Raises ValueError for a `config` that does not fit, and RuntimeError where the agent loop is not `awpo_tool_agent`.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema) -> None:
        super().__init__(config, tool_schema)
        texts = {key: value for key, value in config.items() if key != "sandbox"}
        if set(texts) != _KEYS or not all(isinstance(value, str) for value in texts.values()):
            raise ValueError(
                f"tool {self.name!r}: config={config!r} must have the keys {sorted(_KEYS)}, all texts, and may have sandbox"
            )
        if len(config["target"].split(":")) != 2:
            raise ValueError(f"tool {self.name!r}: target={config['target']!r} must be 'package.module:Class'")
        options = plain({"workers": 1, **(config.get("sandbox") or {})})
        SandboxConfig.read(options, f"tool {self.name!r}: sandbox")
        self._sandbox_options = json.dumps(options, sort_keys=True)

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """The method's answer as text; no reward of its own."""
        agent_data = kwargs["agent_data"]
        if SCENE not in agent_data.tools_kwargs:
            raise RuntimeError(f"StateTool needs actor_rollout_ref.rollout.agent.default_agent_loop={NAME}")
        truth = read_truth(agent_data.tools_kwargs[SCENE])
        target, name = self.config["target"], self.config["class"]
        sessions = agent_data.extra_fields.setdefault(_SESSIONS, {})
        calls = sessions.setdefault(target, [])
        calls.append({"name": self.name, "arguments": parameters})
        payload = {
            "target": target,
            "initial_config": truth.initial_config.get(name, {}),
            "long_context": truth.long_context,
            "calls": calls,
        }
        try:
            result = await _sandbox(target.partition(":")[0], self._sandbox_options).run(_JOB, payload)
        except PayloadTooLarge:
            return ToolResponse(text="Error: the arguments of this turn's calls are too large"), 0.0, {}
        except SandboxUnavailable as error:
            # Nobody knows what the model would have done with the answer: the trajectory must not be judged.
            agent_data.extra_fields[TOOLS_FAILED] = True
            logger.warning("A tool of verl's agent loop could not run: %s", error)
            return ToolResponse(text=f"Error: {error}"), 0.0, {}
        text = result.value if result.status is TaskStatus.OK else f"Error: {result.status.value}"
        return ToolResponse(text=text), 0.0, {}


@cache
def _sandbox(module: str, options: str) -> Sandbox:
    """One in each of verl's agent loop workers for each module of tools."""
    return Sandbox(SandboxConfig(**json.loads(options)), preload=["reward_models.sandbox.jobs", module])
