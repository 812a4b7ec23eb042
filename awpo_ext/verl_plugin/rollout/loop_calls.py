"""What verl's tool agent loop may run, and what it ran: the verifier `state` scores that record and no second reading.

verl's parsers scan a whole text. In the loop `awpo_tool_agent` they see it without its thought, so that a call which a model
tries out there is never run, and each call that reaches the tools is recorded with the arguments that it is run with.
"""

import asyncio
import json
from typing import Any

from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser

from reward_models.parsing import MAX_CHARS, MAX_DEPTH
from reward_models.parsing.thoughts import ThinkingForm, opened_form, split_thought
from reward_models.parsing.types import Unreadable

_TAIL = 16  # tokens of a prompt, in which an open thought would stand


def open_thought(tokenizer: Any, prompt_ids: list[int]) -> ThinkingForm | None:
    """The form of the thought that the prompt ends in, as templates of thinking models write it; None without one."""
    return opened_form(tokenizer.decode(prompt_ids[-_TAIL:]))


def own_text(tokenizer: Any, ids: list[int], form: ThinkingForm | None) -> str:
    """A response as a reader needs it: with the opening tag of the thought that the prompt began."""
    text = tokenizer.decode(ids, skip_special_tokens=True)
    if form is None or (form.closing not in text and form.closing in tokenizer.decode(ids)):
        return text  # the closing tag is a special token: nothing is left of the thought's frame
    return form.opening + text


def thought_length(text: str, form: ThinkingForm | None) -> int:
    """How many characters of a response are its thought, the whole text where that is not closed.

    `form` is that of the thought which the prompt began, None where it began none.
    """
    opening = form.opening if form else ""
    try:
        thought, rest = split_thought(opening + text)
    except Unreadable:
        return len(text)
    return 0 if thought is None else rest - len(opening)


class AnswerParser:
    """verl's parser, which is given what follows the thought. `form` is the loop's to set before each response."""

    def __init__(self, parser: ToolParser, tokenizer: Any) -> None:
        self.form: ThinkingForm | None = None
        self.stop_token_ids = parser.stop_token_ids
        self._parser = parser
        self._tokenizer = tokenizer

    async def extract_tool_calls(self, responses_ids: list[int], tools: Any = None) -> tuple[str, list[FunctionCall]]:
        """The text without its calls, thought included, and the calls."""
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(None, self._tokenizer.decode, responses_ids)
        length = thought_length(text, self.form)
        if length == 0:
            return await self._parser.extract_tool_calls(responses_ids, tools)
        if length == len(text):
            return text, []
        rest = await loop.run_in_executor(None, lambda: self._tokenizer.encode(text[length:], add_special_tokens=False))
        content, calls = await self._parser.extract_tool_calls(rest, tools)
        return text[:length] + content, calls


def arguments_of(call: FunctionCall) -> dict[str, Any] | None:
    """The arguments that a call is run with; None where they are not a JSON object within the parser's limits."""
    if len(call.arguments) > MAX_CHARS:
        return None
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, TypeError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) and _is_shallow(arguments) else None


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in inner for item in items]
        if not level:
            return True
    return False
