"""Calls in texts: whatever the call, each form in which data sets write it is read back as that call."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.text_calls import read_said
from reward_models.parsing import ToolCall

words = st.text(st.characters(codec="utf-8", exclude_characters="\r", exclude_categories=("Cs", "Cc")), max_size=12)
names = st.sampled_from(["get_weather", "weather.ahead", "Market Trends API", "class", "a-b", "News (v2)"])
keys = st.sampled_from(["city", "from", "top n", "is-open", "zone"])
values = st.one_of(words, st.integers(-999, 999), st.booleans(), st.none(), st.lists(st.integers(0, 9), max_size=3))
calls = st.builds(ToolCall, names, st.dictionaries(keys, values, max_size=3))


def tool(call):
    return {"name": call.name, "description": "", "parameters": {"properties": {key: {} for key in call.arguments}}}


def hermes(call):
    return f"<tool_call>\n{ {'name': call.name, 'arguments': call.arguments} }\n</tool_call>"


def hermes_json(call):
    return f"<tool_call>\n{json.dumps({'name': call.name, 'arguments': call.arguments})}\n</tool_call>"


def glaive(call):
    arguments = json.dumps(call.arguments)
    return f"""<functioncall> {{"name": {json.dumps(call.name)}, "arguments": '{arguments}'}}"""


def toolace(call):
    arguments = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in call.arguments.items())
    return f"[{call.name}({arguments})]"


@pytest.mark.parametrize("write", [hermes, hermes_json, glaive, toolace])
@given(call=calls)
def test_a_call_is_read_back_from_each_form(write, call):
    said = read_said(write(call), [tool(call)], "r")
    assert said.calls == (call,) and said.content == ""


@given(text=words, call=calls)
def test_a_cut_call_is_never_an_answer(text, call):
    for write in (hermes, glaive, toolace):
        whole = write(call)
        for cut in (whole[: len(whole) // 2 + len(call.name)], whole[:-1]):
            try:
                said = read_said(cut, [tool(call)], "r")
            except OddRecord:
                continue
            assert said.calls, cut
