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
