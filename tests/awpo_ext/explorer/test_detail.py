"""One rollout's page: the pieces are the text, whatever it is; calls are compared by the verifier's rules."""

import json

from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.explorer.calls import compared
from awpo_ext.explorer.detail import MAX_SHOWN, rollout_detail
from reward_models.parsing import ToolCall
from reward_models.verifiers.expected import expect, parse_expected

FRAGMENTS = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        '{"name": "f", "arguments": {"a": 1}}',
        "\n",
        "\u202e",
        "\ud800",
        "x",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(FRAGMENTS).map("".join))
JSON_TEXTS = st.one_of(
    st.none(), TEXTS, st.sampled_from(["[]", "{}", "[1]", '[{"a": []}]', '{"tool_answers": [["x"]]}', "NaN"])
)

NAMES = (
    "response", "prompt", "tools", "ground_truth", "calls", "extra", "extra_info", "columns", "outcome_parts", "words",
)  # fmt: skip


@given(TEXTS)
def test_the_pieces_are_the_text(text):
    (step,) = rollout_detail({"response": text})["steps"]
    assert "".join(piece for _, piece in step["pieces"]) == text.encode("utf-8", "replace").decode()


@given(st.fixed_dictionaries({name: JSON_TEXTS for name in NAMES}))
def test_every_rollout_has_a_page(row):
    json.dumps(rollout_detail(row), allow_nan=False).encode()


def test_a_long_text_is_cut_and_says_so():
    (step,) = rollout_detail({"response": "x" * (MAX_SHOWN + 5)})["steps"]
    *pieces, cut = step["pieces"]
    assert sum(len(text) for _, text in pieces) == MAX_SHOWN and cut == ["cut", "5 more characters"]


def test_a_hundred_megabytes_of_one_text_are_a_page_as_any_other():
    huge = "<think>" * 15_000_000
    for name in ("response", "ground_truth", "words", "prompt", "question", "tools"):
        page = rollout_detail({"response": "a", name: huge})
        assert len(json.dumps(page)) < 2.2 * MAX_SHOWN, name
    assert rollout_detail({"ground_truth": huge})["comparison"]["problem"] == "the ground truth is too long to compare"


def test_what_the_run_could_not_read_is_read_again():
    response = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
    row = {"response": response, "unread": "stray_tag", "calls": "[[]]"}
    detail = rollout_detail({**row, "ground_truth": '[{"name": "f", "arguments": {"a": 1}}]'})
    assert detail["read_again"] == {"calls": 1, "dialects": ["hermes"], "readable": True}
    assert not detail["comparison"]["as_stored"] and detail["comparison"]["calls"][0]["verdict"] == "equal"


def test_the_truth_of_several_turns_is_compared_too():
    turns = [[{"name": "deposit", "arguments": {"amount": 4}}], ["withdraw(3)"]]
    truth = {"involved_classes": ["Bank"], "initial_config": {"Bank": {"balance": 40}}, "turns": turns}
    calls = [[{"name": "deposit", "arguments": {"amount": 4}}], []]
    detail = rollout_detail({"ground_truth": json.dumps(truth), "texts": ["a", "b"], "calls": json.dumps(calls)})
    verdicts = [(call["name"], call["verdict"]) for call in detail["comparison"]["calls"]]
    assert verdicts == [("deposit", "equal"), ("withdraw", "missing_call")]
    assert "other calls may be right too" in detail["comparison"]["problem"]
    damaged = rollout_detail({"ground_truth": json.dumps(truth | {"turns": "none"})})["comparison"]
    assert damaged["calls"] == [] and "the ground truth is not calls: turns must be" in damaged["problem"]


def test_calls_are_compared_argument_by_argument():
    wanted = expect([ToolCall("f", {"a": 1, "b": "x", "c": None}), ToolCall("g", {})])
    given_ = [ToolCall("h", {"z": 0}), ToolCall("f", {"a": "1", "b": "x", "d": 2})]
    first, second, third = compared(wanted, given_, {})
    verdicts = {one["name"]: (one["expected"], one["given"], one["verdict"]) for one in first["arguments"]}
    assert verdicts == {
        "a": ("1", '"1"', "wrong_type"),
        "b": ('"x"', '"x"', "equal"),
        "c": ("null", None, "missing_argument"),
        "d": (None, "2", "extra_argument"),
    }
    assert (first["verdict"], second["verdict"], third["verdict"]) == ("wrong_type", "missing_call", "extra_call")


def test_a_mark_of_bfcl_is_not_shown_as_a_value():
    (call,) = compared(parse_expected('[{"f": {"a": [1, ""], "b": [""]}}]'), [], {})
    assert [one["expected"] for one in call["arguments"]] == ["1 or left out", '"" or left out']
