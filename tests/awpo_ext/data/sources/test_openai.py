"""OpenAI-style data: what becomes of messages and tools, what cannot be used, and chat templates that can and cannot."""

import json

import pytest

from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.sources.openai import OpenaiOptions, convert_openai
from awpo_ext.data.sources.openai_source import read_conversation
from awpo_ext.data.sources.openai_tools import read_tools
from awpo_ext.data.tagged import parse_tagged
from awpo_ext.data.template import TemplateRenderer
from awpo_ext.data.validate import validate_rows

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def call(city, name="get_weather"):
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps({"city": city})}}


def record(city="Paris", **changes):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"How is the weather in {city}?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call(city)],
            "reasoning_content": "It asks for the weather.",
        },
    ]
    return {"messages": messages, "tools": [WEATHER], **changes}


def longer(city="Rome"):
    """A call, its answer, an answer in words, another question, two calls."""
    messages = record(city)["messages"] + [
        {"role": "tool", "tool_call_id": "1", "content": '{"sky": "clear"}'},
        {"role": "assistant", "content": "It is clear."},
        {"role": "user", "content": "And in Oslo and Bern?"},
        {"role": "assistant", "content": "", "tool_calls": [call("Oslo"), call("Bern")]},
    ]
    return {"messages": messages, "tools": json.dumps([WEATHER])}


def convert(*records, template=None, **options):
    return convert_openai(list(records), "mine.jsonl", OpenaiOptions(val_rows=0, **options), template)


def test_the_last_answer_is_the_ground_truth_and_what_comes_before_the_prompt(tmp_path):
    dataset = convert(record("Paris"), longer("Rome"))
    by_category = {row["extra_info"]["category"]: row for row in dataset.train}
    single, parallel = by_category["single"], by_category["parallel"]
    assert [(c.name, c.arguments) for c in parse_tagged(single["reward_model"]["ground_truth"]).calls] == [
        ("get_weather", {"city": "Paris"})
    ]
    assert len(parse_tagged(parallel["reward_model"]["ground_truth"]).calls) == 2
    assert [message["role"] for message in parallel["prompt"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    system = single["prompt"][0]["content"]
    assert "get_weather" in system and system.endswith("Be brief.")
    assert '{"name": "get_weather", "parameters": {"city": "Rome"}}' in parallel["prompt"][2]["content"]
    assert parallel["extra_info"]["question"] == "And in Oslo and Bern?"
    assert not validate_rows(dataset.train)
    (sft,) = dataset.sft  # of the record whose answer has a thought
    assert parse_tagged(sft["messages"][-1]["content"]).thought == "It asks for the weather."
    manifest = write_dataset(tmp_path, dataset)
    assert (
        manifest["source"] == {"name": "mine.jsonl", "records": 2, "forms": {"openai": 2}}
        and manifest["licence"] == "not stated"
    )


def test_every_turn_makes_a_row_of_each_answer():
    dataset = convert(longer(), every_turn=True)
    assert sorted(row["extra_info"]["category"] for row in dataset.train) == ["parallel", "response", "single"]


def test_records_that_come_twice_are_kept_once():
    dataset = convert(record(), record(), record("Rome"))
    assert len(dataset.train) == 2 and dataset.skipped == {"the same as an earlier row": ["mine.jsonl, record 1"]}


def test_tools_for_all_records_and_functions_alone():
    tools = read_tools([WEATHER["function"]], "tools.json")
    assert read_conversation(record(tools=None), "r", tools).tools == tools


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record(tools=[]), "record 0: no tools: give each record a field 'tools', or all of them --tools FILE"),
        ({"texts": []}, "no known form: columns texts, known forms are xlam: query, answers"),
        ({"prompt": [], "reward_model": {}}, "a form that `awpo data toolrl` reads"),
        (record(messages=record()["messages"][:2]), "no answer: no message of the assistant follows"),
        (record(messages=[*record()["messages"][:2], {"role": "assistant", "content": " "}]), "neither calls a tool nor says"),
        (record(messages=[{"role": "robot", "content": "x"}]), "messages[0]: an unknown role: 'robot'"),
        (record(messages=[*record()["messages"][:2], {"role": "user", "tool_calls": [call("x")]}]), "not the assistant's"),
        (record(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "a part of type 'image_url'"),
        (record(messages="[{"), "a text that is not JSON: messages"),
        (record(tools=[{"type": "function"}]), 'tools[0]: a tool that is not {"name"'),
        (
            record(messages=[*record()["messages"][:2], {"role": "assistant", "tool_calls": [call("x", "fly")]}]),
            "a call of a tool that is not offered: 'fly', offered are ['get_weather']",
        ),
        (
            record(messages=[*record()["messages"][:2], {"role": "assistant", "tool_calls": [
                {"function": {"name": "get_weather", "arguments": "{city"}}]}]),
            "messages[2]: a call that cannot be read: call 'get_weather': its arguments are not JSON",
        ),
        (
            record(messages=[*record()["messages"][:2], {"role": "assistant", "tool_calls": [
                {"name": "get_weather", "argument": {"city": "Paris"}}]}]),
            "the key 'argument' may hold arguments",
        ),
        (
            record(messages=[*record()["messages"], {"role": "assistant", "content": "Sunny."}]),
            "an answer right after calls, without a tool's result",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(bad, message):
    with pytest.raises(DataError) as caught:
        convert(bad)
    assert message in str(caught.value) and "--drop-invalid leaves such records out" in str(caught.value)
    dataset = convert(bad, record(), drop_invalid=True)
    assert len(dataset.train) == 1 and [message in places[0] for places in dataset.skipped.values()] == [True]


def test_odd_records_are_counted_by_kind_with_one_example_each():
    odd = [record(tools=[]), record(tools=[]), record(messages=[{"role": "robot", "content": "x"}])]
    with pytest.raises(DataError) as caught:
        convert(record(), *odd)
    assert str(caught.value).splitlines()[0].startswith("mine.jsonl: 3 of 4 records cannot be used")
    assert "  2 x no tools; for example mine.jsonl, record 1: no tools" in str(caught.value)
    assert "  1 x an unknown role; for example mine.jsonl, record 3" in str(caught.value)
    with pytest.raises(DataError, match="no valid record is left"):
        convert(*odd, drop_invalid=True)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"city": 3}, "gives a value that breaks"),
        ({}, "lacks a required argument"),
        ({"city": "Paris", "day": "today"}, "gives an argument that the tool does not declare"),
    ],
)
def test_calls_that_break_their_own_tools_schema_are_refused_or_kept_and_counted(arguments, kind):
    bad = {"name": "get_weather", "arguments": json.dumps(arguments)}
    off = record(messages=[record()["messages"][1], {"role": "assistant", "content": None, "tool_calls": [bad]}])
    with pytest.raises(DataError) as caught:
        convert(off)
    assert kind in str(caught.value) and "--keep-off-schema" in str(caught.value)
    kept = convert(off, keep_off_schema=True)
    assert len(kept.train) == 1 and kind in kept.about["notes"][0]


def test_conversations_that_end_in_words_after_calls_are_pointed_at():
    talk = longer()
    talk["messages"] = talk["messages"][:5]
    assert "1 of 1 rows expect no call" in convert(talk).about["notes"][0]
    assert convert(talk, every_turn=True).about["notes"] == []


# Chat templates

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HERMES = (
    "{% if tools %}<|im_start|>system\n{% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}# Tools\n"
    "{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% elif messages[0].role == 'system' %}"
    "<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}CALLS<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CALL = "\n<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}"


class FakeTokenizer:
    """transformers' rendering of a template without a vocabulary."""

    def __init__(self, chat_template):
        self.chat_template = chat_template

    def apply_chat_template(self, messages, tools=None, add_generation_prompt=False, tokenize=False):
        render_jinja_template = pytest.importorskip("transformers.utils.chat_template_utils").render_jinja_template
        rendered, _ = render_jinja_template(
            [messages], tools=tools, chat_template=self.chat_template, add_generation_prompt=add_generation_prompt
        )
        return rendered[0]


def test_a_template_that_knows_tools_gives_the_same_text_from_plain_messages():
    tokenizer = FakeTokenizer(HERMES.replace("CALLS", CALL))
    template = TemplateRenderer(tokenizer, "mine")
    (row,) = convert(longer(), template=template).train
    original = longer()["messages"][:-1]
    for message in original:
        for one in message.get("tool_calls") or []:
            one["function"]["arguments"] = json.loads(one["function"]["arguments"])
            del one["id"]
        message["content"] = message["content"] or ""
    from_tools = tokenizer.apply_chat_template(original, tools=[WEATHER], add_generation_prompt=True)
    assert tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True) == from_tools
    assert all(set(message) == {"role", "content"} for message in row["prompt"])


@pytest.mark.parametrize(
    ("chat_template", "message"),
    [
        (None, "it has no chat template"),
        (CHATML, "its chat template drops the tools"),
        (HERMES.replace("CALLS", "{% endfor %}"), "the template drops calls"),
        (
            HERMES.replace("CALLS", CALL).replace("{{ m.role }}", "{{ m.role }}{{ 1 if tools and m.role == 'tool' }}"),
            "cannot repeat",
        ),
        (HERMES.replace("CALLS", CALL.replace("c.function | tojson", "c.function.name")), "no dialect reads the call"),
        ("{{ raise_exception('no tools here') }}", "refuses a conversation (no tools here)"),
    ],
)
def test_templates_that_lose_something_are_refused(chat_template, message):
    with pytest.raises(DataError) as caught:
        convert(longer(), template=TemplateRenderer(FakeTokenizer(chat_template), "mine"), drop_invalid=True)
    assert message in str(caught.value) and "--tokenizer mine" in str(caught.value)
    assert "leave --tokenizer out" in str(caught.value)


XML = (
    "\n<tool_call>\n<function={{ c.function.name }}>\n{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>\n"
    "{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}"
)


@pytest.mark.parametrize(
    ("calls", "opening", "dialect", "thinking"),
    [(CALL, "", "hermes", "auto"), (XML, "", "qwen3_coder", "auto"), (XML, "<think>\n", "qwen3_coder", "opened")],
)
def test_the_templates_dialect_and_thinking_form_are_in_the_manifest(calls, opening, dialect, thinking):
    chat_template = HERMES.replace("CALLS", calls).replace(
        "|im_start|>assistant\n{% endif", f"|im_start|>assistant\n{opening}{{% endif"
    )
    about = convert(longer(), template=TemplateRenderer(FakeTokenizer(chat_template), "mine")).about
    assert (about["dialect"], about["thinking"], about["tokenizer"]) == (dialect, thinking, "mine")
    about = convert(longer()).about
    assert (about["dialect"], about["thinking"], about["tokenizer"]) == ("toolrl", "auto", None)
