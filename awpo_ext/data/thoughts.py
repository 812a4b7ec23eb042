"""Thoughts for the cold start, written by program: one or two sentences that name the request, the tool and why its
arguments have their values. They say nothing that the row does not say.

Not a model of good reasoning: they teach a small model the form and the habit of grounding arguments in the request;
reinforcement does the rest.
"""

import json
import re
from typing import Any

from awpo_ext.data.split import stable_hash
from awpo_ext.data.tagged import strip_tags
from awpo_ext.data.tools import Schema, Tool, shorten, split_sentences
from reward_models.parsing import ToolCall

_MAX_GIST = 45
_MAX_VALUE = 30
_MAX_ARGUMENTS = 4
_MAX_CALLS = 4
_MAX_PURPOSE = 60

_WITH_PURPOSE = (
    "The user wants to {purpose}, so I call {tool}: {arguments}.",
    "To {purpose} I use {tool}; {arguments}.",
)
_WITH_GIST = (
    'The request is "{gist}". {tool} does this; {arguments}.',
    'For "{gist}" the tool is {tool}: {arguments}.',
    '{tool} fits the request "{gist}". Here {arguments}.',
)
_SEVERAL = (
    'The request "{gist}" needs {count} calls: {calls}.',
    'For "{gist}" I make {count} calls: {calls}.',
    "There are {count} things to do: {calls}.",
)


def is_said(value: Any, question: str) -> bool:
    """Whether the request holds the value literally (for lists and dicts: all of their values)."""
    if isinstance(value, dict):
        return bool(value) and all(is_said(item, question) for item in value.values())
    if isinstance(value, list):
        return bool(value) and all(is_said(item, question) for item in value)
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text, where = str(value).lower().strip(), question.lower()
    if not isinstance(value, str):
        where = re.sub(r"(?<=\d),(?=\d{3}\b)", "", where)  # "1,500" says 1500
    # Digits must not match inside a longer number: 5 is not said in "15" or "5.3", but it is in "of 5."
    # ASCII word characters only: Chinese and similar scripts put no space between words.
    found = re.search(rf"(?<![\w.]){re.escape(text)}(?!\w|\.\d)", where, re.ASCII)
    return bool(text) and found is not None


def shown_value(value: Any) -> str:
    """As JSON, shortened."""
    if isinstance(value, str):
        return json.dumps(shorten(value, _MAX_VALUE), ensure_ascii=False)
    return shorten(json.dumps(value, ensure_ascii=False), _MAX_VALUE)


def joined(parts: list[str], joiner: str = "and") -> str:
    """ "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joiner} {parts[-1]}"


def is_default(value: Any, schema: Schema) -> bool:
    """Whether the schema, or its description ("Default is 0.05"), gives the value as the default."""
    if "default" in schema:
        return schema["default"] == value
    _, mention, rest = schema.get("description", "").lower().partition("default")
    return bool(mention) and is_said(value, rest)


def _arguments_phrase(call: ToolCall, tool: Tool, question: str) -> str:
    """Each argument with its value, grouped by why: stated in the request, implied by it, or the tool's default."""
    schemas = tool["parameters"]["properties"]
    said, default, implied = [], [], []
    for name, value in list(call.arguments.items())[:_MAX_ARGUMENTS]:
        shown = f"{name} is {shown_value(value)}"
        if is_said(value, question):
            said.append(shown)
        elif is_default(value, schemas[name]):
            default.append(shown)
        else:
            implied.append(shown)
    phrases = []
    if said:
        phrases.append(f"{joined(said)}, as stated")
    if implied:
        phrases.append(f"{joined(implied)}, as implied")
    if default:
        phrases.append(f"{joined(default)} by default")
    if len(call.arguments) > _MAX_ARGUMENTS:
        phrases.append("the rest likewise")
    return "; ".join(phrases) or "it takes no arguments here"


def gist_of(question: str, calls: list[ToolCall]) -> str:
    """The sentence of the request that says most argument values (the first of them), shortened."""
    values = [value for call in calls for value in call.arguments.values()]
    best = max(split_sentences(question), key=lambda sentence: sum(is_said(value, sentence) for value in values))
    text = " ".join(best.split()).strip(" .!?\"'")
    return shorten(text, _MAX_GIST).replace('"', "'")


def purpose_of(tool: Tool) -> str | None:
    """The tool's description as what the user wants to do ("calculate the area .."); None where it does not read so."""
    sentence = split_sentences(tool["description"])[0].rstrip(".")
    words = sentence.split()
    # Imperatives only: "Calculate", not "Calculates", "This function" or "Function".
    if len(words) < 3 or len(sentence) > _MAX_PURPOSE or not re.fullmatch(r"[A-Z][a-z]+(?<!s)", words[0]):
        return None
    if words[0] in {"The", "A", "An", "Function", "Tool", "Given", "Api", "Optional"}:
        return None
    return " ".join([words[0].lower(), *words[1:]])


def _call_phrase(call: ToolCall, calls: list[ToolCall]) -> str:
    """The call with two of its arguments: those first that tell it from the row's other calls of the same tool."""
    others = [other.arguments for other in calls if other.name == call.name]
    names = sorted(call.arguments, key=lambda name: all(o.get(name) == call.arguments[name] for o in others))
    values = [f"{name} {shown_value(call.arguments[name])}" for name in names[:2]]
    return f"{call.name} with {joined(values)}" if values else call.name


def write_thought(row_id: str, question: str, calls: list[ToolCall], tools: list[Tool], seed: int) -> str:
    """The thought of a row, on one line, free of reserved tags.

    The template is chosen by a stable hash of the row's id, so the same row and seed give the same thought. Every
    called tool must be among `tools` (normalised); a call without arguments is said to take none.
    """
    choice = int(stable_hash(seed, "thought", row_id), 16)
    gist = gist_of(question, calls)
    if len(calls) > 1:
        phrases = [_call_phrase(call, calls) for call in calls[:_MAX_CALLS]]
        if len(calls) > _MAX_CALLS:
            phrases.append(f"{len(calls) - _MAX_CALLS} more of the kind")
        text = _SEVERAL[choice % len(_SEVERAL)].format(gist=gist, count=len(calls), calls="; ".join(phrases))
    else:
        call = calls[0]
        tool = next(tool for tool in tools if tool["name"] == call.name)
        purpose = purpose_of(tool)
        templates = _WITH_GIST if purpose is None else _WITH_PURPOSE + _WITH_GIST
        arguments = _arguments_phrase(call, tool, question)
        text = templates[choice % len(templates)].format(
            gist=gist, purpose=purpose, tool=call.name, arguments=arguments
        )
    return " ".join(strip_tags(text).split())
