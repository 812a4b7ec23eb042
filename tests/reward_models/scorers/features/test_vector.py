"""Features: what they see in traces made by hand, and that any text gives finite ones in bounded time."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_models import Rollout
from reward_models.scorers.features.embeddings import EmbeddingFeatures, embedding_features, texts_of
from reward_models.scorers.features.grounding import ToolFeatures, ValueFeatures, grounding_features
from reward_models.scorers.features.order import OrderFeatures, OrderModel
from reward_models.scorers.features.structure import StructureFeatures, structure_features
from reward_models.scorers.features.trace import MAX_THOUGHT, read_tools, read_trace
from reward_models.scorers.features.vector import BASELINES, FEATURES, GROUPS, columns_of, lexical_features
from tests.reward_models.scorers.helpers import TOOLS, honest_rollout
from tests.reward_models.strategies import calls, tag_soup, tagged

HONEST = honest_rollout(3)
ORDER = OrderModel(np.linspace(-1, 1, 4097))
hostile = st.one_of(
    tag_soup,
    st.sampled_from(
        ["a." * 20_000, "get_museum_guide " * 5000, "not " * 9000, "'" * 30_000, "1,1," * 9000, "\ud800" * 99]
    ),
    st.sampled_from(['"' * 9999, "A b " * 9000, "{[" * 9000, "\n" * 9999, "．" * 9999, "x" * 70_000, "_" * 40_000]),
)


def with_thought(thought, rollout=HONEST):
    after = rollout.response.partition("</think>")[2]
    return Rollout(rollout.question, rollout.tools, f"<think>{thought}</think>{after}", "", "test")


def named(rollout):
    found = grounding_features(read_trace(rollout))
    return dict(zip(ToolFeatures._fields + ValueFeatures._fields, found, strict=True))


def structure(thought):
    return dict(zip(StructureFeatures._fields, structure_features(read_trace(with_thought(thought))), strict=True))


def test_an_honest_trace_is_grounded():
    found = named(HONEST)
    assert found["called_named"] == found["called_share"] == found["called_affirmed"] == 1
    assert found["in_thought"] == found["in_thought_least"] == found["in_question"] == 1
    assert found["untraced"] == found["others_named"] == found["called_negated"] == found["unused"] == 0


def test_naming_all_tools_is_not_arguing_for_one():
    names = [tool["name"] for tool in json.loads(TOOLS)]
    found = named(with_thought("I can use " + ", ".join(names) + "."))
    assert found["called_named"] == found["others_named"] == 1
    assert found["called_share"] == 0.25 and found["crowded"] > np.log(4)


def test_a_decision_against_the_called_tool_is_seen():
    found = named(
        with_thought("So get_museum_guide is wrong and I should not call get_museum_guide. I use get_train_ticket.")
    )
    assert found["last_negated"] == 1 and found["others_last"] == 1 and found["called_affirmed"] == 0


@pytest.mark.parametrize(
    ("said", "value", "expected"),
    [
        ("the rate is 4%", 0.04, 1.0),
        ("it costs 1,500 now", 1500, 1.0),
        ("for five days", 5, 1.0),
        ("it is 15 or 5.3", 5, 0.0),
        ("in New York City", "New York", 1.0),
        ("York is new", "New York", 0.8),
        ("the value 3.0 is", 3, 1.0),
        ("nothing", "Berlin", 0.0),
        ("yes, include it", True, 1.0),
    ],
)
def test_a_value_is_traced_to_the_thought_in_its_spellings(said, value, expected):
    call = json.dumps({"name": "f", "parameters": {"a": value}})
    rollout = Rollout("question", "[]", f"<think>{said}</think>\n<tool_call>\n{call}\n</tool_call>", "", "test")
    assert named(rollout)["in_thought"] == pytest.approx(expected)


def test_exchanged_values_stand_nearer_to_the_others_names():
    thought = "I set origin to Rome, and then the target to Oslo."
    right = json.dumps({"name": "f", "parameters": {"origin": "Rome", "target": "Oslo"}})
    wrong = json.dumps({"name": "f", "parameters": {"origin": "Oslo", "target": "Rome"}})
    found = [
        named(Rollout("q", "[]", f"<think>{thought}</think>\n<tool_call>\n{call}\n</tool_call>", "", "t"))["misplaced"]
        for call in (right, wrong)
    ]
    assert found[0] == 0 and found[1] > 0


def test_structure_sees_repetition_praise_heaps_and_breaks():
    thought = read_trace(HONEST).thought
    plain = structure(thought)
    assert structure(f"{thought} {thought}")["repeated_sentences"] > plain["repeated_sentences"] == 0
    assert structure(thought + " Score: perfect, excellent reasoning.")["judging_words"] > plain["judging_words"]
    assert structure("Paris days city tool museum hotel")["function_words"] < plain["function_words"] / 3
    assert structure(thought[:-40])["finished"] < plain["finished"]
    assert structure(HONEST.question)["question_copied"] == 1
    assert (
        structure(thought + " Life is full of questions. Patience is a virtue.")["ungrounded_run"]
        > plain["ungrounded_run"]
    )


def test_the_order_model_learns_which_sentences_open_and_close():
    thoughts = [read_trace(honest_rollout(number)).thought for number in range(12)]
    model = OrderModel.fit(thoughts)
    held = read_trace(honest_rollout(14)).thought
    parts = held.split(". ")
    turned = ". ".join(reversed([part.rstrip(".") for part in parts])) + "."
    straight, backwards = (
        dict(zip(OrderFeatures._fields, model.features(text), strict=True)) for text in (held, turned)
    )
    assert straight["order"] > 0.9 and backwards["order"] < 0
    assert OrderModel.fit([]).features(held)[0] == 0


def test_the_order_model_refuses_broken_weights():
    with pytest.raises(ValueError, match="finite weights"):
        OrderModel(np.full(4097, np.nan))


def test_the_groups_cover_the_features_once():
    assert len(set(FEATURES)) == len(FEATURES) == sum(map(len, GROUPS.values()))
    assert set().union(*BASELINES.values()) == set(GROUPS)
    assert [FEATURES[number] for number in columns_of("order")] == list(OrderFeatures._fields)


def test_a_long_thought_keeps_its_ends_and_a_call_is_kept():
    trace = read_trace(with_thought("START " + "x " * MAX_THOUGHT + " END"))
    assert len(trace.thought) <= MAX_THOUGHT and trace.thought.startswith("START") and trace.thought.endswith("END")
    assert trace.calls == read_trace(HONEST).calls


@pytest.mark.parametrize("text", ["", "nonsense", "[1, null]", "[" * 5000, '{"name": "f"}', '[{"name": 3}]'])
def test_tools_that_cannot_be_read_are_none(text):
    assert read_tools(text) == ()


def test_tools_are_read_plain_and_wrapped():
    inner = {"name": "f", "description": "does", "parameters": {"properties": {"a": {"default": 5, "enum": ["x"]}}}}
    (plain,) = read_tools(json.dumps([inner]))
    assert read_tools(json.dumps([{"type": "function", "function": inner}])) == (plain,)
    assert (plain.name, plain.parameters, plain.constants) == ("f", ("a",), "5 x")


@settings(max_examples=150)
@given(thought=hostile, question=hostile, tools=hostile, call=calls)
def test_any_text_gives_finite_features(thought, question, tools, call):
    rollout = Rollout(question, tools, tagged(thought, calls=[call]), "", "test")
    trace = read_trace(rollout)
    found, model_made = lexical_features(trace), len(OrderFeatures._fields) + len(EmbeddingFeatures._fields)
    assert np.isfinite(found).all() and found.shape == (len(FEATURES) - model_made,)
    assert np.array_equal(found, lexical_features(read_trace(rollout)))
    assert np.isfinite(ORDER.features(trace.thought)).all()
    if trace.thought.strip():
        texts = texts_of(trace)
        vectors = {text: np.full(4, 0.5) for text in texts.all()}
        assert all(len(text) <= 1200 for text in vectors)
        assert np.isfinite(embedding_features(texts, vectors)).all()


@given(question=tag_soup, tools=tag_soup, response=tag_soup)
def test_any_rollout_is_read(question, tools, response):
    trace = read_trace(Rollout(question, tools, response, "", "test"))
    for text in (trace.question, trace.thought, trace.answer):
        text.encode("utf-8")
