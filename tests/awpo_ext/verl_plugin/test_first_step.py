"""A run whose responses nobody can read ends at its first step, and says what to set."""

import json
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
from omegaconf import OmegaConf

from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver.first_step import (
    MIN_ROLLOUTS,
    FirstResponses,
    UnreadableResponsesError,
    printable,
    unread_reason,
)
from reward_models.verifiers import make_verifier
from reward_models.verifiers.reasons import reason_code

NATIVE = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
CONFIG = OmegaConf.create(
    {
        "reward": {
            "custom_reward_function": {
                "reward_kwargs": {"verifier": "strict", "verifier_kwargs": {"dialect": "toolrl"}}
            }
        }
    }
)


def first(**awpo):
    return FirstResponses.of(AwpoConfig(**awpo), CONFIG)


def never(numbers):
    raise AssertionError("no response has to be read")


def test_a_run_in_the_wrong_dialect_stops_with_a_response_and_the_dialect_to_set():
    with pytest.raises(UnreadableResponsesError) as caught:
        first().check(["bad_call"] * 63 + [""], lambda numbers: [NATIVE + "\x1b[31m\u202e" for _ in numbers])
    said = str(caught.value)
    assert "63 of the first 64 responses cannot be read (bad_call 63)" in said
    assert "configured dialect: toolrl" in said and "dialect=hermes finds calls in 32 of 32" in said
    assert r"</tool_call>\x1b[31m\u202e" in said and "\x1b" not in said and "\u202e" not in said
    assert "verifier_kwargs.dialect" in said and "+algorithm.awpo.unreadable_stop_share=1" in said


@pytest.mark.parametrize("share", [0.95, 0.5, 0.0])
def test_at_the_share_a_run_goes_on_and_is_not_looked_at_again(share):
    watch = first(unreadable_stop_share=share)
    failed = int(share * 20)
    watch.check(["not_json"] * failed + [""] * (20 - failed), never)
    watch.check(["not_json"] * 100, never)


def test_a_share_of_one_never_stops():
    first(unreadable_stop_share=1).check(["not_json"] * 64, never)


def test_small_steps_are_added_up():
    watch = first()
    for _ in range(MIN_ROLLOUTS // 4 - 1):
        watch.check(["not_json"] * 4, lambda numbers: ["x"] * len(numbers))
    with pytest.raises(UnreadableResponsesError, match=f"{MIN_ROLLOUTS} of the first {MIN_ROLLOUTS} responses"):
        watch.check(["not_json"] * 4, lambda numbers: ["x"] * len(numbers))


def test_other_reward_functions_are_left_alone():
    watch = first()
    watch.check([unread_reason({"score": 1.0})] * 64, never)
    assert unread_reason({"parsable": 0.0}) == "unreadable" and unread_reason({"parsable": 1.0}) == ""
    assert unread_reason({"outcome_reason": float("nan"), "parsable": 1.0}) == ""


@pytest.mark.parametrize(("text", "read"), [(NATIVE, False), ("<think>t</think>\n<response>No.</response>", True)])
def test_the_verifiers_own_reading_counts(text, read):
    from reward_models.types import Rollout

    outcome = make_verifier("strict", dialect="toolrl").verify(
        Rollout("", "", text, '[{"name": "f", "arguments": {"a": 1}}]', "", {})
    )
    info = {"outcome_reason": float(reason_code(outcome.reason)), "parsable": 1.0}
    assert (unread_reason(info) == "") is read


def test_a_long_response_is_cut():
    assert printable("é" * 10, limit=4) == "éééé... (10 characters)"
    assert printable("a\nb\ud800") == r"a\nb\ud800"


def test_the_trainer_reads_the_last_output_of_a_rollout(monkeypatch):
    responses = {"a_0_1": [1, 2], "b_0_0": [3]}
    queue = SimpleNamespace(
        kv_batch_get=lambda keys, partition_id, select_fields: {"responses": [responses[key] for key in keys]}
    )
    monkeypatch.setattr(plane, "tq", queue)
    batch = SimpleNamespace(keys=["a_0_0", "a_0_1", "b_0_0"], partition_id="train")
    channel = SimpleNamespace(final_row=torch.tensor([1, 2]))
    tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: f"{ids}{skip_special_tokens}")
    assert plane.read_responses(batch, channel, [1, 0], tokenizer) == ["[3]True", "[1, 2]True"]


def test_what_the_chat_template_suggests_is_said():
    def render(messages, tools=None, tokenize=False, add_generation_prompt=False):
        text = "".join(
            f"<{m['role']}>{m['content'] or ''}"
            + "".join(
                "<tool_call>"
                + json.dumps({"name": c["function"]["name"], "arguments": c["function"]["arguments"]})
                + "</tool_call>"
                for c in m.get("tool_calls") or []
            )
            for m in messages
        )
        return text + "<assistant>" * add_generation_prompt

    tokenizer = SimpleNamespace(chat_template="x", apply_chat_template=render)
    with pytest.raises(UnreadableResponsesError, match="the chat template suggests: dialect=hermes thinking=auto"):
        first().check(["bad_call"] * 16, lambda numbers: [NATIVE] * len(numbers), tokenizer)
