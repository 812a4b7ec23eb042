"""Each family's own formats: what is a call, what is none, special tokens kept or skipped by the decoder."""

import pytest

from reward_models.parsing import Status, ToolCall, parse_response

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer"},
                    "metric": {"type": "boolean"},
                    "near": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    }
]
PARIS = ToolCall("get_weather", {"city": "Paris"})
FOUR = ToolCall("get_weather", {"city": "007", "days": 3, "metric": True, "near": ["a", "b"]})
HARMONY_CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>'

FORMS = [
    (
        "qwen3_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
    ),
    ("qwen3_coder", "<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>"),
    (
        "qwen3_coder",
        "<seed:tool_call><function=get_weather><parameter=city>Paris</parameter></function></seed:tool_call>",
    ),
    ("glm", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>"),
    ("glm", "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>"),
    (
        "minimax",
        '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n</invoke>\n'
        "</minimax:tool_call>",
    ),
    (
        "minimax",
        '<function_calls>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n</invoke>\n</function_calls>',
    ),
    (
        "minimax_m3",
        ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="get_weather">]<]minimax[>[<city>Paris]<]minimax[>[</city>'
        "]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>",
    ),
    ("minimax_m3", '<tool_call>\n<invoke name="get_weather"><city>Paris</city></invoke>\n</tool_call>'),
    ("minimax_m3", '<minimax:tool_call><invoke name="get_weather"><city>Paris</city></invoke></minimax:tool_call>'),
    ("mistral", '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]'),
    ("mistral", '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abcdefghi"}]'),
    ("mistral", '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}'),
    ("mistral", '[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{"city": "Paris"}'),
    ("mistral", '[TOOL_CALLS]get_weather{"city": "Paris"}'),
    (
        "kimi",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
    ),
    (
        "deepseek",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    ),
    (
        "deepseek",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>'
        "<｜tool▁calls▁end｜>",
    ),
    (
        "deepseek",
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris'
        "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    ),
    ("llama3", '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}'),
    ("llama3", '<function=get_weather>{"city": "Paris"}</function>'),
    ("llama3", '<|python_tag|>get_weather.call(city="Paris")'),
    ("gemma", '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'),
    ("gemma", "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>"),
    ("gemma", 'I look.\n```tool_code\nprint(default_api.get_weather(city="Paris"))\n```'),
    ("python", "<|tool_call_start|>[get_weather(city='Paris')]<|tool_call_end|>"),
    ("python", '<function_calls>\nget_weather(city="Paris")\n</function_calls>'),
    ("harmony", HARMONY_CALL),
    (
        "harmony",
        '<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris"}<|call|>',
    ),
    ("openai", '{"content": "", "function_call": {"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}}'),
]
# The same without special tokens, which verl's reward workers skip.
PLAIN = [
    ("mistral", 'get_weather{"city": "Paris"}'),
    ("json", '[{"name": "get_weather", "arguments": {"city": "Paris"}}]'),
    ("kimi", 'functions.get_weather:0{"city": "Paris"}'),
    ("gemma", "call:get_weather{city:Paris}"),
    ("harmony", 'commentary to=functions.get_weather json{"city": "Paris"}'),
    ("harmony", 'analysisIt asks.assistantcommentary to=functions.get_weather json{"city": "Paris"}'),
    ("harmony", 'analysisIt asks.assistant to=functions.get_weathercommentary json{"city": "Paris"}'),
    ("json", '{"name": "get_weather", "parameters": {"city": "Paris"}}'),
    ("python", "[get_weather(city='Paris')]"),
]


@pytest.mark.parametrize(("dialect", "text"), [*FORMS, *PLAIN])
@pytest.mark.parametrize("end", ["", "<|im_end|>", "<|im_end|>\n<|endoftext|>", "</s>", "<end_of_turn>\n"])
def test_a_call_is_read_in_its_own_dialect_and_by_auto(dialect, text, end):
    for name in (dialect, "auto"):
        parsed = parse_response(text + end, name, tools=TOOLS)
        assert (parsed.status, parsed.calls, parsed.dialect) == (Status.VALID, (PARIS,), dialect)


@pytest.mark.parametrize(("dialect", "text"), [*FORMS, *PLAIN])
def test_in_another_dialect_it_is_neither_a_call_nor_an_abstention(dialect, text):
    for other in ("hermes", "toolrl"):
        for wrapped in (text, f"<response>{text}</response>"):
            parsed = parse_response(wrapped, other, tools=TOOLS)
            assert parsed.calls == ()
            assert parsed.status in (Status.UNPARSEABLE, Status.INVALID), parsed


@pytest.mark.parametrize(("dialect", "text"), FORMS)
def test_a_damaged_call_is_no_call_and_no_abstention(dialect, text):
    for cut in range(1, len(text)):
        for name in (dialect, "auto"):
            parsed = parse_response(text[:cut], name, tools=TOOLS)
            assert parsed.calls in ((), (PARIS,))
            if parsed.calls:
                # Complete but for a last token that decoders skip.
                assert text[cut:].strip() in ("<|call|>", "all|>", "l|>", "ll|>", "|>", ">", "call|>", "|call|>")


@pytest.mark.parametrize(
    ("dialect", "first", "last"),
    [
        ("qwen3_coder", "<tool_call><function=f></function></tool_call>", "<function=g></function>"),
        ("glm", "<tool_call>f</tool_call>", "<tool_call>g</tool_call>"),
        ("minimax", '<invoke name="f"></invoke>', '<invoke name="g"></invoke>'),
        (
            "minimax_m3",
            ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="f">]<]minimax[>[</invoke>',
            ']<]minimax[>[<invoke name="g">]<]minimax[>[</invoke>]<]minimax[>[</tool_call>',
        ),
        ("mistral", "[TOOL_CALLS]f[ARGS]{}", "[TOOL_CALLS]g[ARGS]{}"),
        ("llama3", "<function=f>{}</function>", "<function=g>{}</function>"),
        ("llama3", '<|python_tag|>{"name": "f", "parameters": {}};', '{"name": "g", "parameters": {}}'),
        ("gemma", "<|tool_call>call:f{}<tool_call|>", "<|tool_call>call:g{}<tool_call|>"),
    ],
)
def test_several_calls_and_text_before(dialect, first, last):
    for name in (dialect, "auto"):
        parsed = parse_response(f"I look twice.\n{first}\n{last}", name)
        assert [call.name for call in parsed.calls] == ["f", "g"]
        assert parsed.answer == "I look twice."


def test_text_after_llama_s_objects_is_an_answer_and_a_broken_object_is_not():
    call = '<|python_tag|>{"name": "f", "parameters": {}}'
    parsed = parse_response(f"Before {call} After")
    assert ([item.name for item in parsed.calls], parsed.answer) == (["f"], "Before\nAfter")
    assert parse_response(call + ' {"name": "g"').status is Status.UNPARSEABLE
    assert parse_response(call + ";").status is Status.UNPARSEABLE


def test_deepseek_s_form_without_its_special_token():
    text = '<function_calls><invoke name="f"><parameter name="a" string="true">1</parameter></invoke></function_calls>'
    assert parse_response(text).calls == (ToolCall("f", {"a": "1"}),)


def test_values_of_text_follow_the_schema():
    qwen = "<tool_call><function=get_weather>" + "".join(
        f"<parameter={key}>\n{value}\n</parameter>"
        for key, value in {"city": "007", "days": "3", "metric": "True", "near": '["a", "b"]'}.items()
    )
    assert parse_response(qwen + "</function></tool_call>", tools=TOOLS).calls == (FOUR,)
    glm = "<tool_call>get_weather" + "".join(
        f"<arg_key>{key}</arg_key><arg_value>{value}</arg_value>"
        for key, value in {"city": "007", "days": "3", "metric": "true", "near": '["a", "b"]'}.items()
    )
    assert parse_response(glm + "</tool_call>", tools=TOOLS).calls == (FOUR,)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<tool_call><function=f><parameter=a>1</function></tool_call>", "not_markup"),
        ("<tool_call><function=f></function>", "unclosed_block"),
        ("<tool_call><function=f><parameter=a>x<parameter=b>y</parameter></function></tool_call>", "stray_tag"),
        ("<function=f></function></tool_call>", "stray_tag"),
        ("<tool_call>f<arg_key>a</arg_key></tool_call>", "not_markup"),
        ('<invoke name="f"><parameter name="a">1</parameter>', "unclosed_block"),
        ('<tool_call><invoke name="f"><a>1</a></invoke>', "unclosed_block"),
        ('<tool_call><invoke name="f"><a>x <b>y</b></a></invoke></tool_call>', "stray_tag"),
        ('<tool_call><invoke name="f">]<]minimax[>[<a>1</a></invoke></tool_call>', "not_markup"),
        ("The token ]<]minimax[>[ alone.", "stray_tag"),
        ("[TOOL_CALLS]", "not_markup"),
        ("[TOOL_CALLS]f", "not_markup"),
        ("[TOOL_CALLS]f[ARGS]{} and so on", "not_markup"),
        ("<|tool_calls_section_begin|><|tool_calls_section_end|>", "unclosed_block"),
        ("<|channel|>analysis<|message|>I should call it.", "unclosed_think"),
        ('<|channel|>commentary to=functions.f<|message|>{"a": 1', "not_json"),
        ("<|tool_call>call:f{a:1,}<tool_call|>", "not_markup"),
        ("<|tool_call>call:f{a:1}", "unclosed_block"),
    ],
)
def test_broken_markup_says_why(text, code):
    parsed = parse_response(text)
    assert (parsed.status, [problem.code.value for problem in parsed.problems]) == (Status.UNPARSEABLE, [code])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<function=f><parameter=a>1</parameter><parameter=a>2</parameter></function>", "duplicate_key"),
        ("<tool_call>f<arg_key>a</arg_key><arg_value>\ud800</arg_value></tool_call>", "lone_surrogate"),
        ('<tool_call><invoke name="f"><a>1</a><a>2</a></invoke></tool_call>', "duplicate_key"),
        ('<tool_call><invoke name="f"><a>\ud800</a></invoke></tool_call>', "lone_surrogate"),
        ("[TOOL_CALLS]f[ARGS][1]", "not_markup"),
        ("<|tool_call>call:f{a:1,a:2}<tool_call|>", "duplicate_key"),
        (
            '<｜DSML｜tool_calls><｜DSML｜invoke name="f"><｜DSML｜parameter name="a" string="false">x</｜DSML｜parameter>'
            "</｜DSML｜invoke></｜DSML｜tool_calls>",
            "bad_value",
        ),
    ],
)
def test_what_is_read_and_not_well_formed(text, code):
    parsed = parse_response(text)
    assert (parsed.calls, [problem.code.value for problem in parsed.problems]) == ((), [code])
