"""A conversation with tools as plain messages that a tokenizer's chat template renders to the very same text.

verl gives a row's messages to the chat template without its tools. So what the template writes about tools, and about calls
in the history, is taken out of a rendering with `tools=` and put into the messages' texts, and the whole is compared.
"""

import json
from typing import Any

from awpo_ext.data.errors import DataError
from awpo_ext.data.sources.openai_messages import Message
from awpo_ext.data.tools import Tool
from reward_models.parsing import TemplateReading, read_template

_MARK = "awpo-mark-7f3a"
_INSTEAD = "leave --tokenizer out, and the tools are written into the system message by awpo's own prompt"

Plain = list[dict[str, str]]


class TemplateError(DataError):
    """The template, not the data, is at fault: no record can be rendered with it."""


class TemplateRenderer:
    """`tokenizer` is anything with `apply_chat_template`, `name` what messages call it.

    `reading` says which dialect reads the template's calls and whether its prompt opens a thought. Raises TemplateError,
    when it is made, where the template ignores `tools=`, and where no dialect reads its calls.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError(f"--tokenizer {name}: it has no chat template; {_INSTEAD}")
        self._tokenizer, self.name = tokenizer, name
        tool = {"name": _MARK, "description": "", "parameters": {"type": "object", "properties": {}}}
        if _MARK not in self._render([{"role": "user", "content": "x"}], [tool]):
            raise TemplateError(f"--tokenizer {name}: its chat template drops the tools; {_INSTEAD}")
        self.reading: TemplateReading = read_template(tokenizer)
        if self.reading.dialect is None:
            raise TemplateError(f"--tokenizer {name}: {self.reading.problem}; {_INSTEAD}")

    @classmethod
    def load(cls, name: str) -> "TemplateRenderer":
        """By hub id or folder. TemplateError where it cannot be loaded."""
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise TemplateError("--tokenizer needs `pip install transformers`") from error
        try:
            return cls(AutoTokenizer.from_pretrained(name, trust_remote_code=False), name)
        except TemplateError:
            raise
        except Exception as error:  # offline, not found, gated, broken: many unrelated types
            first = str(error).splitlines()[0] if str(error) else "no message"
            raise TemplateError(f"--tokenizer {name}: cannot be loaded ({type(error).__name__}: {first})") from error

    def plain(self, messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> Plain:
        """{role, content} messages whose rendering without tools is the rendering of `messages` with them.

        Raises TemplateError where the template drops calls, or writes something that no plain message gives.
        """
        full = [_openai(message) for message in messages]
        system, rest = (full[:1], full[1:]) if full[0]["role"] == "system" else ([], full)
        plain = [{"role": "system", "content": self._system(system, list(tools))}]
        for message, original in zip(rest, messages[len(system) :], strict=True):
            content = self._assistant(message, original) if original.calls else original.content
            plain.append({"role": original.role, "content": content})
        if self._render(plain) != self._render(full, list(tools)):
            raise TemplateError(
                f"--tokenizer {self.name}: its chat template renders tools or calls in a way that plain messages cannot "
                f"repeat; {_INSTEAD}"
            )
        return plain

    def _system(self, system: list[dict[str, Any]], tools: list[Tool]) -> str:
        user = {"role": "user", "content": "x"}
        return self._between([*system, user], tools, [{"role": "system", "content": _MARK}, user])

    def _assistant(self, message: dict[str, Any], original: Message) -> str:
        start = [{"role": "system", "content": "x"}, {"role": "user", "content": "x"}]
        content = self._between([*start, message], None, [*start, {"role": "assistant", "content": _MARK}])
        lost = [call.name for call in original.calls if call.name not in content]
        if lost:
            raise TemplateError(
                f"--tokenizer {self.name}: its chat template drops tool calls (of {lost[0]!r}); {_INSTEAD}"
            )
        return content

    def _between(self, messages: list[dict[str, Any]], tools: list[Tool] | None, marked: list[dict[str, Any]]) -> str:
        """What `messages` render to in the place where `marked` has the mark."""
        before, found, after = self._render(marked).partition(_MARK)
        text = self._render(messages, tools)
        if not found or not text.startswith(before) or not text.endswith(after):
            raise TemplateError(
                f"--tokenizer {self.name}: what its chat template writes cannot be taken apart; {_INSTEAD}"
            )
        return text[len(before) : len(text) - len(after)]

    def _render(self, messages: list[dict[str, Any]], tools: list[Tool] | None = None) -> str:
        given = [{"type": "function", "function": tool} for tool in tools] if tools else None
        try:
            return self._tokenizer.apply_chat_template(messages, tools=given, tokenize=False)
        except Exception as error:  # jinja's own errors, and whatever a template raises on purpose
            raise TemplateError(
                f"--tokenizer {self.name}: its chat template refuses a conversation ({error}); {_INSTEAD}"
            ) from error


def _openai(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        plain["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": json.loads(json.dumps(call.arguments))}}
            for call in message.calls
        ]
    return plain
