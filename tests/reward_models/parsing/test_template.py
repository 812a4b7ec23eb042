"""A chat template's dialect and thinking form: found from the template alone, or said to be unknown."""

import jinja2
import pytest

from reward_models.parsing import DIALECTS, ToolCall, parse_response, read_template, render_response

HEAD = "{%- for m in messages %}<{{ m.role }}>{{ m.content or '' }}"
CALLS = "{%- for c in m.tool_calls or [] %}{%- set f = c.function %}"
TAIL = "{%- endfor %}</{{ m.role }}>{%- endfor %}{%- if add_generation_prompt %}<assistant>"
FORMS = {
    "hermes": '<tool_call>{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}}</tool_call>',
    "qwen3_coder": "<tool_call><function={{ f.name }}>{% for k, v in f.arguments.items() %}<parameter={{ k }}>\n{{ v }}\n"
    "</parameter>{% endfor %}</function></tool_call>",
    "glm": "<tool_call>{{ f.name }}{% for k, v in f.arguments.items() %}<arg_key>{{ k }}</arg_key><arg_value>{{ v }}"
    "</arg_value>{% endfor %}</tool_call>",
    "llama3": '{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}',
    "mistral": "[TOOL_CALLS]{{ f.name }}[ARGS]{{ f.arguments | tojson }}",
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>{{ c.id }}<|tool_call_argument_begin|>{{ f.arguments | tojson }}"
    "<|tool_call_end|><|tool_calls_section_end|>",
}


class Tokenizer:
    """Stands for any object with a chat template."""

    def __init__(self, template):
        self.chat_template = template
        self._template = jinja2.Environment().from_string(template)

    def apply_chat_template(self, messages, tools=None, tokenize=False, add_generation_prompt=False):
        return self._template.render(messages=messages, tools=tools, add_generation_prompt=add_generation_prompt)


@pytest.mark.parametrize("dialect", FORMS)
@pytest.mark.parametrize(
    ("opening", "thinking", "form"),
    [
        ("", "auto", None),
        ("<think>\n", "opened", "think"),
        ("<think>\n\n</think>\n\n", "auto", "think"),
        ("[THINK]", "opened", "mistral"),
    ],
)
def test_the_dialect_and_the_thought_of_a_template(dialect, opening, thinking, form):
    reading = read_template(Tokenizer(HEAD + CALLS + FORMS[dialect] + TAIL + opening + "{%- endif %}"))
    assert (reading.dialect, reading.thinking, reading.form, reading.problem) == (dialect, thinking, form, "")
    assert parse_response(reading.example, dialect).calls[0].name == "get_weather"


def test_a_template_whose_calls_no_dialect_reads_is_named():
    template = HEAD + CALLS + "<call>{{ f.name }} with {{ f.arguments }}</call>" + TAIL + "{%- endif %}"
    reading = read_template(Tokenizer(template))
    assert reading.dialect is None
    assert "no dialect reads the call that the template writes" in reading.problem
    assert "<call>get_weather with" in reading.problem
    # Only the name, as in a template that loses the arguments.
    template = HEAD + CALLS + "<tool_call><function={{ f.name }}></function></tool_call>" + TAIL + "{%- endif %}"
    assert read_template(Tokenizer(template)).dialect is None


def test_a_template_that_drops_or_refuses_calls_is_named():
    assert "drops calls" in read_template(Tokenizer(HEAD + "{%- endfor %}")).problem
    refusing = "{%- for m in messages %}{{ m.content.upper() if m.role == 'user' else 1 / 0 }}{%- endfor %}"
    assert "refuses a conversation with a call" in read_template(Tokenizer(refusing)).problem


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "openai"])
def test_every_dialect_s_own_text_is_found(dialect):
    call = ToolCall("get_weather", {"city": "San José", "days": 3})
    text = render_response([call], dialect, tools=[{"name": "get_weather", "parameters": {"city": {"type": "string"}}}])
    template = "{%- for m in messages %}{%- if m.tool_calls %}{{ given }}{%- else %}u{%- endif %}{%- endfor %}"
    tokenizer = Tokenizer(template.replace("{{ given }}", "{% raw %}" + text + "{% endraw %}"))
    found = read_template(tokenizer).dialect
    assert parse_response(text, found, tools=[{"name": "get_weather", "parameters": {}}]).calls == (call,)
