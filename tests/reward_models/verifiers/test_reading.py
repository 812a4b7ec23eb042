"""What verifiers that read a response share: its dialect, the row's tools, and thoughts that the prompt opened."""

import json

import pytest

from reward_models.types import Rollout
from reward_models.verifiers import make_verifier

TRUTH = '<think> </think>\n<tool_call>\n{"name": "get_weather", "parameters": {"city": "7"}}\n</tool_call>'
TOOLS = json.dumps(
    [{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
)
RESPONSES = {
    "toolrl": '<tool_call>\n{"name": "get_weather", "parameters": {"city": "7"}}\n</tool_call>',
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "7"}}\n</tool_call><|im_end|>',
    "qwen3_coder": "<tool_call><function=get_weather><parameter=city>\n7\n</parameter></function></tool_call>",
    "glm": "<tool_call>get_weather\n<arg_key>city</arg_key><arg_value>7</arg_value></tool_call>",
}


def outcome(response, verifier="strict", truth=TRUTH, extra=None, **options):
    return make_verifier(verifier, **options).verify(Rollout("", TOOLS, response, truth, "x", extra or {}))


@pytest.mark.parametrize("dialect", RESPONSES)
@pytest.mark.parametrize("thinking", ["auto", "opened"])
def test_a_thought_that_begins_in_the_prompt_costs_nothing(dialect, thinking):
    for opening in ("", "<think>\n"):
        for name in (dialect, "auto"):
            text = f"{opening}Paris is asked.\n</think>\n\n{RESPONSES[dialect]}"
            result = outcome(text, dialect=name, thinking=thinking)
            assert (result.outcome, result.reason) == (4.0, "exact"), result


def test_a_cut_off_thought_is_no_answer_where_the_template_opens_one():
    text = "No tool fits, and so I"
    assert outcome(text, truth="[]", dialect="hermes").outcome == 4.0
    assert outcome(text, truth="[]", dialect="hermes", thinking="opened").outcome == -3.0
    assert outcome(text, truth="[]", dialect="hermes", extra={"thinking": "opened"}).outcome == -3.0
    assert outcome(text, "irrelevance", truth="[]", thinking="opened").outcome == 0.0


CALL = f"Paris is asked.\n</think>\n{RESPONSES['toolrl']}"
PARTS = {"strict": 3, "format": 1, "irrelevance": 1}


def test_a_thought_that_begins_in_the_prompt_has_toolrl_s_layout():
    for options in ({"thinking": "opened"}, {"extra": {"thinking": "opened"}}):
        assert [outcome(text, "toolrl", **options).outcome for text in (CALL, f"<think>{CALL}")] == [4.0, 4.0]
        for text in (f"x <think>{CALL}", RESPONSES["toolrl"], f"Paris.</think> and\n{RESPONSES['toolrl']}"):
            assert outcome(text, "toolrl", **options).outcome == 3.0
    assert outcome(CALL, "toolrl").outcome == 3.0  # as published


@pytest.mark.parametrize("told", ["option", "row"])
def test_what_the_template_opens_is_the_same_for_all_parts(told):
    options = {"parts": PARTS, "thinking": "opened"} if told == "option" else {"parts": PARTS}
    extra = {} if told == "option" else {"thinking": "opened"}
    cut = outcome("No tool fits, and so I", "composite", "[]", extra, **options)
    assert cut.parts == {"strict": 0.0, "format": 0.0, "irrelevance": 0.0}
    assert cut.reasons[0] == "unclosed_think"
    whole = outcome("No tool fits.</think>I cannot.", "composite", "[]", extra, **options)
    assert set(whole.parts.values()) == {1.0}


def test_parts_take_the_composite_s_dialect_unless_they_have_one():
    options = {"parts": {"strict": 1, "format": 1}, "dialect": "hermes", "options": {"format": {"dialect": "glm"}}}
    parts = outcome(f"t</think>{RESPONSES['hermes']}", "composite", **options).parts
    assert parts == {"strict": 1.0, "format": 0.0}
    with pytest.raises(ValueError, match=r"options\.strict\.thinking='opened' is the template's"):
        make_verifier("composite", parts=PARTS, options={"strict": {"thinking": "opened"}})


def test_other_closing_tags_do_not_trip_the_layout():
    for closing in ("[/THINK]", "</thinking>", "<channel|>"):
        assert outcome(f"t{closing}{RESPONSES['hermes']}", "format", dialect="hermes").outcome == 1.0


@pytest.mark.parametrize("verifier", ["strict", "ast", "irrelevance", "format"])
@pytest.mark.parametrize(
    ("options", "known"), [({"dialect": "xml"}, "auto, toolrl"), ({"thinking": "on"}, "auto, opened")]
)
def test_an_unknown_option_is_refused_by_name(verifier, options, known):
    (key, value) = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{key}='{value}' is not known; known: {known}"):
        make_verifier(verifier, **options)
