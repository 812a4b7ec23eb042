"""Agreement features: what the request says against what thought and call claim, however well the two agree."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.scorers.features.agreement import AgreementFeatures, agreement_features
from reward_models.scorers.features.lookup import numbers_of
from reward_models.scorers.features.trace import read_trace
from tests.reward_models.scorers.helpers import tool
from tests.reward_models.strategies import tag_soup

WAY = tool("find_way", "Finds a way between two places.", "start", "end", "mode")
WAY["parameters"]["properties"]["mode"]["enum"] = ["walk", "ride"]
QUESTION = "Give me the way from the Eiffel Tower to the Louvre, I have 90 minutes."
RIGHT = {"start": "Eiffel Tower", "end": "Louvre"}


def features(arguments, thought=None, question=QUESTION, tools=(WAY,), name="find_way"):
    said = (
        thought or "find_way does this; " + " and ".join(f"{k} is {v}" for k, v in arguments.items()) + ", as stated."
    )
    call = json.dumps({"name": name, "parameters": arguments})
    response = f"<think>{said}</think>\n<tool_call>\n{call}\n</tool_call>"
    found = agreement_features(read_trace(Rollout(question, json.dumps(list(tools)), response, "", "test")))
    return dict(zip(AgreementFeatures._fields, found, strict=True))


def test_a_right_call_agrees_with_its_request():
    found = features(RIGHT)
    assert found["texts_asked"] == found["said_own"] == 1
    for name in ("values_argued_unasked", "direction_against", "said_otherwise", "request_texts_unused", "same_texts"):
        assert found[name] == 0, name


def test_values_that_only_the_thought_has_are_not_asked():
    found = features({"start": "Paris", "end": "Tehran"})
    assert found["texts_asked"] == 0 and found["values_argued_unasked"] == 1 and found["request_texts_unused"] == 1
    assert found["said_own"] == 1  # thought and call agree


def test_a_way_in_the_other_direction_is_seen():
    assert features({"start": "Louvre", "end": "Eiffel Tower"})["direction_against"] == 1
    tokens = {"token_a": "Louvre", "token_b": "Eiffel Tower"}  # `to` is a word of its own in a name, not a beginning
    assert features(tokens)["direction_against"] == 0


@pytest.mark.parametrize(
    ("question", "number", "unasked"),
    [
        ("A company with 100 million shares", 100_000_000, 0),
        ("A company with 100 million shares", 100_000_003, 1),
        ("Roll a six twice", 2, 0),
        ("at 4% interest", 0.04, 0),
        ("a run of 10km", 10, 0),
        ("for 5 days", 7, 1),
    ],
)
def test_a_number_is_asked_in_any_of_its_spellings(question, number, unasked):
    assert features({"start": number}, question=question)["numbers_unasked"] == unasked


def test_what_thought_and_call_say_of_an_argument_is_compared():
    found = features(RIGHT, "start is Eiffel Tower and end is 'Orsay'.")
    assert found["said_own"] == found["said_otherwise"] == 0.5
    assert features(RIGHT, "no argument is named")["said_own"] == 0.5


def test_the_schema_is_kept_or_not():
    assert features({**RIGHT, "speed": 3})["unknown_arguments"] == pytest.approx(1 / 3)
    assert features({**RIGHT, "mode": "fly"})["outside_enum"] == 1 and features({"mode": "walk"})["outside_enum"] == 0
    assert features(RIGHT, name="other")["unknown_tools"] == 1 and features(RIGHT, tools=())["unknown_tools"] == 0
    assert features({"start": "Louvre", "end": "Louvre"})["same_texts"] == 1


def test_words_of_the_tools_name_and_optional_arguments_are_seen():
    shape = tool("geometry.circleArea", "Area.", "radius", "unit")
    shape["parameters"]["required"] = ["radius"]
    found = features({"radius": 5, "unit": "circle"}, tools=[shape], name="geometry.circleArea")
    assert found["texts_of_tool"] == found["optional_given"] == 1
    assert features({"radius": 5}, tools=[shape], name="geometry.circleArea")["optional_given"] == 0


def test_a_value_beside_the_word_of_another_argument():
    shape = tool("area", "Area of a triangle.", "base_length", "height_length")
    question = "Area of a triangle with base 6 and height 10?"
    right = features({"base_length": 6, "height_length": 10}, question=question, tools=[shape], name="area")
    wrong = features({"base_length": 10, "height_length": 6}, question=question, tools=[shape], name="area")
    assert right["nearer_other_name"] == 0 and wrong["nearer_other_name"] == 1


def test_a_repeated_request_covers_it():
    assert features(RIGHT, QUESTION)["question_covered"] == 1 and features(RIGHT)["question_covered"] == 0


def test_numbers_in_words_scales_and_units():
    assert numbers_of("two and a half dozen, 2.5k, $30 million, 1,500 m") >= {2.0, 0.5, 12.0, 2500.0, 3e7, 1500.0}
    assert 1000.0 not in numbers_of("a k, m")
    assert len(numbers_of("1," * 6000)) < 5


@given(tag_soup, tag_soup, st.sampled_from(["1,", "from to ", "'a' ", "A b ", "start ", "million "]))
def test_any_text_gives_finite_shares(thought, question, unit):
    for said, asked in ((thought, question), (unit * 3000, unit * 3000)):
        found = features({"start": said[:300], "to": asked[:300], "n": 5}, said or "-", asked)
        assert all(np.isfinite(value) and 0 <= value <= 1 for value in found.values())
