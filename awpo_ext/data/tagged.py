"""The tagged text of an answer: `<think>..</think>`, then `<tool_call>..</tool_call>` and/or `<response>..</response>`.

Renders and reads *ground truths and training answers*, which must be well formed. Not for model output: scoring a
rollout, with all that can go wrong in it, is the reward model's business. The form is ToolRL's (arXiv 2504.13958).
"""

import json
import re
from dataclasses import dataclass

from reward_models.parsing import ToolCall

# The text between the think tags without a thought: ToolRL's form keeps one space there.
NO_THOUGHT = " "
# The response where a source says that no tool fits, and not how to say so.
NO_TOOL_FITS = "None of the tools can do this."

RESERVED_TAG = re.compile(r"</?(?:think|tool_call|response)>")

_FORM = re.compile(
    r"<think>(?P<thought>.*?)</think>\s*"
    r"(?:<tool_call>(?P<calls>.*?)</tool_call>\s*)?"
    r"(?:<response>(?P<response>.*)</response>)?",
    re.DOTALL,
)


class TaggedTextError(ValueError):
    """The text is not in the tagged form; the message says where it departs from it."""


@dataclass(frozen=True)
class Tagged:
    """A tagged text, taken apart: `calls` is empty and `response` is None where the text has no such block."""

    thought: str
    calls: tuple[ToolCall, ...]
    response: str | None


def strip_tags(thought: str) -> str:
    """The thought with the brackets of reserved tags removed, so that it cannot open or close a block.

    Recorded reasoning quotes the tags it is about to write; each block must appear once in an answer.
    """
    return RESERVED_TAG.sub(lambda tag: tag.group().strip("</>"), thought)


def render_call(call: ToolCall) -> str:
    """One call as one line of JSON, in ToolRL's spelling: `{"name": .., "parameters": {..}}`.

    Tags in strings are written with an escape, so that a reader that looks for tags does not see them.
    """
    line = json.dumps({"name": call.name, "parameters": call.arguments}, ensure_ascii=False, allow_nan=False)
    return RESERVED_TAG.sub(lambda tag: f"\\u003c{tag[0][1:]}", line)


def render_answer(thought: str, calls: list[ToolCall] | tuple[ToolCall, ...]) -> str:
    """`<think>thought</think>` and a `<tool_call>` block with one call a line.

    Raises ValueError where the thought holds a reserved tag (see `strip_tags`) or there is no call.
    """
    if RESERVED_TAG.search(thought):
        raise ValueError(f"the thought holds a reserved tag: {thought!r}")
    if not calls:
        raise ValueError("an answer with a <tool_call> block needs at least one call")
    lines = "\n".join(render_call(call) for call in calls)
    return f"<think>{thought}</think>\n<tool_call>\n{lines}\n</tool_call>"


def render_reply(thought: str, reply: str) -> str:
    """`<think>thought</think>` and a `<response>` block: an answer without a call. ValueError for reserved tags in it."""
    if RESERVED_TAG.search(thought + reply):
        raise ValueError(f"the answer holds a reserved tag: {thought + reply!r}")
    return f"<think>{thought}</think>\n<response> {reply} </response>"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse_line(line: str) -> ToolCall:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except ValueError as error:
        raise TaggedTextError(f"the <tool_call> line {line!r} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise TaggedTextError(f"the <tool_call> line {line!r} is not a JSON object")
    name, parameters = value.get("name"), value.get("parameters")
    if not isinstance(name, str) or not name:
        raise TaggedTextError(f"the call {line!r} has no 'name'")
    if not isinstance(parameters, dict):
        raise TaggedTextError(f"the call {line!r} has no 'parameters' object")
    return ToolCall(name, parameters)


def parse_tagged(text: str) -> Tagged:
    """Take a tagged text apart.

    A thought may quote tags: the split is the first one that makes the whole text well formed. Raises
    TaggedTextError where there is no thought block, neither calls nor a response, an empty `<tool_call>` block,
    or a call line that is not a JSON object with `name` and `parameters`.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise TaggedTextError(
            "expected <think>..</think> and then <tool_call>..</tool_call> and/or <response>..</response>, "
            f"found {text.strip()[:80]!r}"
        )
    calls: list[ToolCall] = []
    if match["calls"] is not None:
        # Not splitlines(): a JSON string may hold U+2028 and similar characters unescaped.
        calls = [_parse_line(line.strip()) for line in match["calls"].split("\n") if line.strip()]
        if not calls:
            raise TaggedTextError("the <tool_call> block is empty")
    elif match["response"] is None:
        raise TaggedTextError("there is neither a <tool_call> nor a <response> block after the thought")
    return Tagged(match["thought"], tuple(calls), match["response"])
