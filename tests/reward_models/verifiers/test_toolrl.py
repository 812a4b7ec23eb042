"""ToolRL's outcome: published values, its quirks, the deliberate differences, and a slow reference."""

import json
import re

import pytest
from hypothesis import given

from reward_models.parsing import MAX_CHARS, MAX_DEPTH
from tests.paths import SHARED
from tests.reward_models.strategies import call_block, call_lists, plain_text, tag_soup, tagged
from tests.reward_models.verifiers.toolrl_cases import CALL, TRUTH, VERIFIER, verify

TEST_SPLIT = SHARED / "toolrl" / "test.parquet"
OUTCOME_MIN, OUTCOME_MAX = VERIFIER.outcome_range


def correctness(predicted, truth):
    return verify(tagged("t", calls=predicted), tagged("t", calls=truth)).correctness


def reference_correctness(truth, predicted):
    """The formula of the module's docstring, spelled out with lists and removal."""

    def jaccard(left, right):
        rest, common = list(right), 0
        for item in left:
            if item in rest:
                rest.remove(item)
                common += 1
        union = len(left) + len(rest)
        return common / union if union else 1.0

    score = jaccard([call["name"] for call in truth], [call["name"] for call in predicted])
    best_possible, used = 1.0, set()
    for wanted in truth:
        best_possible += 1 + len(wanted["parameters"])
        best, best_index = 0.0, None
        for index, call in enumerate(predicted):
            if index in used or call["name"] != wanted["name"]:
                continue
            gained = jaccard(list(wanted["parameters"]), list(call["parameters"]))
            for key, value in wanted["parameters"].items():
                if key in call["parameters"] and call["parameters"][key] == value:
                    gained += 1
            if gained > best:
                best, best_index = gained, index
        if best_index is not None:
            used.add(best_index)
            score += best
    return 6 * score / best_possible - 3


def reference_format(response, blocks):
    """The layout as a regular expression, with the counts."""
    parts, counted = [r"^<think>.*?</think>"], []
    if "tool_call" in blocks:
        parts.append(r"<tool_call>\n.*?\n</tool_call>")
    if "response" in blocks:
        parts.append(r"<response>.*?</response>")
    for block in blocks:
        counted += [f"<{block}>", f"</{block}>"]
    layout = re.search(r"\n".join(parts) + r"\Z", response.strip(), re.DOTALL)
    return bool(layout) and all(response.count(tag) == 1 for tag in counted)


@given(truth=call_lists, predicted=call_lists)
def test_correctness_agrees_with_the_reference(truth, predicted):
    assert correctness(predicted, truth) == pytest.approx(reference_correctness(truth, predicted), abs=1e-12)


@given(response=tag_soup, has_calls=..., has_response=...)
def test_format_agrees_with_the_reference(response: str, has_calls: bool, has_response: bool):
    truth = tagged("t", calls=[CALL] if has_calls else None, response="r" if has_response else None)
    blocks = ["tool_call"] * has_calls + ["response"] * has_response
    assert verify(response, truth).format == reference_format(response, blocks)


@given(response=tag_soup, calls=call_lists)
def test_any_text_scores_within_the_range(response, calls):
    outcome = verify(response, tagged("t", calls=calls))
    assert outcome.format in (0.0, 1.0)
    assert -3.0 <= outcome.correctness <= 3.0
    assert (OUTCOME_MIN, OUTCOME_MAX) == (-3.0, 4.0)
    assert OUTCOME_MIN <= outcome.outcome <= OUTCOME_MAX


@given(thought=plain_text, calls=call_lists)
def test_the_perfect_answer_gets_the_maximum_in_any_order(thought, calls):
    truth = tagged("t", calls=calls)
    assert verify(tagged(thought, calls=calls), truth).outcome == OUTCOME_MAX
    reordered = verify(tagged(thought, calls=sorted(calls, key=json.dumps)), truth)
    assert (reordered.outcome, reordered.reason) == (OUTCOME_MAX, "exact")


@given(thought=plain_text, text=plain_text)
def test_without_a_call_the_format_is_all_there_is(thought, text):
    truth = tagged("t", response="hello")
    assert verify(tagged(thought, response=text), truth).outcome == 1.0
    assert verify(tagged(thought, calls=[CALL]), truth).outcome == 0.0


@pytest.mark.parametrize("response", ["", " \n", "words", "<think>", tagged("t", response="hi")])
def test_no_call_where_one_is_expected(response):
    outcome = verify(response)
    assert (outcome.outcome, outcome.reason) == (-3.0, "no_tool_call")


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("", "not_json"),
        ('{"name": "f", "parameters": {"a": 1}', "not_json"),
        ("[" * 30_000, "too_deep"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "too_deep"),
        ('["f"]', "bad_call"),
        ('{"parameters": {}}', "bad_call"),
        ('{"name": ["f"], "parameters": {}}', "bad_call"),
        ('{"name": "f"}', "bad_call"),
        ('{"name": "f", "parameters": "a"}', "bad_call"),
    ],
)
def test_an_unreadable_call_gets_the_minimum(block, reason):
    outcome = verify(f"<think>t</think>\n<tool_call>\n{block}\n</tool_call>")
    assert (outcome.correctness, outcome.reason) == (-3.0, reason)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (TRUTH, 1.0),
        ("\n " + TRUTH + " \n", 1.0),
        (tagged("multi\nline", calls=[CALL]), 1.0),
        ("x" + TRUTH, 0.0),
        (TRUTH + "x", 0.0),
        (TRUTH.replace("</think>\n", "</think>"), 0.0),
        (TRUTH.replace("<tool_call>\n", "<tool_call>"), 0.0),
        (TRUTH.replace("</think>", ""), 0.0),
        (call_block([CALL]), 0.0),
        (TRUTH + "\n<response>hi</response>", 0.0),
        (TRUTH + "\n" + call_block([CALL]), 0.0),
        (call_block([CALL]) + "\n<think>t</think>", 0.0),
        # Quirk: think tags are not counted, and unexpected tags inside the thought are not seen.
        ("<think>a</think>\n" + TRUTH, 1.0),
        (tagged("no <response> yet", calls=[CALL]), 1.0),
        # Quirk: the expected block's tags are counted in the thought too.
        (tagged("I use <tool_call>", calls=[CALL]), 0.0),
    ],
)
def test_format(response, expected):
    assert verify(response).format == expected


def test_a_ground_truth_with_both_blocks_wants_both_in_order():
    truth = tagged("t", calls=[CALL], response="done")
    assert verify(tagged("x", calls=[CALL], response="other words"), truth).outcome == 4.0
    assert verify(tagged("x", calls=[CALL]), truth).outcome == 3.0
    swapped = f"<think>x</think>\n<response>done</response>\n{call_block([CALL])}"
    assert verify(swapped, truth).outcome == 3.0


def test_quirk_nine_spurious_calls_cost_little():
    spam = [{"name": f"spam{i}", "parameters": {}} for i in range(9)]
    assert correctness([CALL, *spam], [CALL]) == pytest.approx(1.65)


def test_quirk_greedy_matching_is_below_the_best_assignment():
    first = {"name": "f", "parameters": {"a": 1}}
    second = {"name": "f", "parameters": {"a": 1, "b": 2}}
    serves_both = {"name": "f", "parameters": {"a": 1, "b": 3}}
    only_first = {"name": "f", "parameters": {"a": 1, "c": 1}}
    # first takes serves_both (a tie, and it comes first), which leaves only_first to second.
    greedy = correctness([serves_both, only_first], [first, second])
    best = correctness([only_first, serves_both], [first, second])
    assert greedy < best


def test_quirk_true_equals_one():
    truth = [{"name": "f", "parameters": {"a": 1}}]
    for value in (True, 1.0):
        assert correctness([{"name": "f", "parameters": {"a": value}}], truth) == 3.0
    assert correctness([{"name": "f", "parameters": {"a": "1"}}], truth) == 1.0


def test_quirk_nan_equals_nothing():
    truth = '<tool_call>\n{"name": "f", "parameters": {"a": NaN}}\n</tool_call>'
    assert verify(truth, truth).correctness == 1.0


def test_quirk_the_first_tag_counts_even_in_the_thought():
    outcome = verify(tagged("I use <tool_call>", calls=[CALL]))
    assert (outcome.outcome, outcome.reason) == (-3.0, "not_json")


def test_quirk_correctness_does_not_see_the_format():
    assert verify("chatter " + call_block([CALL]) + " chatter").outcome == 3.0


def test_quirk_a_call_of_another_name_needs_no_parameters():
    assert correctness([CALL, {"name": "other"}], [CALL]) == pytest.approx(6 * 3.5 / 4 - 3)


def test_quirk_a_match_of_nothing_is_not_used_up():
    truth = [{"name": "f", "parameters": {"a": 1}}, {"name": "f", "parameters": {"b": 1}}]
    predicted = [{"name": "f", "parameters": {"b": 1}}]
    assert correctness(predicted, truth) == pytest.approx(6 * 2.5 / 5 - 3)


def test_difference_a_response_beyond_the_bound_is_unreadable():
    outcome = verify(tagged("x" * MAX_CHARS, calls=[CALL]))
    assert (outcome.outcome, outcome.reason) == (-3.0, "too_long")


def test_difference_the_ground_truth_may_mention_tags_in_its_thought():
    truth = tagged("I use <tool_call> and no <response>", calls=[CALL])
    assert verify(TRUTH, truth).outcome == 4.0


@pytest.mark.parametrize(
    "truth",
    ["", "  ", "42", "<tool_call>\n\n</tool_call>", "<tool_call>\n{}\n</tool_call>", "<think>t</think><tool_call>{}"],
)
def test_difference_a_bad_ground_truth_is_bad_data(truth):
    with pytest.raises(ValueError, match="ground truth"):
        verify(TRUTH, truth)


def test_a_ground_truth_of_a_thought_alone_wants_a_thought_alone():
    assert verify("<think>anything</think>", "<think>t</think>").outcome == 1.0
    assert verify("<think>", "<think>t</think>").outcome == 0.0


@pytest.mark.skipif(not TEST_SPLIT.exists(), reason="ToolRL's test split is not here")
def test_each_ground_truth_of_toolrl_scores_full_marks_for_itself():
    parquet = pytest.importorskip("pyarrow.parquet")
    truths = [row["ground_truth"] for row in parquet.read_table(TEST_SPLIT)["reward_model"].to_pylist()]
    assert len(truths) == 80
    for truth in truths:
        answer = re.sub(r"<think>.*?</think>", "<think> A thought of my own. </think>", truth, flags=re.DOTALL)
        assert verify(answer, truth).outcome == (4.0 if "<tool_call>" in truth else 1.0)
