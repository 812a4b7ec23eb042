"""For the parser's tests and fuzzing: hypothesis strategies, hostile texts, and what holds for every text."""

import string

from hypothesis import strategies as st

from reward_models.parsing import DIALECTS, ParsedResponse, Status, ToolCall, parse_response
from reward_models.parsing.answers import SIGN
from reward_models.parsing.render_families import WITHOUT_ESCAPES
from reward_models.parsing.types import INVALID_CODES

# Without lone surrogates, which no dialect lets pass; with tags, quotes, NULs and brackets.
hostile_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        [
            "</tool_call>",
            "<think>",
            "</think>",
            "<response>",
            '"',
            "'",
            "\\",
            "\\\\",
            "\x00",
            "\n",
            "```",
            "[" * 70,
            "{",
        ]
    ),
)
numbers = st.one_of(st.integers(), st.integers(10**50, 10**60), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, hostile_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(hostile_text, inner, max_size=4)),
    max_leaves=12,
)
# "f_" and not "f": `for` is no name in Python
identifiers = st.text(string.ascii_letters + "_", min_size=1, max_size=8).map(lambda name: f"f_{name}")
tool_names = st.lists(identifiers, min_size=1, max_size=3).map(".".join)
argument_names = st.one_of(identifiers, hostile_text, st.sampled_from(["class", "None", "name", "arguments", "ﬁ"]))
tool_calls = st.builds(ToolCall, tool_names, st.dictionaries(argument_names, json_values, max_size=4))
call_lists = st.lists(tool_calls, min_size=1, max_size=4).map(tuple)
# Without what a format whose values are text cannot hold: tags, and white space around names.
plain_text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>◁▷/|"), max_size=30)
plain_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, plain_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(plain_text, inner, max_size=4)),
    max_leaves=12,
)
plain_calls = st.builds(ToolCall, tool_names, st.dictionaries(identifiers, plain_values, max_size=4))
plain_call_lists = st.lists(plain_calls, min_size=1, max_size=4, unique_by=lambda call: call.name).map(tuple)
# Dialects whose strings may hold any text.
IN_QUOTES = tuple(name for name in DIALECTS if name not in WITHOUT_ESCAPES)
WITH_ANSWER = tuple(name for name in IN_QUOTES if name not in ("json", "python"))
thoughts = st.one_of(
    st.none(),
    st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), max_size=30).map(str.strip),
    st.just("I could <tool_call> or [f(a=1)] or <response>"),
)
# Prose: starts with a letter and has no brackets, quotes or tags, so no dialect takes it for a call.
answers = st.text(string.ascii_letters + " .,\n", min_size=1, max_size=40).map(lambda text: "A" + text.rstrip())

FRAGMENTS = [
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<response>", "</response>", "<", ">", "\n", "\r\n", " ",
    "\t", "text", "\x00", "\ud800", "\\ud800", "\u2028", "```", "```json\n", '{"name": "f", "parameters": {"a": 1}}',
    '{"name": "f", "arguments": {"a": 1}}', '{"name": "f"', '"name"', '"arguments": ', '"parameters": ',
    '{"a": 1, "a": 2}',
    '{"content": "hi", "tool_calls": [', '{"type": "function", "function": ', '{"name": "f", "arguments": "{}"}',
    "[", "]",
    "{", "}", "(", ")", ",", ":", "=", "-", "**", ".", '"', "'", '"""', "'''", "\\", "\\x", "\\N{", "#", ";",
    "@", "lambda",
    "lambda:", "not ", "f(a=1)", "[f(a=1, b=[-2, (3,), {'k': None}])]", "g.h(", "a=", "f", "_", "r'", "b'",
    "f'", "True",
    "<function=f>", "</function>", "<parameter=a>", "</parameter>", "<tool_call>f", "<arg_key>a</arg_key>",
    "<arg_value>1", "]<]minimax[>[", "]<]minimax[>[<tool_call>", '<tool_call><invoke name="f">', "<a>1</a>", "<item>",
    "]<]minimax[>[<a>", "]<]minimax[>[</a>", ']<]minimax[>[<invoke name="f">', "</item>", "<a>", "</a>",
    "</arg_value>", "<minimax:tool_call>", "</minimax:tool_call>", '<invoke name="f">', "</invoke>",
    '<parameter name="a">',
    "[TOOL_CALLS]", "[ARGS]", 'f[ARGS]{"a": 1}', "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>",
    "<|tool_call_begin|>functions.f:0", '<|tool_call_argument_begin|>{"a": 1}', "<|tool_call_end|>",
    'functions.f:0{"a": 1}',
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>",
    "<｜DSML｜function_calls>", '<｜DSML｜invoke name="f">', '<｜DSML｜parameter name="a" string="false">',
    "</｜DSML｜parameter>",
    "</｜DSML｜invoke>", "</｜DSML｜function_calls>", "<|python_tag|>", '{"name": "f", "parameters": {}};', "<|tool_call>",
    "call:f{", '<|"|>', "<escape>", "<tool_call|>", "<start_function_call>", "<end_function_call>", "```tool_code\n",
    "<|tool_call_start|>", "<|tool_call_end|>", "<|python_start|>", "<|python_end|>",
    "<|channel|>", "analysis", "commentary", "final", "<|message|>", "<|end|>", "<|call|>",
    "<|start|>assistant", "assistant",
    " to=functions.f", "<|constrain|>json", "[THINK]", "[/THINK]", "<|channel>thought", "<channel|>", "<|im_end|>",
    "null", "NaN", "Infinity", "1e999", "-0", "0x1F", "1_0", "1.", ".5", "1j", "007", "9" * 1001, "[" * 65, "[" * 300,
    "{'a':" * 70, "f(a=" * 70, "é", "ﬁ", "٣", "\U0001f600", "await ", "yield", "...", "if", "else", "for x in y", ":=",
]  # fmt: skip
soup = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join))

# A fragment that, repeated, is meant to be slow for one step or another.
REPEATED = [
    "\\d'\\", "{\x00\\ud800", "a\\b", "\\\n", "\\\"a", '"a" ', '"a"',
    "<think>", "</think>", "<tool_call>", "<tool_call>{}", '<tool_call>"', "<response>", "</response>", "</tool_call>",
    "<a>", "<a></a>", "<item>1</item>", "]<]minimax[>[", "]<]minimax[>[<a>", "]<]minimax[>[<a>]<]minimax[>[</a>",
    '<invoke name="f"></invoke>',
    "<", '"', '\\"', "\\", "'", '"""', "'''", "'''\\", "\"'", '"\\', "[", "{", "(", "[]", "[],", "{},", '{"a":',
    '{"":0},',
    "[[],", "f(", "f(a=", "f(),", "f(a=b=", "a=", "a.", "a", "1", "1,", "1.", "1e5,", "0x", "-", "-1,", "**{}",
    "lambda:",
    "\n", " ", "\t\n", "\n[", "\nf(", "[f(", "[ ", "[f(a", "\n ", "```", "```\n", "\\u0041", "\\ud800", "\\N{BULLET}",
    "\\d", "é", "\U0001f600", "\x00", "\ud800", '"name"', "'name' \"arguments\"", '{"name":"f","arguments":{}},',
    '{"name":"f","parameters":{}}\n', '<tool_call>{"name":"f","arguments":{}}</tool_call>', "[f(a=1),", "(1,",
    "{'a':1,",
]  # fmt: skip
HEADS = [
    "", "<think></think>", "<tool_call>", "<tool_call>\n[", '<tool_call>{"name":"f","arguments":{"a":"', "<response>",
    '{"name":"f","arguments":{"a":', '[{"name":"f","arguments":{"a":[', '{"content":"', '{"tool_calls":[', "[f(a=",
    "[f(a='", "[f(a='''", "[f(a=[", "[f(a={", "[f(", "[", "f(", "```json\n",
    "<tool_call><function=f>", "<tool_call><function=f><parameter=a>", "<tool_call>f",
    "<tool_call>f<arg_key>a</arg_key><arg_value>",
    '<tool_call><invoke name="f">', '<tool_call><invoke name="g"><a>', ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="f">',
    '<invoke name="f">', '<invoke name="f"><parameter name="a">', "[TOOL_CALLS]", '[TOOL_CALLS]f[ARGS]{"a":',
    "functions.f:0{",
    "<|tool_calls_section_begin|>", "<｜tool▁calls▁begin｜>", '<｜DSML｜function_calls><｜DSML｜invoke name="f">',
    "<|python_tag|>",
    "call:f{", "call:f{a:", "<|tool_call>call:f{a:[", '<|tool_call>call:f{a:<|"|>', "```tool_code\n",
    "<|channel|>final<|message|>",
    "analysis to=functions.f", "analysisassistantfinal", "<|channel|>commentary to=functions.f<|message|>",
    "A </think>",
]  # fmt: skip
TAILS = ["\nx", "", "</tool_call>", "]", '"', "'", ")]", "```", "x"]


dialects = st.sampled_from([*DIALECTS, "auto"])


# The row's tools in fuzzing: every type for the arguments that FRAGMENTS name.
FUZZ_TOOLS = [
    {"name": name, "parameters": {"properties": {"a": {"type": kind}, "days": {"type": ["integer", "string"]}}}}
    for name, kind in (("f", "integer"), ("g", "array"), ("weather.get", "string"), ("get_weather", "object"))
]


def check(text, dialect):
    """Whatever holds for every text, with tools and a thought opened by the prompt or not; returns the plain reading."""
    parsed = check_once(text, dialect)
    if len(text) % 2:
        opened = check_once(text, dialect, tools=FUZZ_TOOLS, thinking="opened")
        assert not opened.calls or opened.thought is not None or opened.dialect == "harmony"
    return parsed


def check_once(text, dialect, **known):
    """Whatever holds for every text, read with what is known; returns the parsed response."""
    parsed = parse_response(text, dialect, **known)
    assert isinstance(parsed, ParsedResponse)
    assert parsed.dialect in DIALECTS and dialect in ("auto", parsed.dialect)
    codes = {problem.code for problem in parsed.problems}
    assert (parsed.status is Status.VALID) == bool(parsed.calls)
    assert (parsed.status is Status.INVALID) == (bool(codes) and codes <= INVALID_CODES)
    assert (parsed.status is Status.UNPARSEABLE) == bool(codes - INVALID_CODES)
    if parsed.status is Status.ABSTAINED:
        assert SIGN.search(parsed.answer)
    spans = [(problem.start, problem.end) for problem in parsed.problems]
    spans += [call.span for call in parsed.calls]
    spans += [span for span in (parsed.thought_span, parsed.answer_span) if span is not None]
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    if parsed.thought is not None:
        assert parsed.thought == text[slice(*parsed.thought_span)] == parsed.thought.strip()
    return parsed


def json_type(value):
    """The name of a JSON value's type in a schema."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def tools_for(calls):
    """Tools whose schemas declare the types of these calls' arguments, all types where calls of one tool differ."""
    types = {}
    for call in calls:
        for name, value in call.arguments.items():
            types.setdefault(call.name, {}).setdefault(name, set()).add(json_type(value))
    return [
        {
            "name": call.name,
            "parameters": {
                "type": "object",
                "properties": {name: {"type": sorted(kinds)} for name, kinds in types.get(call.name, {}).items()},
            },
        }
        for call in calls
    ]
