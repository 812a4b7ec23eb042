"""An agent loop without a model, for the end-to-end tests: the prompt's index and the session say what comes out."""

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

FAILING = {(0, 1), (1, 0), (1, 1), (1, 3)}  # (prompt, session)


def worth(prompt, session):
    return (7 * prompt + 5 * session) % 9


class CannedAgentLoop(AgentLoopBase):
    async def run(self, sampling_params, **kwargs):
        prompt, session = int(kwargs["index"]), kwargs["session_id"]
        if (prompt, session) in FAILING:
            raise RuntimeError("this session fails, as the test wants it")
        ids = self.tokenizer.encode(f"worth {worth(prompt, session)} in {prompt}", add_special_tokens=False)
        return AgentLoopOutput(
            prompt_ids=[1, 2],
            response_ids=ids,
            response_mask=[1] * len(ids),
            num_turns=2,
            metrics=AgentLoopMetrics(),
            extra_fields={"turn_scores": [], "tool_rewards": []},
        )
