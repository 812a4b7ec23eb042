"""Rows without a call: what is an answer, and what is a call that misses the dialect."""

import pytest

from reward_models.parsing import Status, parse_response

TOOLS = '[{"name": "get_weather", "parameters": {"type": "object", "properties": {}}}]'
ANSWERS = [
    "Use `v[v.size() - 1]` for the last element.",
    "`rows = [dict() for _ in range(3)]`",
    "int[] a = new int[size()];",
    '{"answer": 42}',
    'A tool has a "name" and "parameters" field.',
    "See [docs(v=2)](http://x).",
    "👍",
    '```json\n{"name": "my-app", "version": "1.0.0"}\n```',
    "I cannot use get_weather here: it needs a city.",
    "The tool get_weather(city) is not of use for this.",
    "Call me tomorrow.",
    "[1] says so.",
    "print(x, end='')  # writes no new line",
]
CALLS = [
    'Thought: weather\nAction: get_weather\nAction Input: {"city": "Paris"}',
    'I will call:\n```json\n{"tool": "get_weather", "input": {"city": "Paris"}}\n```',
    'I will call get_weather(city="Paris").',
    '```tool_code\nget_weather(city="Paris")\n```',
    '{"content": "Sure.", "function_call": {"name": "get_weather", "arguments": "{}"}}',
    'Sure: {"name": "get_weather", "arguments": {"city": "Paris"}}',
    "Sure! [get_weather()]",
    '{"name": "get_weather", "argum',
]


@pytest.mark.parametrize("text", ANSWERS)
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_prose_code_and_json_are_answers(text, tools):
    for dialect in ("hermes", "auto"):
        assert parse_response(text, dialect, tools=tools).status is Status.ABSTAINED
    assert parse_response(f"<response>{text}</response>", "toolrl", tools=tools).status is Status.ABSTAINED


@pytest.mark.parametrize("text", CALLS)
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_a_call_that_misses_the_dialect_is_no_abstention(text, tools):
    for dialect, wrapped in (("hermes", text), ("toolrl", f"<response>{text}</response>")):
        assert parse_response(wrapped, dialect, tools=tools).status is Status.UNPARSEABLE


@pytest.mark.parametrize(
    "text",
    ['The weather: get_weather(city="Paris")', 'Use {"do": "get_weather"}', 'So get_weather {"city": "Paris"}'],
)
def test_the_row_s_own_tools_tell_more(text):
    assert parse_response(text, "hermes").status is Status.ABSTAINED
    assert parse_response(text, "hermes", tools=TOOLS).status is Status.UNPARSEABLE


@pytest.mark.parametrize("arguments", ['"{}"', '""', '" "', "null", "{}"])
def test_a_call_without_arguments_in_openai_s_forms(arguments):
    text = f'{{"content": null, "tool_calls": [{{"function": {{"name": "f", "arguments": {arguments}}}}}]}}'
    assert parse_response(text, "openai").calls[0].arguments == {}
