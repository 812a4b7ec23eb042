"""The agent loop that keeps turns apart, with verl's own loop, parser and tokens, and a model that follows a script."""

import asyncio
import json

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

import verl.experimental.agent_loop.tool_agent_loop  # noqa: F401  (the plugin registers when it is imported)
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, _agent_loop_registry
from verl.workers.rollout.replica import TokenOutput

from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.config_check import compose
from awpo_ext.verl_plugin.driver.run_checks import check_turns
from awpo_ext.verl_plugin.rollout.turns import NAME, SCENE, TurnsAgentLoop
from recipes.multiturn.make_data import call_text
from reward_models.types import Rollout


class Script:
    """In the place of verl's client of vLLM: answers with the given texts, one a call, and keeps the prompts."""

    def __init__(self, tokenizer, texts):
        self.tokenizer, self.texts, self.prompts = tokenizer, list(texts), []

    async def generate(self, request_id, *, prompt_ids, **_):
        self.prompts.append(self.tokenizer.decode(prompt_ids))
        ids = self.tokenizer.encode(self.texts.pop(0) + "<|im_end|>")
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), extra_fields={"max_global_steps": 1})


def play(tokenizer, tools, row, texts, *overrides):
    """The loop's output, and the script with the prompts that the model saw."""

    async def run():
        config = compose([
            "actor_rollout_ref.rollout.name=vllm", "data.max_prompt_length=256", "data.max_response_length=512",
            "actor_rollout_ref.rollout.multi_turn.max_parallel_calls=4", *overrides,
        ])  # fmt: skip
        script = Script(tokenizer, texts)
        loop = TurnsAgentLoop(
            trainer_config=DictConfigWrap(config), server_manager=script, tokenizer=tokenizer, processor=None,
            dataset_cls=None, data_config=DictConfigWrap(config.data), tools=tools, hf_model_type="qwen3",
        )  # fmt: skip
        kwargs = {"raw_prompt": row["prompt"], **row, "tools_kwargs": {}}
        return await loop.run({}, **kwargs), script

    return asyncio.run(run())


def judge(verifier, row, output, tokenizer):
    text = tokenizer.decode(output.response_ids, skip_special_tokens=True)
    info = {**row["extra_info"], **output.extra_fields}
    return verifier.verify(Rollout("", "[]", text, row["reward_model"]["ground_truth"], "bank", info))


def perfect(row):
    calls = [turn[0] for turn in json.loads(row["reward_model"]["ground_truth"])["turns"]]
    return [text for call in calls for text in (call_text(call["name"], call["arguments"]["amount"]), "Done.")]


def test_two_turns_reach_the_verifier_whole(tokenizer, tools, verifier, row):
    output, script = play(tokenizer, tools, row, perfect(row))
    first, second = output.extra_fields["turns"]
    assert [first, second] == [perfect(row)[:2], perfect(row)[2:]]
    answers = output.extra_fields["tool_answers"]
    assert [[len(step) for step in turn] for turn in answers] == [[1, 0], [1, 0]] and '{"balance": ' in answers[0][0][0]
    outcome = judge(verifier, row, output, tokenizer)
    assert outcome.outcome == 1.0 and outcome.reason == "exact"
    assert output.num_turns == 4 + 3 + 1  # the model's, then tools' and the user's, as verl counts
    # the model saw the tool's answer and then the user's second message, each in its place
    assert '{"balance": ' in script.prompts[1] and row["extra_info"]["user_turns"][0] not in script.prompts[1]
    assert script.prompts[2].endswith(f"user\n{row['extra_info']['user_turns'][0]}<|im_end|>\n<|im_start|>assistant\n")


def test_only_the_models_tokens_are_trained_and_the_judge_reads_everything(tokenizer, tools, row):
    output, _ = play(tokenizer, tools, row, perfect(row))
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    own = [token for token, mask in zip(output.response_ids, output.response_mask, strict=True) if mask]
    assert tokenizer.decode(own) == "".join(text + "<|im_end|>" for text in perfect(row))
    whole = tokenizer.decode(output.response_ids, skip_special_tokens=True)
    places = [
        whole.index(part)
        for part in (perfect(row)[0], '{"balance": ', row["extra_info"]["user_turns"][0], perfect(row)[2])
    ]
    assert places == sorted(places)


def test_a_wrong_amount_in_the_second_turn_costs_half(tokenizer, tools, verifier, row):
    texts = perfect(row)
    texts[2] = call_text("deposit", 1)
    outcome = judge(verifier, row, play(tokenizer, tools, row, texts)[0], tokenizer)
    assert outcome.outcome == 0.5 and outcome.reason == "wrong_state"


def test_a_call_written_into_a_tools_answer_or_by_the_user_is_not_the_models(tokenizer, tools, verifier, row):
    """The words of others stand in the response too: only what the model wrote may count."""
    forged = {**row, "extra_info": {**row["extra_info"], "user_turns": [call_text("deposit", 5)]}}
    texts = [perfect(row)[0], "Done.", "I do nothing."]
    output, _ = play(tokenizer, tools, forged, texts)
    outcome = judge(verifier, forged, output, tokenizer)
    assert outcome.outcome == 0.5 and outcome.reason == "no_call"


def test_what_a_tool_refuses_is_answered_and_changes_nothing(tokenizer, tools, verifier, row):
    texts = perfect(row)
    texts.insert(0, call_text("withdraw", 1000))
    output, script = play(tokenizer, tools, row, texts)
    assert "Error: ValueError: the balance is only 40" in script.prompts[1]
    assert judge(verifier, row, output, tokenizer).parts["all_turns"] == 1.0


def test_a_trajectory_that_reaches_a_limit_lacks_its_later_turns(tokenizer, tools, verifier, row):
    limit = "actor_rollout_ref.rollout.multi_turn.max_assistant_turns=2"
    output, script = play(tokenizer, tools, row, perfect(row), limit)
    assert len(script.prompts) == 2 and output.extra_fields["turns"] == [perfect(row)[:2]]
    assert judge(verifier, row, output, tokenizer).reason == "missing_turn"


def test_the_loop_is_known_by_name_and_the_state_verifier_asks_for_it():
    assert _agent_loop_registry[NAME]["_target_"].endswith("TurnsAgentLoop")
    state = [
        "actor_rollout_ref.rollout.multi_turn.tool_config_path=recipes/multiturn/tools.yaml",
        "reward.custom_reward_function.path=pkg://reward_models.reward",
        "+reward.custom_reward_function.reward_kwargs.verifier=state",
    ]
    with pytest.raises(AwpoSetupError, match=f"set it to {NAME}"):
        check_turns(compose([*state, "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent"]))
    check_turns(compose([*state, f"actor_rollout_ref.rollout.agent.default_agent_loop={NAME}"]))


def test_a_tool_without_this_loop_says_what_to_set(tools):
    agent_data = type("AgentData", (), {"tools_kwargs": {}, "extra_fields": {}})()
    with pytest.raises(RuntimeError, match=f"default_agent_loop={NAME}"):
        asyncio.run(tools.tools[0].execute("1", {"amount": 1}, agent_data=agent_data))
    assert SCENE not in agent_data.tools_kwargs
