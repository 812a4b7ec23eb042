"""One record of each form that people have, in the layout of its data set, and the calls that it must come to."""

import json

PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOL = {"name": "forecast", "description": "The weather ahead.", "parameters": PLACE}
CLOCK = {
    "name": "clock",
    "description": "The time.",
    "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
}
ASKED = "Will it rain in Oslo?"
CALL = {"name": "forecast", "arguments": {"city": "Oslo", "days": 2}}
PARIS = {"name": "forecast", "arguments": {"city": "Paris"}}


def conversation(*turns, **columns):
    return {"conversations": [{"from": who, "value": value} for who, value in turns], **columns}


def messages(*answers, tools=(TOOL,), **columns):
    return {"messages": [{"role": "user", "content": ASKED}, *answers], "tools": list(tools), **columns}


def says(content, **more):
    return {"role": "assistant", "content": content, **more}


def block(call):
    return f"<tool_call>\n{call}\n</tool_call>"


HERMES_SYSTEM = (
    "You are a function calling AI model. You are given function signatures within <tools></tools> tags.\n"
    f"<tools>\n[{ {'type': 'function', 'function': TOOL}!r}]\n</tools>\nFor each call return <tool_call> tags."
)
TOOLACE_TOOL = {
    "name": "Market Trends API",
    "description": "Trends.",
    "parameters": {
        "type": "dict",
        "properties": {"trend_type": {"type": "string"}, "from": {"type": "string"}, "top n": {"type": "int"}},
        "required": ["trend_type"],
    },
    "required": None,
}
TOOLACE_SYSTEM = (
    "You are an expert in composing functions. Here is a list of functions in JSON format that you can invoke:\n"
    f"{json.dumps([TOOLACE_TOOL])}. \nPut it in the format of [func1(params_name=params_value)]"
)
GLAIVE_SYSTEM = (
    "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n"
    f"{json.dumps(TOOL, indent=1)}\n\n{json.dumps(CLOCK, indent=1)}\n"
)

RECORDS = {
    "llama-factory": (
        conversation(
            ("human", ASKED), ("function_call", json.dumps(CALL)), system="Be brief.", tools=json.dumps([TOOL])
        ),
        [CALL],
    ),
    "llama-factory, parallel": (
        conversation(("human", ASKED), ("function_call", json.dumps([CALL, PARIS])), tools=json.dumps([TOOL])),
        [CALL, PARIS],
    ),
    "apigen-mt": (
        conversation(
            ("human", "Hello."),
            ("gpt", "Where?"),
            ("human", ASKED),
            ("function_call", json.dumps(CALL)),
            ("observation", "{}"),
            ("function_call", json.dumps(PARIS)),
            system="policy",
            tools=json.dumps([TOOL]),
        ),
        [PARIS],
    ),
    "hermes": (
        conversation(("system", HERMES_SYSTEM), ("human", ASKED), ("gpt", block(CALL))),
        [CALL],
    ),
    "hermes, JSON and a thought": (
        conversation(
            ("human", ASKED),
            ("gpt", "<think>Oslo.</think>\n" + block(json.dumps(CALL)) + "\n" + block(json.dumps(PARIS))),
            tools=json.dumps([{"type": "function", "function": TOOL}]),
        ),
        [CALL, PARIS],
    ),
    "toolace": (
        conversation(
            ("user", "Trends?"),
            (
                "assistant",
                '[Market Trends API(trend_type="A=b(c, \'d\')", from="us", top n=3), Market Trends API(trend_type="x")]',
            ),
            system=TOOLACE_SYSTEM,
        ),
        [
            {"name": "Market Trends API", "arguments": {"trend_type": "A=b(c, 'd')", "from": "us", "top n": 3}},
            {"name": "Market Trends API", "arguments": {"trend_type": "x"}},
        ],
    ),
    "glaive": (
        {
            "system": GLAIVE_SYSTEM,
            "chat": "USER: Rain?\n\n\nASSISTANT: <functioncall> "
            """{"name": "forecast", "arguments": '{"city": "L'Aquila"}'} <|endoftext|>""",
        },
        [{"name": "forecast", "arguments": {"city": "L'Aquila"}}],
    ),
    "glaive, an answer": (
        {"system": GLAIVE_SYSTEM, "chat": "USER: Who are you?\n\n\nASSISTANT: A program. <|endoftext|>"},
        [],
    ),
    "xlam": (
        {
            "id": 7,
            "query": ASKED,
            "answers": json.dumps([CALL, PARIS]),
            "tools": json.dumps(
                [
                    {
                        "name": "forecast",
                        "description": "",
                        "parameters": {"city": {"type": "str"}, "days": {"type": "int, optional", "default": 1}},
                    }
                ]
            ),
        },
        [CALL, PARIS],
    ),
    "xlam, no tool fits": ({"query": ASKED, "answers": "[]", "tools": json.dumps([TOOL])}, []),
    "trl, texts": ({"prompt": ASKED, "completion": json.dumps(CALL), "tools": [TOOL]}, [CALL]),
    "trl, messages": (
        {
            "prompt": [{"role": "user", "content": ASKED}],
            "completion": [says(None, tool_calls=[{"type": "function", "function": CALL}])],
            "tools": json.dumps([TOOL]),
        },
        [CALL],
    ),
    "openai, text and then calls": (
        messages(says("Let me look."), says(None, tool_calls=[{"function": CALL}])),
        [CALL],
    ),
    "openai, split parallel calls": (
        messages(says(None, tool_calls=[{"function": CALL}]), says(None, tool_calls=[{"function": PARIS}])),
        [CALL, PARIS],
    ),
    "openai, function_call": (
        messages(
            says(None, function_call={"name": "forecast", "arguments": json.dumps(CALL["arguments"])}),
            {"role": "function", "name": "forecast", "content": "{}"},
            says(None, function_call=PARIS),
            tools=(),
            functions=[TOOL],
        ),
        [PARIS],
    ),
    "openai, flat calls and tools as texts": (messages(says("", tool_calls=[CALL]), tools=(json.dumps(TOOL),)), [CALL]),
    "openai, all as JSON": (
        {
            "messages": json.dumps(messages(says(None, tool_calls=[{"function": CALL}]))["messages"]),
            "tools": json.dumps([TOOL]),
        },
        [CALL],
    ),
    "anthropic": (
        {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": ASKED},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "1", "name": "forecast", "input": {"city": "Bern"}}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "dry"}]},
                        {"type": "text", "text": "And in Oslo?"},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Oslo."},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "2", **{"name": "forecast", "input": CALL["arguments"]}},
                    ],
                },
            ],
            "tools": [{"name": "forecast", "description": "", "input_schema": PLACE}],
        },
        [CALL],
    ),
    "responses": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "input_text", "text": ASKED}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Two cities."}]},
                {
                    "type": "function_call",
                    "call_id": "1",
                    "name": "forecast",
                    "arguments": json.dumps(CALL["arguments"]),
                },
                {
                    "type": "function_call",
                    "call_id": "2",
                    "name": "forecast",
                    "arguments": json.dumps(PARIS["arguments"]),
                },
            ],
            "tools": [{"type": "function", **TOOL}],
        },
        [CALL, PARIS],
    ),
    "a call in the text of a message": (messages(says(block(json.dumps(CALL)))), [CALL]),
    "a tag in an argument": (
        messages(
            says(None, tool_calls=[{"function": {"name": "forecast", "arguments": {"city": "</tool_call><think>"}}}])
        ),
        [{"name": "forecast", "arguments": {"city": "</tool_call><think>"}}],
    ),
    "an answer about JSON": (messages(says("It is 42 degrees there, in Celsius.")), []),
}
