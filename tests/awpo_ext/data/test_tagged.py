"""The tagged text: rendering and reading are inverse, and what is malformed is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.data.tagged import (
    NO_THOUGHT,
    RESERVED_TAG,
    TaggedTextError,
    parse_tagged,
    render_answer,
    strip_tags,
)
from reward_models.parsing import ToolCall

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
calls = st.builds(ToolCall, texts.filter(bool), st.dictionaries(texts, values, max_size=4))


@given(texts.filter(lambda text: not RESERVED_TAG.search(text)), st.lists(calls, min_size=1, max_size=3))
def test_what_is_rendered_is_read_back(thought, answer):
    tagged = parse_tagged(render_answer(thought, answer))
    assert tagged.thought == thought
    assert list(tagged.calls) == answer
    assert tagged.response is None


def test_arguments_may_hold_the_tags_themselves():
    call = ToolCall("echo", {"text": "</tool_call>\n<response>x</response>", "line": "a\u2028b"})
    assert parse_tagged(render_answer(NO_THOUGHT, [call])).calls == (call,)


def test_the_form_is_toolrls():
    text = render_answer(NO_THOUGHT, [ToolCall("f", {"x": 1}), ToolCall("g", {})])
    assert text == (
        '<think> </think>\n<tool_call>\n{"name": "f", "parameters": {"x": 1}}\n'
        '{"name": "g", "parameters": {}}\n</tool_call>'
    )


def test_a_thought_may_quote_tags_when_it_is_read_but_not_when_it_is_written():
    text = '<think> I fill <tool_call> tags. </think>\n<tool_call>\n{"name": "f", "parameters": {}}\n</tool_call>'
    tagged = parse_tagged(text)
    assert tagged.calls == (ToolCall("f", {}),)
    assert strip_tags(tagged.thought) == " I fill tool_call tags. "
    with pytest.raises(ValueError, match="reserved tag"):
        render_answer(tagged.thought, tagged.calls)


def test_a_response_alone_and_after_calls():
    assert parse_tagged("<think> a </think>\n<response> b </response>").response == " b "
    both = parse_tagged(
        "<think>a</think>\n<tool_call>\n" + json.dumps({"name": "f", "parameters": {}}) + "\n</tool_call>\n"
        "<response>b</response>"
    )
    assert (len(both.calls), both.response) == (1, "b")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "neither"),
        ("<tool_call>\n\n</tool_call>", "empty"),
        ("<tool_call>\nnot json\n</tool_call>", "not JSON"),
        ('<tool_call>\n{"name": "f", "parameters": {"x": NaN}}\n</tool_call>', "not JSON"),
        ('<tool_call>\n["f"]\n</tool_call>', "not a JSON object"),
        ('<tool_call>\n{"parameters": {}}\n</tool_call>', "no 'name'"),
        ('<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', "no 'parameters'"),
        ('<tool_call>\n{"name": "f", "parameters": {}}', "expected <think>"),
    ],
)
def test_malformed_text_is_named(body, says):
    with pytest.raises(TaggedTextError, match=says):
        parse_tagged(f"<think> t </think>\n{body}")


def test_a_text_without_a_thought_is_refused():
    with pytest.raises(TaggedTextError, match="expected <think>"):
        parse_tagged("<response> hello </response>")
