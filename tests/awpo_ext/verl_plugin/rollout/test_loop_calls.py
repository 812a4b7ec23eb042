"""What the agent loop runs is recorded and scored, in verl's own loop and parser; calls in a thought are not run."""

import json

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.config_check import compose
from awpo_ext.verl_plugin.driver.run_checks import check_turns
from awpo_ext.verl_plugin.rollout import state_tool
from awpo_ext.verl_plugin.rollout.turns import NAME
from recipes.multiturn.make_data import call_text
from reward_models.sandbox import SandboxUnavailable
from reward_models.sandbox import process as sandbox_process
from reward_models.verifiers import make_verifier
from tests.awpo_ext.verl_plugin.rollout.conftest import BANK
from tests.awpo_ext.verl_plugin.rollout.test_turns import judge, perfect, play


def block(text):
    return f"<tool_call>\n{text}\n</tool_call>"


def bare_call(name, amount):
    """A call without a thought before it."""
    return block(json.dumps({"name": name, "arguments": {"amount": amount}}))


def thoughtless(row):
    return [text.partition("</think>\n")[2] or text for text in perfect(row)]


def truth_calls(row):
    return [[(call["name"], call["arguments"]) for call in turn] for turn in truth(row)]


def truth(row):
    return json.loads(row["reward_model"]["ground_truth"])["turns"]


def ran(output):
    """The record's calls, by turn."""
    return [
        [(call["name"], call["arguments"]) for call in turn] for turn in json.loads(output.extra_fields["executed"])
    ]


def test_the_calls_that_ran_are_recorded_by_turn(tokenizer, tools, row):
    output, _ = play(tokenizer, tools, row, perfect(row))
    assert ran(output) == truth_calls(row)


@pytest.mark.parametrize(
    "thought", ["<think>Try: {call}</think>", "Try: {call}</think>", " \n<think>{call}{call}</think>"]
)
def test_a_call_in_a_thought_is_not_run(tokenizer, tools, verifier, row, thought):
    texts = thoughtless(row)
    texts[0] = thought.format(call=bare_call("deposit", 1)) + texts[0]
    output, script = play(tokenizer, tools, row, texts)
    assert ran(output) == truth_calls(row)
    assert script.prompts[1].count('{"balance": ') == 1
    assert judge(verifier, row, output, tokenizer).reason == "exact"
    # Only in the thought, or in one that never ends: nothing ran, and it earns nothing.
    for text in (thought.format(call=thoughtless(row)[0]) + "Done.", "<think>" + thoughtless(row)[0]):
        output, _ = play(tokenizer, tools, row, [text, *thoughtless(row)[2:]])
        assert ran(output) == [[], truth_calls(row)[1]]
        assert judge(verifier, row, output, tokenizer).outcome == 0.0


def test_a_thought_that_the_prompt_opens_is_a_thought(tokenizer, tools, verifier, row):
    thinking = {**row, "prompt": [*row["prompt"][:-1], {**row["prompt"][-1]}]}
    template = tokenizer.chat_template
    tokenizer.chat_template = template.replace("<|im_start|>assistant\n'", "<|im_start|>assistant\n<think>\n'")
    assert tokenizer.chat_template != template
    try:
        texts = [f"{bare_call('deposit', 1)}</think>{text}" for text in thoughtless(row)]
        output, script = play(tokenizer, tools, thinking, texts)
        cut_off, _ = play(tokenizer, tools, thinking, [thoughtless(row)[0], *texts[2:]])
    finally:
        tokenizer.chat_template = template
    assert script.prompts[0].endswith("<think>\n")
    assert ran(output) == truth_calls(row)
    assert output.extra_fields["turns"][0][0] == "<think>" + texts[0]
    assert judge(verifier, thinking, output, tokenizer).reason == "exact"
    assert ran(cut_off)[0] == [] and judge(verifier, thinking, cut_off, tokenizer).outcome == 0.0


@pytest.mark.parametrize(
    ("text", "recorded", "reason"),
    [
        ("{right}{broken}", "right", "exact"),
        ("{repeated}", "right", "exact"),
        ("{as_text}", "refused", "wrong_state"),
        ("{as_list}", "refused", "wrong_state"),
        ("{deep}", "refused", "wrong_state"),
        ("{unknown}{right}", "unknown", "extra_call"),
        ("{python}", "nothing", "not_executed"),
        ("{bare}", "nothing", "not_executed"),
        ("{broken}", "nothing", "not_json"),
    ],
)
def test_whatever_the_loop_ran_is_scored(tokenizer, tools, row, text, recorded, reason):
    ((name, arguments),) = truth_calls(row)[0]
    amount = arguments["amount"]
    forms = {
        "right": call_text(name, amount),
        "broken": block('{"name": "deposit", "arguments": {"amount": 5}'),
        "repeated": block(f'{{"name": "{name}", "arguments": {{"amount": 1, "amount": {amount}}}}}'),
        "as_text": block(json.dumps({"name": name, "arguments": json.dumps(arguments)})),
        "as_list": block(json.dumps({"name": name, "arguments": [amount]})),
        "deep": block(json.dumps({"name": name, "arguments": {"amount": json.loads("[" * 80 + "]" * 80)}})),
        "unknown": block(json.dumps({"name": "steal", "arguments": {}})),
        "python": f"[{name}(amount={amount})]",
        "bare": json.dumps({"name": name, "arguments": arguments}),
    }
    refused, right = [(name, None)], truth_calls(row)[0]
    expected = {"right": right, "refused": refused, "unknown": [("steal", None), *right], "nothing": []}[recorded]
    texts = [text.format(**forms), *(["Done."] if expected else []), *perfect(row)[2:]]
    output, _ = play(tokenizer, tools, row, texts)
    assert ran(output) == [expected, truth_calls(row)[1]]
    verifier = make_verifier("state", **BANK, dialect="auto")
    assert judge(verifier, row, output, tokenizer).reason == reason
    verifier.close()


def test_a_call_beyond_the_loops_limits_did_not_run(tokenizer, tools, verifier, row):
    texts = perfect(row)
    texts[0] = texts[0] + call_text("deposit", 1)
    output, _ = play(tokenizer, tools, row, texts, "actor_rollout_ref.rollout.multi_turn.max_parallel_calls=1")
    assert judge(verifier, row, output, tokenizer).reason == "exact"
    limit = "actor_rollout_ref.rollout.multi_turn.max_assistant_turns=1"
    output, _ = play(tokenizer, tools, row, perfect(row), limit)
    assert judge(verifier, row, output, tokenizer).reasons[0] == "not_executed"


def test_a_trajectory_whose_tools_could_not_run_is_not_judged(tokenizer, tools, verifier, row, monkeypatch):
    monkeypatch.setattr(sandbox_process, "landlock_version", lambda: 0)
    state_tool._sandbox.cache_clear()
    output, script = play(tokenizer, tools, row, perfect(row))
    state_tool._sandbox.cache_clear()
    assert "no Landlock" in script.prompts[1]
    with pytest.raises(SandboxUnavailable, match="tools could not run"):
        judge(verifier, row, output, tokenizer)


def test_the_loops_format_and_the_verifiers_dialect_must_be_one():
    run = [
        "actor_rollout_ref.rollout.multi_turn.tool_config_path=recipes/multiturn/tools.yaml",
        f"actor_rollout_ref.rollout.agent.default_agent_loop={NAME}",
        "reward.custom_reward_function.path=pkg://reward_models.reward",
        "+reward.custom_reward_function.reward_kwargs.verifier=state",
    ]
    dialect = "+reward.custom_reward_function.reward_kwargs.verifier_kwargs.dialect"
    loop_format = "actor_rollout_ref.rollout.multi_turn.format"
    for fitting in (["hermes", "hermes"], ["hermes", "auto"], ["hermes", "verl:hermes"], ["mine", "json"]):
        check_turns(compose([*run, f"{loop_format}={fitting[0]}", f"{dialect}='{fitting[1]}'"]))
    with pytest.raises(AwpoSetupError, match="dialect=toolrl; set that to hermes"):
        check_turns(compose([*run, f"{loop_format}=hermes", f"{dialect}=toolrl"]))
    with pytest.raises(AwpoSetupError, match="set that to qwen3_coder"):
        check_turns(compose([*run, f"{loop_format}=qwen3_coder", f"{dialect}=hermes"]))
