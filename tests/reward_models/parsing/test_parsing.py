"""The response parser: what each dialect reads, and what becomes of everything else."""

import pytest

from reward_models.parsing import (
    DIALECTS,
    MAX_CALLS,
    MAX_CHARS,
    MAX_DEPTH,
    ParseCode,
    Problem,
    Status,
    ToolCall,
    parse_response,
    render_response,
)
from tests.reward_models.parsing.strategies import IN_QUOTES
from tests.reward_models.parsing.texts import (
    BAD_ARGUMENTS,
    ONE,
    TWO,
    F,
    G,
    block,
    hermes,
    nested,
    tool_calls,
    toolrl,
)


def codes(text, dialect="auto"):
    return [problem.code.value for problem in parse_response(text, dialect).problems]


@pytest.mark.parametrize(
    ("dialect", "text", "calls", "answer"),
    [
        ("toolrl", block('{"name": "f", "parameters": {"a": 1}}'), (F,), None),
        ("toolrl", block('{"name": "f", "parameters": {"a": 1}}') + "\n<response> hi </response>", (F,), "hi"),
        (
            "toolrl",
            block('{"name": "f", "parameters": {"a": 1}}', '{"name": "g.h", "parameters": {"b": "x"}}'),
            (F, G),
            None,
        ),
        ("toolrl", "words " + toolrl() + " words", (ToolCall("f", {}),), None),
        ("hermes", block(ONE), (F,), None),
        ("hermes", f"First.\n{block(ONE)} then {block(TWO)}", (F, G), "First.\nthen"),
        ("hermes", f"<tool_call>{ONE}</tool_call>", (F,), None),
        ("json", ONE, (F,), None),
        ("json", f" [{ONE},\n{TWO} ] ", (F, G), None),
        ("json", f"```json\n[{ONE}]\n```", (F,), None),
        ("json", '{"name": "f", "parameters": {"a": 1}}', (F,), None),
        ("openai", '[{"type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]', (F,), None),
        ("openai", f'{{"content": null, "tool_calls": {tool_calls(ONE)}}}', (F,), None),
        ("openai", f'{{"content": "Sure.", "tool_calls": {tool_calls(ONE)}}}', (F,), "Sure."),
        ("python", "[f(a=1)]", (F,), None),
        ("python", 'f(a=1), g.h(b="x")', (F, G), None),
        ("python", '```python\n[f(a=1),\n g.h(b="x"),]\n```', (F, G), None),
    ],
)
def test_calls_of_each_dialect(dialect, text, calls, answer):
    for prefix, thought in (("", None), ("<think> why </think>\n", "why")):
        parsed = parse_response(prefix + text, dialect)
        assert (parsed.status, parsed.calls, parsed.answer, parsed.problems) == (Status.VALID, calls, answer, ())
        assert parsed.thought == thought
        assert parse_response(prefix + text) == parsed


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("toolrl", "<response>\nParis. </response>"),
        ("hermes", " Paris. "),
        ("openai", '{"role": "assistant", "content": "Paris. ", "tool_calls": []}'),
        ("json", "Paris.\n"),
        ("json", "```\nParis.\n```"),
        ("python", "Paris."),
    ],
)
def test_an_answer_without_a_call_is_an_abstention(dialect, text):
    parsed = parse_response("<think>t</think>" + text, dialect)
    assert (parsed.status, parsed.answer, parsed.calls) == (Status.ABSTAINED, "Paris.", ())


@pytest.mark.parametrize("dialect", [*DIALECTS, "auto"])
@pytest.mark.parametrize(
    "text",
    ["", " \n", "<think>t</think>", "...", "\x00", "[]", "<tool_call>", "</think>", "<response></response>", "{", "["],
)
def test_nothing_and_garbage_are_no_abstention(dialect, text):
    parsed = parse_response(text, dialect)
    assert parsed.status is Status.UNPARSEABLE
    assert (parsed.calls, parsed.answer) == ((), None)
    assert len(parsed.problems) == 1


def test_an_escaped_nul_is_a_character():
    for text, dialect in ((hermes('{"a": "\\u0000"}'), "hermes"), ("[f(a='\\0')]", "python")):
        assert parse_response(text, dialect).calls == (ToolCall("f", {"a": "\x00"}),)


def test_depth_is_counted_to_the_limit():
    deepest = nested(MAX_DEPTH - 2)
    for dialect, text in (("hermes", hermes(f'{{"a": {deepest}}}')), ("python", f"[f(a={deepest})]")):
        assert parse_response(text, dialect).status is Status.VALID
        assert codes(text.replace("[]", "[[]]"), dialect) == ["too_deep"]


def test_brackets_in_strings_nest_nothing():
    arguments = {"a": "[" * 1000, "b": '{"' * 500}
    for dialect in DIALECTS:
        calls = (ToolCall("f", arguments),)
        assert parse_response(render_response(calls, dialect), dialect).calls == calls


def test_tags_in_strings_are_text():
    calls = (ToolCall("f", {"a": "</tool_call><tool_call>", "</think>": "<response>x</response>"}),)
    for dialect in IN_QUOTES:
        assert parse_response(render_response(calls, dialect, thought="t"), dialect).calls == calls


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (f"<think>{hermes()}</think>Paris.", "hermes"),
        (f"<think>{toolrl()}</think><response>Paris.</response>", "toolrl"),
        (f"<think>{ONE}</think>Paris.", "json"),
        (f'<think>{tool_calls(ONE)}</think>{{"content": "Paris."}}', "openai"),
        ("<think>[f(a=1)]</think>Paris.", "python"),
    ],
)
def test_calls_in_the_thought_do_not_count(text, dialect):
    for name in (dialect, "auto"):
        parsed = parse_response(text, name)
        assert (parsed.status, parsed.calls, parsed.answer) == (Status.ABSTAINED, (), "Paris.")


def test_a_call_before_a_bare_closing_think_tag_does_not_count():
    # The opening tag was in the prompt: what stands before the closing one is a thought.
    for dialect in ("hermes", "auto"):
        parsed = parse_response(f"{hermes()}</think>Paris.", dialect)
        assert (parsed.status, parsed.calls, parsed.thought) == (Status.ABSTAINED, (), hermes())


def test_more_calls_than_the_limit():
    for dialect in DIALECTS:
        calls = (ToolCall("f", {}),) * MAX_CALLS
        text = render_response(calls, dialect)
        assert parse_response(text, dialect).calls == calls
        with pytest.raises(ValueError, match="too_many_calls"):
            render_response((*calls, F), dialect)


def test_more_tokens_than_python_s_parser_gets():
    assert codes("[f(a=[" + "1," * 3000 + "])]", "python") == ["too_many_tokens"]


def test_a_text_beyond_the_limit():
    for dialect in (*DIALECTS, "auto"):
        assert codes("a" * (MAX_CHARS + 1), dialect) == ["too_long"]


def test_each_bad_call_is_a_problem_with_its_place():
    text = f"[{ONE}, 3, {BAD_ARGUMENTS}]"
    parsed = parse_response(text, "json")
    assert [text[problem.start : problem.end] for problem in parsed.problems] == ["3", BAD_ARGUMENTS]
    text = "[f(a=1), g(2), h(a=x)]"
    parsed = parse_response(text, "python")
    assert parsed.problems == (
        Problem(ParseCode.POSITIONAL_ARGUMENT, 9, 13),
        Problem(ParseCode.BAD_VALUE, 15, 21),
    )


def test_spans_are_places_in_the_text():
    text = f" <think> why </think> First. {block(ONE)}"
    parsed = parse_response(text, "hermes")
    assert (text[slice(*parsed.thought_span)], text[slice(*parsed.answer_span)]) == ("why", "First.")
    assert text[slice(*parsed.calls[0].span)] == ONE
    text = ' f(a=1) , g.h(b = "x") '
    assert [text[slice(*call.span)] for call in parse_response(text, "python").calls] == ["f(a=1)", 'g.h(b = "x")']


def test_a_blank_thought_is_not_a_missing_one():
    assert parse_response("<think> \n</think>hi").thought == ""
    assert parse_response("hi").thought is None


def test_the_thought_is_given_where_the_rest_cannot_be_read():
    parsed = parse_response("<think>a</think><tool_call>x</tool_call><response>b</response>", "toolrl")
    assert (parsed.thought, parsed.answer, parsed.calls) == ("a", None, ())


def test_python_values():
    text = r"""[f(a=-1.5e3, b=(1, [True, None]), c={'k': "it's"}, d='''two
lines''', e=r"\d", g="\d\n", h=0x1F, i=1_000, **{"j-k": ()})]"""
    assert parse_response(text, "python").calls[0].arguments == {
        "a": -1500.0,
        "b": (1, [True, None]),
        "c": {"k": "it's"},
        "d": "two\nlines",
        "e": "\\d",
        "g": "\\d\n",
        "h": 31,
        "i": 1000,
        "j-k": (),
    }


@pytest.mark.filterwarnings("error")
def test_an_unknown_escape_does_not_warn():
    assert parse_response(r'[f(a="\d \\d \(")]', "python").calls[0].arguments == {"a": "\\d \\d \\("}


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ('{"name": "f", "arguments": {"tool_calls": [], "content": "x"}}', "json"),
        ('{"content": "f"}', "openai"),
        ("{", "json"),
        ("[null]", "hermes"),
        ('{"answer": 42}', "hermes"),
        ("[f(", "python"),
        ("f(x)", "python"),
        ("f(x) is a function", "hermes"),
        (hermes() + hermes(), "hermes"),
        (hermes('{"parameters": 1}'), "hermes"),
        (toolrl('{"arguments": 1}'), "toolrl"),
        ("<tool_call>", "toolrl"),
        ("<response>hi</response>", "toolrl"),
        ("", "hermes"),
        ("Paris", "hermes"),
    ],
)
def test_which_dialect_auto_takes(text, dialect):
    assert parse_response(text).dialect == dialect
    assert parse_response(text) == parse_response(text, dialect)


def test_an_unknown_dialect_is_refused_by_name():
    with pytest.raises(ValueError, match=r"dialect='xml' is not known; known: auto, toolrl"):
        parse_response("", "xml")
    with pytest.raises(ValueError, match="dialect='auto' is not known"):
        render_response([F], "auto")


@pytest.mark.parametrize(
    ("calls", "dialect", "thought", "answer"),
    [
        ([], "hermes", None, None),
        ([F], "json", None, "both"),
        ([F], "python", None, "both"),
        ([F], "hermes", "a </think> b", None),
        ([F], "hermes", " a", None),
        ([], "json", None, "[1] says so"),
        ([], "toolrl", None, "a </response> b"),
        ([ToolCall("get-weather", {})], "python", None, None),
        ([ToolCall("class", {})], "python", None, None),
        ([ToolCall("", {})], "hermes", None, None),
        ([ToolCall("f", {"a": float("nan")})], "json", None, None),
        ([ToolCall("f", {"a": float("inf")})], "python", None, None),
        ([ToolCall("f", {"a": "\ud800"})], "openai", None, None),
        ([ToolCall("f", {"a": (1,)})], "json", None, None),
    ],
)
def test_what_cannot_be_written_is_refused(calls, dialect, thought, answer):
    with pytest.raises(ValueError, match="has no text for"):
        render_response(calls, dialect, thought, answer)
