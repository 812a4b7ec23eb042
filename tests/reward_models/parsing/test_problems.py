"""What makes a text unparseable or invalid, by its code."""

import pytest

from reward_models.parsing import MAX_DEPTH, ParseCode, Status, parse_response
from tests.reward_models.parsing.texts import (
    BAD_ARGUMENTS,
    LONG,
    ONE,
    TWO,
    block,
    call,
    hermes,
    nested,
    tool_calls,
    toolrl,
)


@pytest.mark.parametrize(
    ("text", "dialect", "code"),
    [
        ("just words", "toolrl", "no_action"),
        ("<think>a", "toolrl", "unclosed_think"),
        ("<think>a<tool_call>", "auto", "unclosed_think"),
        ("</tool_call><think>a</think>", "toolrl", "stray_tag"),
        ("hi <think>a</think> there", "hermes", "stray_tag"),
        ("<tool_call>{}", "toolrl", "unclosed_block"),
        (f"<tool_call>{ONE}", "hermes", "unclosed_block"),
        (f"<tool_call>{ONE} <tool_call>{ONE}</tool_call>", "hermes", "not_json"),
        ("<response>hi", "toolrl", "unclosed_block"),
        (toolrl() + toolrl(), "toolrl", "repeated_block"),
        ("<response>a</response><response>b</response>", "toolrl", "repeated_block"),
        (toolrl() + "</tool_call>", "toolrl", "stray_tag"),
        (hermes() + "</think>", "hermes", "no_action"),
        ("<tool_call></tool_call>", "toolrl", "not_json"),
        (block("{'name': 'f'}"), "hermes", "not_json"),
        (block('{"name": "f", "parameters": {}}', "", '{"name": "f", "parameters": {}}'), "toolrl", "not_json"),
        (block('{"name": "f",', '"parameters": {}}'), "toolrl", "not_json"),
        (block('{"name": "f", "parameters": {}} {"name": "f", "parameters": {}}'), "toolrl", "not_json"),
        (block(ONE, TWO), "hermes", "not_json"),
        (block("```json", ONE, "```"), "hermes", "not_json"),
        (f"{ONE} {TWO}", "json", "not_json"),
        (f"[{ONE} {TWO}]", "json", "not_json"),
        (f"[{ONE},]", "json", "not_json"),
        (f"[{ONE}", "json", "not_json"),
        (f"```json\n{ONE}", "json", "unclosed_block"),
        ("```json\n[[[", "auto", "unclosed_block"),
        ("```json\n[]]\n```\n", "hermes", "blank_answer"),
        ("```json\n[]]\n```\n", "json", "not_json"),
        (f"Sure! {ONE}", "json", "stray_call"),
        (f"Sure! {ONE}", "hermes", "stray_call"),
        ("Sure! {'name': 'f', 'arguments': {}}", "auto", "stray_call"),
        ('{"content": "words", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}', "openai", "not_json"),
        ("Paris", "openai", "not_json"),
        ('{"content": "<tool_call>"}', "openai", "stray_tag"),
        ("<response><tool_call>x</tool_call></response>", "toolrl", "stray_tag"),
        ("Sure! [f(a=1)]", "python", "stray_call"),
        ("Sure! [f(a=1)]", "auto", "stray_call"),
        ("Sure! [f(a=1)]", "hermes", "stray_call"),
        ("<response>[f()]</response>", "toolrl", "stray_call"),
        ("{thinking}", "hermes", "stray_call"),
        ('{"a": f(1)}', "python", "stray_call"),
        ("Sure!\nf(a=1)", "python", "stray_call"),
        ("f(a='1\n,b='\n)", "python", "not_python"),
        ("[f(a='1)]", "python", "not_python"),
        ('[f(a="""1)]', "python", "not_python"),
        ("f(a='1\\", "python", "not_python"),
        ("[f(a=1)] and so on", "python", "not_python"),
        ("[f(a=1]", "python", "not_python"),
        ("[f(a=1)]]", "python", "not_python"),
        ("f(a=1)], [g()", "python", "not_python"),
        ("[f(a=1 if b else 2)]", "python", "not_python"),
        ("[f(a=b'x')]", "python", "not_python"),
        ("[f(a=f'x')]", "python", "not_python"),
        ("[f(a=1+1)]", "python", "not_python"),
        ("[f(a=x[0])]", "python", "not_python"),
        ("[f()()]", "python", "not_python"),
        ("[f(a=lambda: 1)]", "python", "not_python"),
        ("[f(a='\\x')]", "python", "not_python"),
        ("[f(a='\x00')]", "python", "not_python"),
        ("[f(a=1) for x in y]", "python", "not_python"),
        ("[f(a=007)]", "python", "not_python"),
        ("[f(**x)]", "python", "not_python"),
        ("[1] says so", "python", "not_python"),
    ],
)
def test_what_makes_a_text_unparseable(text, dialect, code):
    parsed = parse_response(text, dialect)
    assert (parsed.status, [problem.code.value for problem in parsed.problems]) == (Status.UNPARSEABLE, [code])


@pytest.mark.parametrize(
    ("text", "dialect", "code"),
    [
        (block("[1]"), "hermes", "bad_call"),
        (block('{"name": "f"}'), "hermes", "bad_call"),
        (block('{"name": " ", "arguments": {}}'), "hermes", "bad_call"),
        (block('{"name": 1, "arguments": {}}'), "hermes", "bad_call"),
        (block(BAD_ARGUMENTS), "hermes", "bad_call"),
        (toolrl(), "hermes", "bad_call"),
        (hermes(), "toolrl", "bad_call"),
        ('{"name": "f", "arguments": {}, "parameters": {}}', "json", "bad_call"),
        ('{"name": "f", "arguments": "{}"}', "json", "bad_call"),
        ('{"content": 1}', "openai", "bad_message"),
        ('{"role": "assistant"}', "openai", "bad_message"),
        ('{"content": "hi", "tool_calls": {}}', "openai", "bad_message"),
        ('{"content": "hi", "function": {}}', "openai", "bad_message"),
        (f'[{{"type": "web", "function": {ONE}}}]', "openai", "bad_call"),
        ('[{"function": {"name": "f", "arguments": "[]"}}]', "openai", "bad_call"),
        ("[f(1)]", "python", "positional_argument"),
        ("[f(a=x)]", "python", "bad_value"),
        ("[f(a=g())]", "python", "bad_value"),
        ("[f(a={1: 2})]", "python", "bad_value"),
        ("[f(a={1, 2})]", "python", "bad_value"),
        ("[f(a={**{}})]", "python", "bad_value"),
        ("[f]", "python", "bad_call"),
        ("[f(a=1), 2]", "python", "bad_call"),
        ("[True()]", "python", "bad_call"),
        ("[f(a=1, a=2)]", "python", "duplicate_key"),
        ("[f(a=1, **{'a': 2})]", "python", "duplicate_key"),
        ("[f(a={'b': 1, 'b': 1})]", "python", "duplicate_key"),
        ("[f(a=-1e999)]", "python", "not_finite"),
        ("[f(a='\\ud800')]", "python", "lone_surrogate"),
        ("[f(a='\ud800')]", "python", "lone_surrogate"),
    ],
)
def test_what_makes_a_text_invalid(text, dialect, code):
    parsed = parse_response(text, dialect)
    assert (parsed.status, parsed.calls) == (Status.INVALID, ())
    assert [problem.code.value for problem in parsed.problems] == [code]


@pytest.mark.parametrize("dialect", ["toolrl", "hermes", "json", "openai"])
@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ('{"a": NaN}', Status.INVALID, "not_finite"),
        ('{"a": [-Infinity]}', Status.INVALID, "not_finite"),
        ('{"a": 1e999}', Status.INVALID, "not_finite"),
        ('{"a": 1, "a": 1}', Status.INVALID, "duplicate_key"),
        ('{"a": {"b": 1, "\\u0062": 2}}', Status.INVALID, "duplicate_key"),
        ('{"a": "\\ud800"}', Status.INVALID, "lone_surrogate"),
        ('{"a": "\ud800"}', Status.INVALID, "lone_surrogate"),
        (f'{{"a": {LONG}}}', Status.UNPARSEABLE, "number_too_long"),
        (f'{{"a": 0.{LONG}}}', Status.UNPARSEABLE, "number_too_long"),
        (f'{{"a": NaN, "b": {LONG}}}', Status.UNPARSEABLE, "number_too_long"),
        (f'{{"a": {nested(MAX_DEPTH)}}}', Status.UNPARSEABLE, "too_deep"),
        (f'{{"a": {nested(30_000)}}}', Status.UNPARSEABLE, "too_deep"),
        ('{"a": ' + "[{" * 15_000, Status.UNPARSEABLE, "too_deep"),
        ('{"a": [' + "[]," * 4096 + "1]}", Status.UNPARSEABLE, "too_many_tokens"),
        ('{"a": NaN, "b"}', Status.UNPARSEABLE, "not_json"),
        ('{"a": "\n"}', Status.UNPARSEABLE, "not_json"),
        ('{"a": "\x00"}', Status.UNPARSEABLE, "not_json"),
    ],
)
def test_json_corner_cases(dialect, arguments, status, code):
    writers = {"toolrl": toolrl, "hermes": hermes, "json": call, "openai": lambda given: tool_calls(call(given))}
    text = writers[dialect](arguments)
    parsed = parse_response(text, dialect)
    assert (parsed.status, [problem.code.value for problem in parsed.problems]) == (status, [code])


@pytest.mark.parametrize(
    ("dialect", "call"),
    [
        ("gemma", "<|tool_call>call:f{" + ",".join(f"a{i}:1" for i in range(500)) + "}<tool_call|>"),
        (
            "minimax_m3",
            '<tool_call><invoke name="f">' + "".join(f"<a{i}>1</a{i}>" for i in range(500)) + "</invoke></tool_call>",
        ),
    ],
)
def test_the_values_of_all_calls_are_bounded_together(dialect, call):
    assert parse_response(call * 2, dialect).status is Status.VALID
    for name in (dialect, "auto"):
        assert parse_response(call * 3, name).problems[0].code is ParseCode.TOO_MANY_TOKENS
