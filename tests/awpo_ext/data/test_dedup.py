"""Training rows kept apart from evaluation sets: exact, near, a slow reference, and what is reported."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.data.dataset import Dataset, write_dataset
from awpo_ext.data.dedup import matches, normalise, without
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import rl_row, sft_row

# few letters and short words, so that questions resemble one another
questions = st.lists(st.text("ab 1.é", max_size=14), max_size=8)


def row(number, question, source="train"):
    return rl_row(
        data_source=source, prompt=[{"role": "user", "content": question}],
        ground_truth="<think> </think>\n<response> x </response>", row_id=f"{source}-{number}", category="c",
        question=question, tools=[],
    )  # fmt: skip


def slow_jaccard(left, right):
    grams = []
    for text in (normalise(left), normalise(right)):
        grams.append({text[i : i + 5] for i in range(max(1, len(text) - 4))} if text else set())
    union = grams[0] | grams[1]
    return len(grams[0] & grams[1]) / len(union) if union else 0.0


@given(questions, questions, st.sampled_from([0.3, 0.8, 1.0]))
def test_matches_are_those_of_the_slow_reference(mine, theirs, near):
    found = {match.question: match for match in matches(mine, theirs, near)}
    for i, text in enumerate(mine):
        best = max((slow_jaccard(text, other) for other in theirs), default=0.0)
        assert (i in found) == (best >= near)
        if i in found:
            assert found[i].similarity == pytest.approx(best)
            assert slow_jaccard(text, theirs[found[i].other]) == pytest.approx(best)


@pytest.mark.parametrize(
    "other", ["what is the WEATHER in  paris", "What is the weather in Paris?!", "ｗhat is the weather in Paris"]
)
def test_case_spaces_punctuation_and_width_do_not_hide_a_question(other):
    (match,) = matches(["What is the weather in Paris?"], ["Book a table.", other], near=1.0)
    assert (match.other, match.similarity) == (1, 1.0)


def test_rows_are_dropped_reported_and_the_evaluation_set_is_left_alone(tmp_path):
    asked = ["Book a table for two at Luigi's tonight.", "What is 2 + 2?", "Play some quiet jazz music in the kitchen."]
    train = [row(i, question) for i, question in enumerate(asked)]
    held_out = [
        row(0, "Please book a table for two at luigis tonight", "val"),
        row(1, "Play some quiet jazz music in the kitchen now.", "val"),
    ]
    sft = [sft_row(one, "<think>I book.</think>\n<response> x </response>") for one in train]
    kept, shown = without(Dataset(train, [], sft, {"licence": "x"}), {"bench/val.parquet": held_out})
    assert [one["extra_info"]["question"] for one in kept.train] == [asked[1]]
    assert [one["id"] for one in kept.sft] == ["train-1"]
    manifest = write_dataset(tmp_path, kept)
    assert manifest["skipped"] == {
        "asks nearly the same as a row of bench/val.parquet": ["train-0", "train-2"],
    }
    assert manifest["kept_apart_from"] == {"bench/val.parquet": 2} and manifest["near"] == 0.7
    assert len(shown) == 2 and "luigis" in shown[0] and shown[0].startswith("0.")
    assert json.loads((tmp_path / "manifest.json").read_text())["skipped"] == manifest["skipped"]


def test_the_same_question_is_called_the_same():
    kept, _ = without(Dataset([row(0, "Who?"), row(1, "Hello there")], [], [], {}), {"val": [row(0, "who", "val")]})
    assert kept.skipped == {"asks the same as a row of val": ["train-0"]}


def test_nothing_left_and_a_bad_threshold_are_named():
    with pytest.raises(DataError, match="all 1 training rows ask what val asks"):
        without(Dataset([row(0, "Who is it?")], [], [], {}), {"val": [row(0, "Who is it?", "val")]})
    with pytest.raises(DataError, match="--near: must be above 0"):
        matches(["a"], ["a"], near=0)
