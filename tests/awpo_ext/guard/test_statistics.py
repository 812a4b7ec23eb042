"""What is measured of an update: against the method's own numbers, at the edges, and on hostile texts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from awpo_ext.guard.statistics import (
    MAX_TEXT,
    Rollouts,
    Text,
    agreement_of,
    number_values,
    repeated,
    share_values,
    spread,
    text_values,
    thought_of,
)

NAN = math.nan


def rollouts(n=4, **changes) -> Rollouts:
    columns = {
        "group": ["a", "a", "b", "b"][:n], "outcome": np.array([4.0, -3.0, 0.5, 0.5])[:n], "low": np.full(n, -3.0),
        "high": np.full(n, 4.0), "outcome_valid": np.ones(n, bool), "judge": np.array([0.9, 0.2, 0.5, 0.6])[:n],
        "judged": np.ones(n, bool), "unread": [""] * n, "tokens": np.full(n, 100.0),
    }  # fmt: skip
    return Rollouts(**(columns | changes))


def test_numbers_of_an_update():
    values = number_values(rollouts(unread=["", "no_tool_call", None, ""]))
    assert values["outcome"][0] == pytest.approx(0.5) and values["gap"][0] == pytest.approx(0.05)
    assert values["length"][0] == pytest.approx(math.log(100)) and values["unscored"] == (0.0, 1.0)
    assert values["unparseable"][0] == pytest.approx(1 / 3) and values["reliability"] == (pytest.approx(-1.0), 1.0)


def test_what_the_rollouts_do_not_determine_is_left_out():
    nothing = number_values(rollouts(outcome_valid=np.zeros(4, bool), judge=np.full(4, NAN), judged=np.zeros(4, bool),
                                     unread=[None] * 4))  # fmt: skip
    assert set(nothing) == {"length"}
    assert number_values(rollouts(0)) == {}


def test_an_unscored_rollout_is_counted_where_a_score_was_wanted_and_is_no_zero():
    values = number_values(rollouts(judge=np.array([0.9, NAN, 0.5, NAN]), judged=np.array([True, True, True, False])))
    assert values["unscored"][0] == pytest.approx(1 / 3) and values["gap"][0] == pytest.approx(0.7 - 0.75)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.none() | st.integers(0, 4)), max_size=24))
def test_agreement_is_that_of_the_method(rows):
    from awpo_ext.advantage import awpo_advantages
    from awpo_ext.config import AwpoConfig
    from awpo_ext.reliability import ReliabilityState, updated

    group = [row[0] for row in rows]
    success = np.array([row[1] / 4 for row in rows])
    judge = np.array([NAN if row[2] is None else row[2] / 4 for row in rows])
    correlation, information = agreement_of(group, success, judge)
    assert information == 0 or -1 - 1e-9 <= correlation <= 1 + 1e-9
    if not rows:
        return
    config = AwpoConfig(reward_min=0.0, reward_max=1.0)
    result = awpo_advantages(torch.tensor(success), torch.tensor(judge), group, config, ~np.isnan(judge))
    state = result.reliability
    if information == 0:
        assert state.mean == 0.0
        return
    expected = updated(ReliabilityState(), correlation, information, 0, 0.0, config)
    assert state.mean == pytest.approx(expected.mean, abs=0.02)  # but for the ageing by these few groups


@given(st.permutations(range(4)))
def test_the_order_of_rollouts_says_nothing(order):
    base, order = rollouts(), list(order)
    moved = Rollouts(
        **{name: [v[i] for i in order] if isinstance(v, list) else v[order] for name, v in vars(base).items()}
    )
    one, other = number_values(base), number_values(moved)
    assert one.keys() == other.keys() and all(one[name] == pytest.approx(other[name]) for name in one)


def test_what_can_be_stuck():
    assert share_values(np.array([0.0, 0.0]), 0.0) == {
        "gate_shut": True,
        "gate_open": False,
        "no_say": False,
        "all_say": False,
    }
    assert share_values(np.array([0.5, 1.0]), 0.99)["all_say"] and share_values(np.array([0.5]), 0.01)["no_say"]
    assert share_values(np.array([1.0, 1.0]), None) == {"gate_shut": False, "gate_open": True}
    assert share_values(np.array([]), 0.5) == {}


def think(thought, group="a", prompt="What is the weather in Oslo?"):
    return Text(group, f"<think>{thought}</think><tool_call>{{}}</tool_call>", prompt)


def test_texts_of_an_update():
    different = [
        think("Oslo lies in the north, so it is cold."),
        think("A table for six people was asked for.", "b", "Book!"),
    ]
    same = [
        think("I have carefully chosen the best tool."),
        think("I have carefully chosen the best tool.", "b", "Book!"),
    ]
    assert text_values(different)["template"][0] < 0.2 and text_values(same)["template"][0] == 1.0
    assert text_values([think("What is the weather in Oslo?")])["copied"][0] == 1.0
    assert "template" not in text_values([think("alone")])  # nothing under another prompt to compare with
    assert text_values([think("and so on, and so forth, and on and on " * 20)])["repetition"][0] > 0.9
    assert text_values([]) == {} == text_values([Text("a", "", ""), Text("b", "  ", "x")])


def test_the_thought_is_read_where_there_is_one():
    assert thought_of("<think> so </think>{}").strip() == "so" and thought_of("no thought") == "no thought"
    assert thought_of("<think>never ends") == "<think>never ends"


@settings(max_examples=60)
@given(st.text(max_size=60), st.integers(1, 40))
def test_shares_are_shares(text, times):
    assert 0.0 <= repeated(text * times) < 1.0
    values = text_values([Text("a", text * times, text), Text("b", text, "")])
    assert all(0.0 <= value <= 1.0 for value, _ in values.values())


@pytest.mark.parametrize("text", ["<think>" * 40_000, "\ud800" * 9_000, "\x00\u202e" * 9_000, "<tool_call>{" * 9_000])
def test_hostile_texts_are_measured_too(text):
    values = text_values([Text("a", text, text), Text("b", text[: MAX_TEXT // 2], "")])
    assert all(math.isfinite(value) for value, _ in values.values())


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.integers(0, 40))
def test_the_read_rollouts_are_spread_over_the_prompts(group, most):
    places = spread(group, most)
    assert len(places) == min(most, len(group)) and places == sorted(set(places))
    if most >= len(set(group)):
        assert {group[i] for i in places} == set(group)
