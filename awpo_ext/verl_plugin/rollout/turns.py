"""verl's tool agent loop, with the whole trajectory for the reward: `rollout.agent.default_agent_loop=awpo_tool_agent`.

It adds four things. What the model wrote is kept turn by turn in `extra_info["turns"]`, and what the tools answered in
`extra_info["tool_answers"]`, where `reward_models.rollout_view` looks (verl itself passes one decoded text, in which tools'
answers and the model's words are no longer told apart). The calls that were run are kept in `extra_info["executed"]`, where
the verifier `state` looks; calls in a thought are not run. And where a row has `extra_info["user_turns"]`, the user's later
messages follow, one each time the model has answered without a call;
`extra_info["later_tools"]` names the tools that come with each, whose definitions are then in the message.
"""

import json
from typing import Any

from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.tool_agent_loop import AgentState, ToolAgentLoop
from verl.experimental.agent_loop.tool_parser import FunctionCall
from verl.tools.schemas import ToolResponse

from awpo_ext.verl_plugin.compat import check_parameters
from awpo_ext.verl_plugin.rollout.loop_calls import AnswerParser, arguments_of, open_thought, own_text
from reward_models.verifiers.tools.executed import EXECUTED

NAME = "awpo_tool_agent"
SCENE = "awpo_scene"  # in AgentData.tools_kwargs: the row's ground truth, from which a StateTool takes its start

check_parameters(
    ToolAgentLoop._handle_generating_state,
    ("self", "agent_data", "sampling_params", "ignore_termination"),
    "verl's ToolAgentLoop._handle_generating_state",
)
check_parameters(
    ToolAgentLoop._handle_processing_tools_state,
    ("self", "agent_data"),
    "verl's ToolAgentLoop._handle_processing_tools_state",
)
check_parameters(
    ToolAgentLoop._call_tool, ("self", "tool_call", "tools_kwargs", "agent_data"), "verl's ToolAgentLoop._call_tool"
)


@register(NAME)
class TurnsAgentLoop(ToolAgentLoop):
    """One trajectory: user turns of one or more assistant texts each, with tools' answers in between.

    A trajectory that reaches `multi_turn.max_assistant_turns`, `max_user_turns` or the response length ends there; the
    user's remaining messages are then never asked, and the verifier finds those turns missing. Where the prompt ends in
    an open thought, the text of each step is kept with the opening tag before it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tool_parser = AnswerParser(self.tool_parser, self.tokenizer)

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> Any:
        info = kwargs.get("extra_info") or {}
        self._later = list(info.get("user_turns") or [])
        self._later_tools = list(info.get("later_tools") or [[] for _ in self._later])
        self._turns: list[list[str]] = [[]]
        self._answers: list[list[list[str]]] = [[]]
        self._executed: list[list[dict[str, Any]]] = [[]]
        truth = (kwargs.get("reward_model") or {}).get("ground_truth", "")
        kwargs["tools_kwargs"] = {**(kwargs.get("tools_kwargs") or {}), SCENE: truth}
        output = await super().run(sampling_params, priority, **kwargs)
        output.extra_fields[EXECUTED] = json.dumps(self._executed)
        return output

    async def _handle_generating_state(
        self, agent_data: Any, sampling_params: dict[str, Any], ignore_termination: bool = False
    ) -> AgentState:
        known = len(agent_data.messages)
        form = self.tool_parser.form = open_thought(self.tokenizer, agent_data.prompt_ids)
        state = await super()._handle_generating_state(agent_data, sampling_params, ignore_termination)
        text = await self.loop.run_in_executor(None, own_text, self.tokenizer, agent_data.response_ids, form)
        self._turns[-1].append(text)
        self._answers[-1].append([])
        agent_data.extra_fields |= {"turns": self._turns, "tool_answers": self._answers}
        answered = len(agent_data.messages) > known  # verl adds no message where a limit ended the trajectory
        if state is AgentState.TERMINATED and answered and self._later:
            return await self._ask_next(agent_data)
        return state

    async def _handle_processing_tools_state(self, agent_data: Any) -> AgentState:
        known = len(agent_data.messages)
        state = await super()._handle_processing_tools_state(agent_data)
        answers = [message.get("content") for message in agent_data.messages[known:]]
        self._answers[-1][-1] += [answer for answer in answers if isinstance(answer, str)]
        return state

    async def _call_tool(
        self, tool_call: FunctionCall, tools_kwargs: dict[str, Any], agent_data: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Run the call and record it; one that cannot be run is answered as verl does, and recorded as refused."""
        known = tool_call.name in agent_data._active_tools
        arguments = arguments_of(tool_call) if known else None
        self._executed[-1].append({"name": tool_call.name, "arguments": arguments})
        if known and arguments is None:
            text = f"Invalid arguments for '{tool_call.name}': they must be a JSON object"
            return ToolResponse(text=text), 0.0, {}
        return await super()._call_tool(tool_call, tools_kwargs, agent_data)

    async def _ask_next(self, agent_data: Any) -> AgentState:
        """The user's next message, as verl itself appends a tool's answer."""
        previous = list(agent_data.messages)
        agent_data.messages.append({"role": "user", "content": self._later.pop(0)})
        merged, mask, logprobs = await self.ct_merge_context_msg(
            previous,
            agent_data.messages,
            agent_data.prompt_ids,
            agent_data.response_mask,
            agent_data.response_logprobs or None,
            tools=agent_data._active_tool_schemas,
        )
        if len(mask) >= self.response_length:
            return AgentState.TERMINATED
        agent_data.prompt_ids = merged.token_ids
        agent_data.response_mask = mask
        agent_data.response_logprobs = logprobs or []
        agent_data.user_turns += 1
        self._turns.append([])
        self._answers.append([])
        self._executed.append([])
        new = {name: self.tools[name] for name in self._later_tools.pop(0)}
        agent_data._active_tools = {**agent_data._active_tools, **new}
        return AgentState.GENERATING
