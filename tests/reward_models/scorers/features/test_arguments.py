"""Argument features on traces made by hand: left out, of the wrong type, or another argument's value."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.scorers.features.arguments import ArgumentFeatures, argument_features
from reward_models.scorers.features.trace import read_trace
from tests.reward_models.scorers.helpers import tool

FLIGHT = tool("find_flight", "Finds a flight.", "from_city", "to_city", "seats", "class")
FLIGHT["parameters"]["properties"]["seats"]["type"] = "integer"
FLIGHT["parameters"]["required"] = ["from_city", "to_city"]
RIGHT = {"from_city": "Rome", "to_city": "Oslo", "seats": 2}


def features(thought, *arguments, question="A flight from Rome to Oslo for two.", tools=(FLIGHT,), name="find_flight"):
    calls = "\n".join(json.dumps({"name": name, "parameters": item}) for item in arguments)
    response = f"<think>{thought}</think>\n<tool_call>\n{calls}\n</tool_call>"
    found = argument_features(read_trace(Rollout(question, json.dumps(tools), response, "", "test")))
    return dict(zip(ArgumentFeatures._fields, found, strict=True))


THOUGHT = "The from city is Rome and to_city is Oslo. I set seats to 2."


def test_a_call_that_has_all_and_in_its_place_shows_no_fault():
    found = features(THOUGHT, RIGHT)
    assert found["order_in_thought"] == found["order_in_question"] == 1
    assert not any(value for name, value in found.items() if not name.startswith("order"))


def test_arguments_left_out_are_seen_in_schema_thought_and_other_calls():
    assert features(THOUGHT, {})["bare_calls"] == 1
    found = features(THOUGHT, {"from_city": "Rome"})
    assert found["bare_calls"] == 0 and found["required_missing"] == 0.5
    assert found["given_not_passed"] == pytest.approx(2 / 3)  # to_city and seats, of three that have a value
    twice = features(THOUGHT, RIGHT, {"from_city": "Rome", "to_city": "Oslo"})
    assert twice["uneven_calls"] == pytest.approx(1 / 6) and twice["given_not_passed"] == 0


@pytest.mark.parametrize(
    "said",
    [
        "I leave class at its default, Economy.",
        "The class is optional, so Economy is left out.",
        "No class. Economy is a word.",
        "the class they fly in",
    ],
)
def test_a_parameter_that_is_left_out_on_purpose_or_has_no_value_is_no_fault(said):
    assert features(f"{THOUGHT} {said}", RIGHT)["given_not_passed"] == 0


def test_a_value_of_the_wrong_type_is_seen():
    assert features(THOUGHT, {**RIGHT, "seats": "two"})["mistyped"] == 1
    assert features(THOUGHT, {**RIGHT, "seats": "2"})["mistyped"] == 0
    assert features(THOUGHT, {**RIGHT, "seats": None})["mistyped"] == 0


def test_exchanged_values_stand_after_each_others_names_and_out_of_order():
    found = features(THOUGHT, {"from_city": "Oslo", "to_city": "Rome", "seats": 2})
    assert found["said_of_others"] == pytest.approx(2 / 3)
    assert found["order_in_thought"] == pytest.approx(2 / 3) and found["order_in_question"] == 0


def test_what_cannot_be_compared_is_neutral():
    for found in (features("So.", name="unknown"), features("So.", {}, tools=()), features("So.", {"x": True})):
        assert found["order_in_thought"] == found["order_in_question"] == 0.5
        assert found["said_of_others"] == found["mistyped"] == found["given_not_passed"] == 0
    same = features("from_city is Rome, to_city is Rome", {"from_city": "Rome", "to_city": "Rome"})
    assert same["said_of_others"] == 0 and same["order_in_thought"] == 0.5


@settings(max_examples=100)
@given(
    st.text(max_size=200),
    st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none())),
)
def test_any_arguments_give_shares(thought, arguments):
    found = features(thought.replace("<", ""), arguments, arguments)
    assert all(0 <= value <= 1 for value in found.values()) and np.isfinite(list(found.values())).all()


def test_hostile_sizes_take_bounded_time():
    import time

    names = [f"p{number}" for number in range(64)]
    wide = tool("find_flight", "", *names)
    thought = " ".join(f"{name} is 1" for name in names) * 40
    arguments = {name: f"{number}" for number, name in enumerate(names)}
    started = time.process_time()
    features(thought, *[arguments] * 16, tools=[wide] * 8)
    assert time.process_time() - started < 2
