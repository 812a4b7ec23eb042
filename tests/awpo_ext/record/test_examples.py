"""Which rollouts a table of examples holds, and what its cells say: bounded, readable, of any text."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.record.examples import COLUMNS, NUMBERS, ExampleOptions, Numbers, choose, example_row, visible

NAN = math.nan
KINDS = ("largest |A|", "judge high, outcome low", "outcome high, judge low", "unparseable", "unscored", "any")
UNIT = st.one_of(st.just(NAN), st.floats(0, 1))
ROLLOUT = st.tuples(
    st.sampled_from([0.0, -1.0, 0.5, 2.0]), UNIT, UNIT, st.sampled_from([None, "", "stray_tag"]), st.sampled_from("abc")
)
TEXT = st.one_of(st.none(), st.text(), st.sampled_from(["[]", "{}", "[1]", '[[{"name": "f"}]]', "\ud800\u202e"]))


def numbers(*rollouts):
    return Numbers(*([list(column) for column in zip(*rollouts, strict=True)] or [[]] * 5))


def row(count=200, **changes):
    return example_row(
        {"response": "<think>a</think>b", "question": "q", **changes}, 3, "any", count, lambda text: text
    )


def test_each_kind_has_its_turn_and_the_largest_come_first():
    chosen = choose(
        numbers(
            (0.1, 0.5, 0.5, "", "a"),
            (-2.0, 0.5, 0.5, "", "a"),
            (0.2, 0.0, 1.0, "", "b"),
            (0.3, 1.0, 0.0, "", "b"),
            (0.0, 0.0, 0.0, "stray_tag", "c"),
            (0.0, 0.5, NAN, "", "c"),
            (0.0, 0.5, 0.5, "", "d"),
        ),
        6,
    )
    assert chosen == list(zip((1, 2, 3, 4, 5, 0), (*KINDS[:5], KINDS[0]), strict=True))


def test_where_nothing_stands_out_each_prompt_is_shown():
    same = [(0.0, 0.5, 0.5, "", group) for group in "aabb"]
    assert choose(numbers(*same), 3) == [(0, "any"), (2, "any"), (1, "any")]
    assert choose(numbers(), 3) == []


@given(st.lists(ROLLOUT, max_size=20), st.integers(1, 25))
def test_a_rollout_is_chosen_once_and_for_what_it_is(rollouts, count):
    chosen = choose(numbers(*rollouts), count)
    assert len(chosen) == min(count, len(rollouts)) == len({i for i, _ in chosen})
    for i, why in chosen:
        advantage, share, score, unread, _ = rollouts[i]
        holds = (advantage != 0, score > share, share > score, bool(unread), math.isnan(score), True)
        assert holds[KINDS.index(why)]


def test_a_row_reads_as_a_person_would_have_it():
    call = {"name": "add", "arguments": {"a": 1, "b": "ü"}}
    cells = row(
        response=f"<think>one and two</think><tool_call>\n{json.dumps(call)}\n</tool_call>",
        question="What is 1 + ü?", ground_truth="[]", calls=json.dumps([[call]]), outcome=-3.0, outcome_valid=True,
        outcome_reason="wrong_value", outcome_reasons=["wrong_value", "extra_call"], unread="", reasoning=None,
        failure="timeout", words="no answer in 30 s", advantage=-1.5, closed="open", key="uid_0_0",
    )  # fmt: skip
    assert list(cells) == list(COLUMNS)
    assert (cells["step"], cells["thought"], cells["calls"]) == (3, "one and two", 'add({"a": 1, "b": "ü"})')
    assert (cells["outcome"], cells["judge"], cells["advantage"]) == (-3.0, None, -1.5)
    assert cells["reason"] == "wrong_value, extra_call"
    assert cells["judge_words"] == "unscored: timeout. no answer in 30 s"
    assert row(outcome=4.0, outcome_valid=False)["outcome"] is None, "an outcome that says nothing is not shown as one"


def test_what_cannot_be_read_is_shown_as_it_is():
    assert row(response="<think>x</think>add(1, 2", calls="[[]]", unread="no_tool_call")["calls"] == "add(1, 2"
    several = row(texts=["<think>a</think>one", "<think>b</think>two"], response="all of it")
    assert (several["thought"], several["calls"]) == ("a\nb", "one\ntwo")
    assert row(question="", prompt=json.dumps([{"role": "user", "content": "last"}]))["prompt"] == "last"


def test_long_texts_are_cut_and_the_prompt_keeps_its_end():
    cells = row(50, question="p" * 99 + "end", ground_truth="start" + "t" * 99)
    assert cells["prompt"].endswith("end") and cells["expected"].startswith("start")
    assert {len(cells[name]) for name in ("prompt", "expected")} == {50}


@given(
    st.fixed_dictionaries(
        {name: TEXT for name in ("response", "prompt", "question", "calls", "words", "tools", "unread")}
    )
)
def test_any_text_gives_a_row_within_its_bounds(texts):
    cells = row(60, **texts)
    assert all(len(cell) <= 60 for name, cell in cells.items() if name not in NUMBERS)
    json.dumps(list(cells.values()), allow_nan=False).encode()


def test_a_hundred_megabytes_of_one_text_are_a_row_as_any_other():
    huge = "<think>" * 15_000_000
    for name in ("response", "ground_truth", "words", "prompt", "question", "calls"):
        assert sum(len(str(cell)) for cell in row(200, **{name: huge}).values()) < 1300, name


def test_hidden_characters_are_written_out():
    assert visible("a\u202eb\x00\ud800\n\tü") == "a<U+202E>b<U+0000><U+D800>\n\tü"


def test_secrets_are_hidden():
    shown = example_row({"question": "key sk-1"}, 1, "any", 99, lambda text: text.replace("sk-1", "(hidden)"))
    assert shown["prompt"] == "key (hidden)"


def test_a_secret_at_the_end_of_a_cell_is_hidden_whole():
    for text in ("x" * 55 + "sk-1234567890", "sk-1234567890" + "x" * 55):
        cells = example_row(
            {"question": text, "ground_truth": text},
            1,
            "any",
            60,
            lambda all_: all_.replace("sk-1234567890", "(hidden)"),
        )
        assert "sk-" not in cells["prompt"] + cells["expected"] and "567890" not in cells["prompt"] + cells["expected"]


def test_when_a_table_is_due():
    assert [step for step in range(25) if ExampleOptions(every=10).due(step)] == [1, 10, 20]
    assert not any(ExampleOptions.from_section(off).due(10) for off in (None, False, {"every": 0}))
    assert ExampleOptions.from_section(True) == ExampleOptions()
    with pytest.raises(ValueError, match=r"algorithm.awpo.examples: unknown key 'evry'.*did you mean 'every'"):
        ExampleOptions.from_section({"evry": 1})
    with pytest.raises(ValueError, match="must be true, false, or keys"):
        ExampleOptions.from_section("yes")
