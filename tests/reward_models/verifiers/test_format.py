"""The layout of each dialect: what has it, what has not and why."""

import pytest
from hypothesis import given

from reward_models import Rollout
from reward_models.verifiers import make_verifier
from tests.reward_models.strategies import tag_soup

CALL = '{"name": "f", "parameters": {"a": 1}}'
HERMES_CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
BLOCK = f"<tool_call>\n{CALL}\n</tool_call>"
THINK, ANSWER = "<think>Because.</think>", "<response>Done.</response>"
QUOTED = '<tool_call>\n{"name": "f", "parameters": {"a": "</tool_call> <response>"}}\n</tool_call>'


def verify(response, **options):
    return make_verifier("format", **options).verify(Rollout("", "", response, "", "", {}))


@pytest.mark.parametrize(
    ("dialect", "response"),
    [
        ("toolrl", f"{THINK}\n{BLOCK}"),
        ("toolrl", f"  {THINK}{BLOCK}\n{ANSWER}\n"),
        ("toolrl", f"{THINK}\n{ANSWER}"),
        ("toolrl", f"<think> </think>\n{BLOCK}"),
        ("toolrl", f"<think>Ich rufe <tool_call> auf, 然后 <response>.</think>\n{BLOCK}"),
        ("toolrl", f"{THINK}\n<tool_call>\n{CALL}\n{CALL}\n</tool_call>"),
        ("toolrl", f"{THINK}\n{QUOTED}"),
        ("hermes", f"{THINK}\nI look it up.\n{HERMES_CALL}\n{HERMES_CALL}"),
        ("hermes", HERMES_CALL),
        ("hermes", "Paris."),
        ("json", CALL),
        ("openai", '[{"type": "function", "function": {"name": "f", "arguments": "{}"}}]'),
        ("python", f"{THINK}[f(a=1)]"),
    ],
)
def test_well_formed(dialect, response):
    outcome = verify(response, dialect=dialect)
    assert (outcome.format, outcome.correctness, outcome.reason) == (1.0, 0.0, "well_formed")
    assert outcome.reasons == ("well_formed",)


@pytest.mark.parametrize(
    ("dialect", "response", "reason"),
    [
        ("toolrl", BLOCK, "no_thought"),
        ("toolrl", ANSWER, "no_thought"),
        ("toolrl", f"{THINK}\n{ANSWER}\n{BLOCK}", "stray_text"),
        ("toolrl", f"{THINK} so {BLOCK}", "stray_text"),
        ("toolrl", f"{THINK}\n{BLOCK} done", "stray_text"),
        ("toolrl", f"{THINK}\n{BLOCK}\n{BLOCK}", "repeated_block"),
        ("toolrl", f"{THINK}\n{THINK}\n{BLOCK}", "stray_tag"),
        ("toolrl", f"so {THINK}\n{BLOCK}", "stray_tag"),
        ("toolrl", f"<think>{BLOCK}", "unclosed_think"),
        ("toolrl", f"{THINK}\n<tool_call>\n{CALL}", "unclosed_block"),
        ("toolrl", f"{THINK}\nParis.", "no_action"),
        ("toolrl", THINK, "no_action"),
        ("hermes", f"{HERMES_CALL}\nDone.", "stray_text"),
        ("hermes", f"{HERMES_CALL} and {HERMES_CALL}", "stray_text"),
        ("hermes", "", "no_action"),
        ("json", f"{CALL} done", "not_json"),
        ("auto", "...", "blank_answer"),
    ],
)
def test_not_the_format(dialect, response, reason):
    outcome = verify(response, dialect=dialect)
    assert (outcome.format, outcome.reason) == (0.0, reason)


def test_bounds_on_the_thought():
    response = f"<think>{'x' * 10}</think>\n{BLOCK}"
    assert verify(response, min_thought_chars=10, max_thought_chars=10).format == 1.0
    assert verify(response, min_thought_chars=11).reasons == ("thought_too_short",)
    assert verify(response, max_thought_chars=9).reasons == ("thought_too_long",)
    assert verify("Paris.", min_thought_chars=1).reasons == ("no_thought",)
    assert verify(BLOCK, dialect="toolrl", min_thought_chars=1).reasons == ("no_thought",)


@given(tag_soup)
def test_any_text_has_an_outcome(response):
    for dialect in ("auto", "toolrl", "hermes"):
        outcome = verify(response, dialect=dialect)
        assert outcome.format == float(outcome.reasons == ("well_formed",)) and outcome.reason == outcome.reasons[0]


def test_options():
    for options, message in [
        ({"dialect": "xml"}, "dialect='xml'.*known: auto, toolrl"),
        ({"min_thought_chars": -1}, "min_thought_chars=-1"),
        ({"min_thought_chars": 5, "max_thought_chars": 4}, "max_thought_chars=4"),
        ({"tags": 1}, "unknown key 'tags'"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_verifier("format", **options)
