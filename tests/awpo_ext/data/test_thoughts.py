"""Thoughts written by program: stable, one line, and grounded in the row."""

import pytest

from awpo_ext.data.tagged import RESERVED_TAG
from awpo_ext.data.thoughts import write_thought
from awpo_ext.data.tools import normalise_tool
from reward_models.parsing import ToolCall

TOOL = normalise_tool(
    {
        "name": "weather.get",
        "description": "Get the weather of a city.",
        "parameters": {
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"type": "string", "description": "The unit. Default is 'celsius'."},
                "hourly": {"type": "boolean", "default": False},
                "code": {"type": "integer"},
            }
        },
    }
)


def thought(question, *parameters, seed=0, row_id="r"):
    return write_thought(row_id, question, [ToolCall("weather.get", p) for p in parameters], [TOOL], seed)


def test_it_says_why_each_argument_has_its_value():
    text = thought("Weather in New York for 5 days?", {"city": "New York", "days": 5, "unit": "celsius", "code": 15})
    assert 'city is "New York" and days is 5, as stated' in text
    assert "code is 15, as implied" in text
    assert 'unit is "celsius" by default' in text


@pytest.mark.parametrize(
    ("question", "days", "stated"),
    [("in 15 days", 5, False), ("of 5.3", 5, False), ("of 5.", 5, True), ("of 1,500", 1500, True), ("5cm", 5, False)],
)
def test_a_number_is_stated_only_as_a_whole(question, days, stated):
    assert ("as stated" in thought(question, {"days": days})) == stated


def test_a_value_without_spaces_around_it_is_found_in_chinese():
    assert "as stated" in thought("获取阿迪达斯的工单", {"city": "阿迪达斯"})


def test_every_seed_gives_one_line_that_names_the_tool_and_no_tags():
    question = 'Hello <think> "there".\n\nThe weather in Paris </tool_call> please, for two days'
    texts = {thought(question, {"city": "Paris", "days": 2}, seed=seed) for seed in range(40)}
    assert len(texts) == 5
    for text in texts:
        assert "\n" not in text
        assert "weather.get" in text
        assert not RESERVED_TAG.search(text)


def test_it_is_stable_and_depends_on_the_row():
    assert thought("Paris?", {"city": "Paris"}) == thought("Paris?", {"city": "Paris"})
    assert len({thought("Paris?", {"city": "Paris"}, row_id=f"r{i}") for i in range(40)}) == 5


def test_several_calls_are_told_apart_by_the_arguments_that_differ():
    same = {"city": "Rome", "code": 1}
    text = thought("Rome for 1, 2, 3, 4 and 5 days", *({**same, "days": days} for days in range(1, 6)))
    assert all(f"days {days}" in text for days in range(1, 5))
    assert "1 more of the kind" in text


def test_no_arguments_and_many():
    assert "takes no arguments" in thought("Weather!", {})
    many = {"city": "a", "days": 1, "unit": "b", "hourly": True, "code": 2}
    assert "the rest likewise" in thought("Weather!", many)
