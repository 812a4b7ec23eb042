"""Honest thoughts in other words: they say the row's tool and values, and the two halves share no wording."""

import pytest

from awpo_ext.data.wordings import ENGLISH, FOREIGN, other_wordings
from reward_models.parsing import ToolCall

TOOL = {
    "name": "triangle.area",
    "description": "Calculate the area of a triangle. Fast.",
    "parameters": {
        "type": "object",
        "properties": {"base": {"type": "integer"}, "height": {"type": "integer"}, "unit": {"default": "cm"}},
    },
}
CALL = ToolCall("triangle.area", {"base": 6, "height": 10, "unit": "cm"})
QUESTION = "What is the area of a triangle with a base of 6 and a height of 10?"


@pytest.mark.parametrize("half", ["train", "eval"])
@pytest.mark.parametrize("seed", range(8))
def test_every_wording_names_the_tool_and_the_values(half, seed):
    made = other_wordings("row", QUESTION, [CALL], [TOOL], half, seed)
    assert len(made) == len(set(made)) == 3 and made == other_wordings("row", QUESTION, [CALL], [TOOL], half, seed)
    for thought in made:
        assert "triangle.area" in thought and "6" in thought and "10" in thought and "\n" not in thought
        assert "{" not in thought


def test_a_call_without_arguments_and_several_calls_are_written():
    bare = ToolCall("triangle.area", {})
    for half in ("train", "eval"):
        for thought in other_wordings("row", QUESTION, [bare], [TOOL], half, 0):
            assert "triangle.area" in thought
        for thought in other_wordings("row", QUESTION, [CALL, CALL], [TOOL], half, 0):
            assert "triangle.area" in thought


def test_the_halves_share_no_frame_and_no_foreign_language():
    def frames(half):
        return {frame for wording in (*ENGLISH[half], *FOREIGN[half]) for frame in wording.frames}

    assert not frames("train") & frames("eval")
    assert not {item.language for item in FOREIGN["train"]} & {item.language for item in FOREIGN["eval"]}
