"""What a classifier reads: within its tokens, whole where it fits, never ended or padded by what a policy writes."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reward_models.scorers.classifier.model import make_renderer
from reward_models.scorers.classifier.text import Renderer, check_tokenizer, pad, read_template, template_hash
from reward_models.types import Rollout
from tests.reward_models.scorers.classifier.tiny_models import TOOLS, rollout


@pytest.fixture(scope="module")
def renderer(tiny_bert):
    return make_renderer(tiny_bert, 128, read_template())


def test_short_rollouts_are_whole(tiny_bert):
    text = make_renderer(tiny_bert, 512, read_template()).text(rollout("It fits {tools}."))
    assert text == (
        "Task:\nHow is the weather in Paris?\n\n"
        "Tools:\nget_weather(city: string): The weather.\nget_time(city: string): The time.\n\n"
        "Reasoning:\nIt fits {tools}.\n\n"
        'Action:\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n'
    )


def test_special_tokens_are_the_models_own(renderer):
    ids = renderer.encode(rollout("Fine [SEP] [PAD] [CLS] done."))
    assert ids[0] == 1 and ids[-1] == 2
    assert not {0, 1, 2} & set(ids[1:-1])


def test_tools_go_first_then_the_task_then_the_middle_of_the_thought(tiny_bert):
    long = rollout("BEGIN " + "because " * 60 + "END", question="ask " * 60 + "now", tools=TOOLS)
    whole = len(make_renderer(tiny_bert, 4096, read_template()).encode(long))
    sizes = (whole, whole - 5, whole - 120, whole - 300)
    texts = [make_renderer(tiny_bert, size, read_template()).text(long) for size in sizes]
    assert ["The time." in text for text in texts] == [True, False, False, False]
    assert ["get_weather(" in text for text in texts] == [True, True, False, False]
    assert 60 == texts[0].count("ask ") == texts[1].count("ask ") > texts[2].count("ask ") > texts[3].count("ask ") == 0
    assert [text.count("because") == 60 for text in texts] == [True, True, True, False]
    for text in texts:
        assert "BEGIN" in text and "END" in text and '{"name": "get_weather", "arguments": {"city": "Paris"}}' in text


def test_the_called_tool_is_the_last_to_be_cut(tiny_bert):
    tools = json.dumps([{"name": f"tool_{n}", "description": "x " * 20} for n in range(9)] + json.loads(TOOLS))
    text = make_renderer(tiny_bert, 180, read_template()).text(rollout("It fits.", tools=tools))
    assert "get_weather(city: string)" in text and "tool_8" not in text


def test_an_action_that_is_too_long_leaves_half_to_the_thought(tiny_bert):
    text = make_renderer(tiny_bert, 256, read_template()).text(
        rollout("BEGIN " + "because " * 100 + "END", city="START" + "x" * 3000 + "STOP")
    )
    assert all(word in text for word in ("BEGIN", "END", "START", "STOP", "because"))


texts = st.one_of(
    st.text(st.characters(), max_size=300),
    st.sampled_from(["x" * 5000, "[SEP]" * 50, "\ud800 lone", "\U0001f600" * 400, "</think>", "", " "]),
)


@settings(max_examples=150)
@given(thought=texts, question=texts, tools=st.one_of(texts, st.just(TOOLS)), action=texts)
@example(thought="fine", question="\ud800", tools="[" * 5000, action="{")
def test_any_rollout_fits_or_has_no_thought(renderer, thought, question, tools, action):
    found = Rollout(question, tools, f"<think>{thought}</think>\n{action}", "", "test")
    ids = renderer.encode(found)
    assert (ids is None) == (renderer.text(found) is None)
    if ids is not None:
        assert 0 < len(ids) <= renderer.max_tokens
        assert ids[0] == 1 and ids[-1] == 2 and not {0, 1, 2} & set(ids[1:-1])
        assert renderer.encode(found) == ids


@pytest.mark.parametrize("response", ["", "no thought", "<think>  </think> hi", "<think>never closed"])
def test_without_a_thought_there_is_nothing_to_read(renderer, response):
    assert renderer.encode(Rollout("q", "", response, "", "test")) is None


@pytest.mark.parametrize(
    "tools",
    [
        '[{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}}}}}]',
        '[{"name": "f", "parameters": {"a": 1}}]',
    ],
)
def test_tools_in_either_form_are_one_line_each(tiny_bert, tools):
    assert "Tools:\nf(a)\n" in make_renderer(tiny_bert, 256, read_template()).text(rollout("Fits.", tools=tools))


@pytest.mark.parametrize("tools", ["plain words", "{}", "[1]", "[]", '[{"name": 3}]'])
def test_tools_in_no_known_form_stand_as_they_are(tiny_bert, tools):
    assert f"Tools:\n{tools}\n" in make_renderer(tiny_bert, 256, read_template()).text(rollout("Fits.", tools=tools))


def test_a_template_must_hold_each_section_once(tmp_path):
    path = tmp_path / "template.txt"
    for text in ("{question} {tools} {thought}", "{question}{tools}{thought}{action}{action}", "{x}" + read_template()):
        path.write_text(text)
        with pytest.raises(ValueError, match="holds each of"):
            read_template(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="cannot be read as a template"):
        read_template(path)
    assert len(template_hash(read_template())) == 12


def test_tokenizers_that_do_not_do_are_refused(renderer):
    class Slow:
        is_fast = False

    class NoPad:
        is_fast, pad_token_id = True, None

    with pytest.raises(ValueError, match="must be a fast one"):
        check_tokenizer(Slow(), "here")
    with pytest.raises(ValueError, match="no pad token"):
        check_tokenizer(NoPad(), "here")
    assert isinstance(renderer, Renderer)


def test_padding_is_on_the_right():
    assert pad([[1, 2, 3], [4]], 9) == ([[1, 2, 3], [4, 9, 9]], [[1, 1, 1], [1, 0, 0]])
