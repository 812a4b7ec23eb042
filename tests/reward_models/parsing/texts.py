"""Short texts in several dialects, for the parser's tests."""

from reward_models.parsing import ToolCall

F = ToolCall("f", {"a": 1})
G = ToolCall("g.h", {"b": "x"})
ONE = '{"name": "f", "arguments": {"a": 1}}'
TWO = '{"name": "g.h", "arguments": {"b": "x"}}'
LONG = "9" * 1001
BAD_ARGUMENTS = '{"name": "f", "arguments": [1]}'


def nested(depth):
    return "[" * depth + "]" * depth


def block(*lines):
    return "<tool_call>\n" + "\n".join(lines) + "\n</tool_call>"


def call(arguments, key="arguments"):
    return f'{{"name": "f", "{key}": {arguments}}}'


def toolrl(arguments="{}"):
    return block(call(arguments, "parameters"))


def hermes(arguments="{}"):
    return block(call(arguments))


def tool_calls(function):
    return '[{"function": ' + function + "}]"
