"""What the forms come to: calls, thoughts, tools and turns; and what is refused."""

import json

import pytest

from awpo_ext.data.errors import DataError
from awpo_ext.data.forms.registry import FORMS, SAME_AS, check_form, detect
from awpo_ext.data.sources.openai import OpenaiOptions, convert_openai
from awpo_ext.data.validate import validate_rows
from reward_models.verifiers.expected import parse_expected
from tests.awpo_ext.data.forms.records import ASKED, CALL, RECORDS, TOOL, conversation, messages, says


def convert(record, **options):
    dataset = convert_openai([record], "mine", OpenaiOptions(val_rows=0, **options))
    assert validate_rows(dataset.train) == []
    return dataset


def calls_of(record, **options):
    (row,) = convert(record, **options).train
    expected = parse_expected(row["reward_model"]["ground_truth"])
    return [{"name": call.name, "arguments": {k: v for k, (v,) in call.arguments.items()}} for call in expected]


@pytest.mark.parametrize("name", RECORDS)
def test_each_form_gives_its_calls(name):
    record, expected = RECORDS[name]
    assert calls_of(record) == expected


def test_the_tools_and_their_types_arrive_and_a_foreign_format_is_not_asked_for():
    for name in ("hermes", "toolace", "glaive", "xlam", "anthropic"):
        record, _ = RECORDS[name]
        (row,) = convert(record).train
        tools = {tool["name"]: tool["parameters"] for tool in json.loads(row["extra_info"]["tools"])}
        first = next(iter(tools.values()))
        assert {"type": "string"}.items() <= next(iter(first["properties"].values())).items(), name
        system = row["prompt"][0]["content"]
        assert (
            "function calling AI model" not in system
            and "[func1" not in system
            and "Use them if required" not in system
        )


def test_a_system_message_of_ones_own_keeps_what_it_says_beside_the_tools():
    system = f"You serve Acme. Tools:\n{json.dumps([TOOL])}\nNever be rude."
    record = conversation(("system", system), ("human", ASKED), ("function_call", json.dumps(CALL)))
    (row,) = convert(record).train
    assert row["prompt"][0]["content"].endswith("You serve Acme. Tools:\n\nNever be rude.")


def test_thoughts_of_all_forms_become_rows_to_learn():
    for name, thought in (
        ("hermes, JSON and a thought", "Oslo."),
        ("anthropic", "Oslo."),
        ("responses", "Two cities."),
    ):
        (sft,) = convert(RECORDS[name][0]).sft
        assert sft["messages"][-1]["content"].startswith(f"<think>{thought}</think>\n<tool_call>")


def test_results_and_turns_keep_their_places():
    (row,) = convert(RECORDS["anthropic"][0]).train
    assert [message["role"] for message in row["prompt"]] == ["system", "user", "assistant", "tool", "user"]
    assert row["prompt"][3]["content"] == "dry" and row["extra_info"]["question"] == "And in Oslo?"
    record = conversation(
        ("human", ASKED),
        ("gpt", f"<tool_call>{CALL}</tool_call>"),
        ("tool", "<tool_response>\ndry\n</tool_response>\n"),
        ("gpt", "No rain."),
        tools=[TOOL],
    )
    (row,) = convert(record).train
    assert row["prompt"][-1] == {"role": "tool", "content": "dry"}


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\n{'name': 'forecast', 'arguments': {'city': 'Oslo'\n</tool_call>",
        '<functioncall> {"name": "forecast", "arguments": \'{"city": }\'}',
        "[forecast(city=Oslo)]",
        '<tool_call>\n{"name": "forecast", "args": {"city": "Oslo"}, "x": 1}\n</tool_call>',
        '{"name": "forecast", "arguments": {"city": "Oslo"}',
        "<tool_call> I do not know",
    ],
)
def test_what_looks_like_a_call_and_cannot_be_read_is_refused(text):
    with pytest.raises(DataError, match="looks like a call"):
        convert(messages(says(text)))


@pytest.mark.parametrize(
    ("record", "says_what"),
    [
        (conversation(("alien", "x"), tools=[TOOL]), "an unknown speaker: 'alien'"),
        (
            conversation(("human", "x"), ("function_call", "forecast Oslo"), tools=[TOOL]),
            "function_call that is not a call",
        ),
        ({"chat": "Hello there", "system": ""}, "does not start with USER:"),
        (
            {"prompt": "<|im_start|>user\nx<|im_end|>", "completion": "y", "tools": [TOOL]},
            "a chat template has rendered",
        ),
        ({"query": "x", "answers": "42", "tools": [TOOL]}, "a field that is not a list: "),
        (
            messages(
                says("x"), tools=[{"name": "f", "parameters": {"type": "object", "properties": {"x": {"enum": "a"}}}}]
            ),
            "not a JSON schema",
        ),
        (
            messages(says("x"), tools=[{"name": "f", "parameters": {"$ref": "https://x.org/s.json"}}]),
            "not a JSON schema",
        ),
    ],
)
def test_odd_records_of_the_forms_are_named(record, says_what):
    with pytest.raises(DataError) as caught:
        convert(record)
    assert says_what in str(caught.value)


def test_null_columns_of_a_mixed_file_do_not_tell_the_form():
    record = {"messages": None, "chat": None, **RECORDS["xlam"][0]}
    assert detect(record, "r") == "xlam"
    assert {check_form(name) for name in (*FORMS, *SAME_AS, "auto")} == {*FORMS, "auto"}
    with pytest.raises(DataError, match="--format: 'csv'; choose from auto, openai"):
        check_form("csv")
