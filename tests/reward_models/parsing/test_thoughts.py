"""Thoughts: in any form, opened by the response or by the prompt; what is in them never counts."""

import pytest

from reward_models.parsing import Status, ToolCall, parse_response
from reward_models.parsing.thoughts import THINKING_FORMS, opened_form

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
F = ToolCall("f", {"a": 1})


@pytest.mark.parametrize("form", THINKING_FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("quoted", ["Why.", f"Perhaps {CALL}?", "[f(a=1)]", '{"name": "f", "arguments": {}}'])
def test_a_thought_in_its_tags_or_opened_by_the_prompt(form, quoted):
    label = f"{form.label}\n" if form.label else ""
    for opening in (form.opening, ""):
        for thinking in ("auto", "opened"):
            text = f"{opening}{label}{quoted}\n{form.closing}\n\n{CALL}"
            parsed = parse_response(text, "hermes", thinking=thinking)
            assert (parsed.status, parsed.thought, parsed.calls) == (Status.VALID, quoted, (F,))
            assert parse_response(text, thinking=thinking) == parsed
            parsed = parse_response(f"{opening}{label}{quoted}{form.closing}It is 1.", thinking=thinking)
            assert (parsed.status, parsed.thought, parsed.answer) == (Status.ABSTAINED, quoted, "It is 1.")


def test_a_text_without_tags_is_what_the_option_says():
    for text in (CALL, "It is 1."):
        assert parse_response(text).status in (Status.VALID, Status.ABSTAINED)
        parsed = parse_response(text, thinking="opened")
        assert (parsed.calls, [problem.code.value for problem in parsed.problems]) == ((), ["unclosed_think"])
    with pytest.raises(ValueError, match="thinking='on' is not known; known: auto, opened"):
        parse_response("", thinking="on")


def test_the_thought_ends_at_the_first_closing_tag():
    parsed = parse_response(f"a</think>{CALL}</think>", "hermes")
    assert (parsed.status, parsed.thought) == (Status.UNPARSEABLE, "a")


def test_an_unfinished_thought_has_no_calls():
    for form in THINKING_FORMS:
        assert parse_response(f"{form.opening}Why. {CALL}").status is Status.UNPARSEABLE


def test_a_tag_of_another_form_in_the_answer_opens_nothing():
    assert parse_response(f"<think>a</think>{CALL} [/THINK]", "hermes").thought == "a"


def test_harmony_s_thought_is_the_analysis_channel():
    call = '<|start|>assistant<|channel|>commentary to=functions.f<|message|>{"a": 1}<|call|>'
    parsed = parse_response("<|channel|>analysis<|message|>Why. </think><|end|>" + call)
    assert (parsed.thought, parsed.calls) == ("Why. </think>", (F,))


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("<|im_start|>assistant\n<think>\n", "think"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", None),
        ("Use <think> and </think>.<|im_start|>assistant\n", None),
        ("Begin with <think>.\nassistant: ", None),
        ("[INST]x[/INST][THINK]", "mistral"),
        ("<|turn>model\n<|channel>thought\n", "gemma"),
    ],
)
def test_what_form_a_prompt_opens(prompt, name):
    form = opened_form(prompt)
    assert (form.name if form else None) == name
