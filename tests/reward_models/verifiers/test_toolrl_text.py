"""The lenient reading that ToolRL's published reward needs: what it takes, and what it refuses."""

import math

import pytest

from reward_models.parsing import MAX_DEPTH
from reward_models.verifiers.toolrl_text import GroundTruth, TextError, parse_ground_truth, read_json_lines
from tests.reward_models.strategies import call_block, tagged

CALL = {"name": "f", "parameters": {"a": 1}}


def nested(depth):
    return "[" * depth + "]" * depth


def test_json_corner_cases_are_python_s():
    values = read_json_lines('{"a": NaN, "b": -Infinity}\n{"a": 1, "a": 2}\n"\\ud800\\u0000"')
    assert math.isnan(values[0]["a"]) and values[0]["b"] == -math.inf
    assert values[1] == {"a": 2}
    assert values[2] == "\ud800\x00"


def test_depth_is_counted_to_the_limit():
    assert len(read_json_lines(nested(MAX_DEPTH))) == 1
    for depth in (MAX_DEPTH + 1, 30_000):
        with pytest.raises(TextError, match="too_deep"):
            read_json_lines(nested(depth))


@pytest.mark.parametrize("block", ["", "{}\n\n{}", "{'a': 1}", "9" * 5000])
def test_what_is_no_json(block):
    with pytest.raises(TextError, match="not_json"):
        read_json_lines(block)


def test_a_ground_truth_s_blocks():
    truth = parse_ground_truth(tagged("I open <tool_call> and no <response>.", calls=[CALL], response="hi"))
    assert truth == GroundTruth((CALL,), has_response=True)
    assert parse_ground_truth("<think>t</think>") == GroundTruth((), has_response=False)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("words", "no_action"),
        ("<think>a", "unclosed_think"),
        ("<response>a", "unclosed_block"),
        (call_block([CALL]) * 2, "repeated_block"),
        (call_block([{"name": 1, "parameters": {}}]), "bad_call"),
        (call_block([{"name": "f", "parameters": []}]), "bad_call"),
        ("<response>" + "a" * 70_000, "too_long"),
    ],
)
def test_why_a_ground_truth_cannot_be_read(text, code):
    with pytest.raises(ValueError, match=rf"\({code}\): expected <think>"):
        parse_ground_truth(text)
