"""Corruptions: each does what its name says and nothing else, the sides of a split share nothing, the files survive."""

import random

import pytest

from reward_models.labelled import HONEST, read_labelled, write_labelled
from reward_models.parsing import parse_response
from reward_models.scorers.data import phrases
from reward_models.scorers.data.corruptions import CORRUPTIONS, NEEDS_CALL, Context, corrupt
from reward_models.scorers.data.dataset import build, read_original
from reward_models.scorers.features.trace import sentences
from tests.reward_models.scorers.helpers import honest_rows

ROWS = honest_rows(16)
THOUGHT_ONLY = {
    "other_thought", "nearest_thought", "wrong_tool_argued", "contradiction", "truncated", "repeated", "shuffled", "padded",
    "empty", "boilerplate", "praise", "tool_listing", "keyword_stuffing", "question_echo", "call_echo",
}  # fmt: skip


def context(number, half="train", seed=0):
    originals = [read_original(row) for row in ROWS]
    others = originals[:number] + originals[number + 1 :]
    return originals[number], Context(others, others[0], half, random.Random(seed))


@pytest.fixture(scope="module")
def built():
    return list(build(ROWS, CORRUPTIONS, "train", 0))


def test_every_row_is_there_with_its_corruptions(built):
    kinds = {row.kind for row in built}
    assert kinds == {HONEST, *CORRUPTIONS} - {"foreign_tool", "exchanged_values"}  # rows have other tools; types differ
    honest = {row.id: row for row in built if row.kind == HONEST}
    assert [row.rollout for row in honest.values()] == [row.rollout for row in ROWS]
    for row in built:
        assert (row.label, row.pair) == ((1.0, None) if row.kind == HONEST else (0.0, f"{row.source}/{HONEST}"))
        assert row.provenance["from"] == "test"
        assert row.kind == HONEST or row.rollout.response != honest[row.pair].rollout.response


def test_a_corruption_changes_the_thought_or_the_call_and_nothing_else(built):
    originals = {row.source: read_original(row) for row in ROWS}
    for row in built:
        parsed = parse_response(row.rollout.response)
        assert not parsed.problems, row.id
        before = originals[row.source]
        assert parsed.answer == before.answer
        if row.kind in THOUGHT_ONLY:
            assert parsed.calls == before.calls and parsed.thought != before.thought
        elif row.kind != HONEST:
            assert parsed.thought == before.thought and parsed.calls != before.calls


def test_the_same_seed_gives_the_same_rows_whatever_the_kinds(built):
    assert list(build(ROWS, CORRUPTIONS, "train", 0)) == built
    some = list(build(ROWS, ["padded", "swapped_tool"], "train", 0))
    assert some == [row for row in built if row.kind in (HONEST, "padded", "swapped_tool")]
    other = list(build(ROWS, CORRUPTIONS, "train", 1))
    assert other != built


def test_training_and_evaluation_share_no_phrase():
    for pool in (phrases.FLUFF, phrases.PRAISE, phrases.BOILERPLATE, phrases.CONTRADICTIONS, phrases.ARGUED_FOR):
        assert pool["train"] and pool["eval"] and not set(pool["train"]) & set(pool["eval"])


def test_swapped_tool_is_another_tool_of_the_row():
    row, around = context(3)
    changed = corrupt("swapped_tool", row, around)
    assert changed.calls[0].name != row.calls[0].name
    assert changed.calls[0].name in {tool.name for tool in row.tools}
    assert changed.calls[0].arguments == row.calls[0].arguments


def test_wrong_tool_argued_names_the_called_tool_no_more():
    row, around = context(3)
    changed = corrupt("wrong_tool_argued", row, around)
    assert row.calls[0].name in row.thought and row.calls[0].name not in changed.thought


def test_dropped_argument_loses_one_that_the_thought_speaks_of():
    row, around = context(3)
    changed = corrupt("dropped_argument", row, around)
    (gone,) = set(row.calls[0].arguments) - set(changed.calls[0].arguments)
    assert str(row.calls[0].arguments[gone]) in row.thought


def test_values_come_from_other_rows_and_keep_their_type():
    row, around = context(3)
    changed = corrupt("swapped_values", row, around).calls[0].arguments
    donors = [other.calls[0].arguments for other in around.others]
    for key, value in changed.items():
        assert type(value) is type(row.calls[0].arguments[key]) and value != row.calls[0].arguments[key]
        assert value in [donor[key] for donor in donors]


def test_shuffled_has_the_same_sentences_in_another_order():
    row, around = context(3)
    changed = corrupt("shuffled", row, around).thought
    parts = [[text[start:end] for start, end in sentences(text)] for text in (row.thought, changed)]
    assert sorted(parts[0]) == sorted(parts[1]) and parts[0] != parts[1]


@pytest.mark.parametrize("half", ["train", "eval"])
def test_padding_keeps_every_sentence_in_its_order(half):
    row, around = context(3, half)
    changed = corrupt("padded", row, around).thought
    places = [changed.index(row.thought[start:end]) for start, end in sentences(row.thought)]
    assert places == sorted(places)
    assert sum(changed.count(text) for text in phrases.FLUFF[half]) >= 2


def test_nothing_is_made_where_it_does_not_apply():
    row, around = context(0)
    plain = type(row)(row.source, row.question, (), "One sentence only.", (), "An answer.")
    made = {kind for kind in CORRUPTIONS if corrupt(kind, plain, around) is not None}
    assert not made & (NEEDS_CALL | {"shuffled", "tool_listing"})


def test_one_row_is_too_few():
    with pytest.raises(ValueError, match="1 rows with a thought"):
        list(build(ROWS[:1], CORRUPTIONS, "train", 0))


def test_rows_survive_the_file(built, tmp_path):
    for name in ("rows.jsonl", "rows.parquet"):
        write_labelled(tmp_path / name, built)
        assert read_labelled(tmp_path / name) == built
