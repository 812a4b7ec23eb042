"""Corruptions: each does what its name says and nothing else, the sides of a split share nothing, the files survive."""

import random
from dataclasses import replace

import pytest

from reward_models.labelled import HONEST, read_labelled, write_labelled
from reward_models.parsing import parse_response
from reward_models.scorers.data import phrases
from reward_models.scorers.data.corrupt_argued import with_values
from reward_models.scorers.data.corruptions import CORRUPTIONS, LABELS, NEEDS_CALL, Context, corrupt
from reward_models.scorers.data.dataset import build, read_original
from reward_models.scorers.features.lookup import places_of
from reward_models.scorers.features.trace import sentences
from tests.reward_models.scorers.helpers import honest_rows

ROWS = honest_rows(16)
THOUGHT_ONLY = {
    "other_thought", "nearest_thought", "wrong_tool_argued", "contradiction", "truncated", "repeated", "shuffled", "padded",
    "empty", "boilerplate", "praise", "tool_listing", "keyword_stuffing", "question_echo", "call_echo", "misquoted_value",
    "unrelated",
}  # fmt: skip
BOTH = {"argued_values", "argued_exchange", "argued_call", "echo_of_wrong_call", "names_as_values"}


def context(number, half="train", seed=0):
    originals = [read_original(row) for row in ROWS]
    others = originals[:number] + originals[number + 1 :]
    return originals[number], Context(others, others[0], half, random.Random(seed))


@pytest.fixture(scope="module")
def built():
    return list(build(ROWS, CORRUPTIONS, "train", 0))


def test_every_row_is_there_with_its_corruptions(built):
    kinds = {row.kind for row in built}
    # Rows have other tools and all arguments, their two values differ in type, and nobody writes thoughts.
    absent = {"foreign_tool", "exchanged_values", "argued_exchange", "argued_call", "invented_argument"}
    assert kinds == {HONEST, *CORRUPTIONS} - absent
    honest = {row.id: row for row in built if row.kind == HONEST}
    assert [row.rollout for row in honest.values()] == [row.rollout for row in ROWS]
    for row in built:
        label = 1.0 if row.kind == HONEST else LABELS.get(row.kind, 0.0)
        assert (row.label, row.pair) == (label, None if row.kind == HONEST else f"{row.source}/{HONEST}")
        assert row.provenance["from"] == "test"
        assert row.kind == HONEST or row.rollout.response != honest[row.pair].rollout.response


def test_a_corruption_changes_the_thought_or_the_call_and_nothing_else(built):
    originals = {row.source: read_original(row) for row in ROWS}
    for row in built:
        parsed = parse_response(row.rollout.response)
        if row.kind.startswith("unread"):
            same = parsed.thought == originals[row.source].thought
            assert not parsed.calls and same == (row.kind == "unread_call")
            continue
        assert not parsed.problems, row.id
        before = originals[row.source]
        assert parsed.answer == before.answer
        if row.kind in THOUGHT_ONLY:
            assert parsed.calls == before.calls and parsed.thought != before.thought
        elif row.kind != HONEST:
            assert (parsed.thought != before.thought) == (row.kind in BOTH) and parsed.calls != before.calls


def test_the_same_seed_gives_the_same_rows_whatever_the_kinds(built):
    assert list(build(ROWS, CORRUPTIONS, "train", 0)) == built
    some = list(build(ROWS, ["padded", "swapped_tool"], "train", 0))
    assert some == [row for row in built if row.kind in (HONEST, "padded", "swapped_tool")]
    other = list(build(ROWS, CORRUPTIONS, "train", 1))
    assert other != built


def test_training_and_evaluation_share_no_phrase():
    pools = [pool for pool in vars(phrases).values() if isinstance(pool, dict) and "train" in pool]
    assert len(pools) == 8
    for pool in pools:
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


@pytest.mark.parametrize("number", range(6))
def test_a_thought_that_argues_for_wrong_values_agrees_with_its_call(number):
    row, around = context(number, seed=number)
    changed = corrupt("argued_values", row, around)
    before, after = row.calls[0].arguments, changed.calls[0].arguments
    moved = [key for key in before if before[key] != after[key]]
    assert moved
    for key in moved:
        assert places_of(str(after[key]), changed.thought, 1)
        assert not places_of(str(before[key]), changed.thought, 1) or str(before[key]) in map(str, after.values())


def test_exchanged_values_are_exchanged_in_the_thought_at_once():
    assert with_values("From Rome to Oslo, Rome first.", {"Rome": "Oslo", "Oslo": "Rome"}) == (
        "From Oslo to Rome, Oslo first."
    )
    assert with_values("5 of 15 and 5.5", {"5": "7"}) == "7 of 15 and 5.5"
    assert with_values("New York", {"New York": "Bern", "York": "Rome"}) == "Bern"


def test_an_invented_argument_is_one_of_the_tools_and_often_argued_for():
    row, around = context(3)
    (call,) = row.calls
    shorter = replace(row, calls=(replace(call, arguments={"city": call.arguments["city"]}),))
    thoughts = set()
    for seed in range(8):
        changed = corrupt("invented_argument", shorter, replace(around, rng=random.Random(seed)))
        assert set(changed.calls[0].arguments) == {"city", "days"}
        thoughts.add(changed.thought == row.thought)
    assert thoughts == {True, False}


def test_names_stand_for_values_in_call_and_thought():
    row, around = context(3)
    changed = corrupt("names_as_values", row, around)
    city = changed.calls[0].arguments["city"]
    assert city in ("city", "days") and row.calls[0].arguments["city"] not in changed.thought


def test_a_misquoted_value_leaves_the_call_right():
    row, around = context(3)
    changed = corrupt("misquoted_value", row, around)
    assert changed.calls == row.calls and changed.thought != row.thought


def test_a_written_thought_is_for_the_wrong_call():
    row, around = context(3)
    around = replace(around, write=lambda wrong, rng: f"I call {wrong.calls[0].name}: {wrong.calls[0].arguments}.")
    changed = corrupt("argued_call", row, around)
    assert changed.calls != row.calls and str(changed.calls[0].arguments) in changed.thought
    assert corrupt("argued_call", row, replace(around, write=lambda wrong, rng: None)) is None


def test_rows_of_one_source_are_wordings_of_which_a_kind_spoils_one():
    doubled = [item for row in ROWS for item in (row, replace(row, rollout=reworded(row.rollout)))]
    made = list(build(doubled, ["truncated", "nearest_thought"], "train", 0))
    honest = [row for row in made if row.kind == HONEST]
    assert [row.id for row in honest[:2]] == ["row-0/honest", "row-0/honest.1"] and len(honest) == 2 * len(ROWS)
    spoilt = [row for row in made if row.kind == "truncated"]
    assert len(spoilt) == len(ROWS) and len({row.pair.partition("/")[2] for row in spoilt}) == 2
    for row in (row for row in made if row.kind == "nearest_thought"):
        assert ("Gut" in row.rollout.response) == row.pair.endswith(".1")  # a wording is no sign of a kind


def reworded(rollout):
    return replace(rollout, response=rollout.response.replace("Okay", "Gut"))


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
