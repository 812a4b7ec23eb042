"""What is read of a completion that comes in chunks."""

import json

import pytest

from reward_models.llm_client.answer import Completion, ended_by_itself, read_completion


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "draft"}]}, {"type": "text", "text": "Yes"}],
            "Yes",
        ),
        ([{"type": "text", "text": "Y"}, {"type": "text", "text": "es"}], "Yes"),
        ([None, 1, {"type": "text", "text": 3}, {"text": "untyped"}, {"type": "text", "text": "No"}], "No"),
    ],
)
def test_of_chunks_the_texts_are_the_answer(content, text):
    body = json.dumps({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}).encode()
    assert read_completion(body)[0] == Completion(text, "stop")


@pytest.mark.parametrize("reason", ["length", "abort", "error", "content_filter", "max_tokens", "MAX_TOKENS", "", None])
def test_an_answer_is_whole_only_where_the_model_stopped(reason):
    assert not ended_by_itself(reason) and ended_by_itself("stop") and ended_by_itself("STOP")
