"""One record of tool-call data in OpenAI's form, read and checked: `messages` and `tools`, each a list or its JSON text."""

from dataclasses import dataclass, replace
from typing import Any

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.json_text import json_list
from awpo_ext.data.forms.text_calls import read_said
from awpo_ext.data.sources.openai_messages import Message, merged, read_message
from awpo_ext.data.sources.openai_tools import compiled, read_tools
from awpo_ext.data.tools import Tool
from reward_models.verifiers.truth_check import drop_foreign_nulls


@dataclass(frozen=True)
class Conversation:
    """A record: its id where it has one, else "", and the tools that it offers."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    id: str = ""


def read_conversation(record: dict[str, Any], where: str, common_tools: tuple[Tool, ...] = ()) -> Conversation:
    """The record as a conversation; `common_tools` stand in where it has none of its own.

    Calls in the assistant's texts are read too, messages of the assistant in a row are one, and nulls with which parquet
    fills the arguments of other tools are left out. Raises OddRecord, with `where` and the field, for what cannot be read, and
    for a call of a tool that is not offered.
    """
    tools = read_tools(record.get("tools") or record.get("functions"), where) or common_tools
    if not tools:
        raise OddRecord("no tools", where, "give each record a field 'tools', or all of them --tools FILE")
    entries = json_list(record.get("messages"), where, "messages")
    if record.get("system"):  # Anthropic's place for it
        entries = [{"role": "system", "content": record["system"]}, *entries]
    read = [message for i, entry in enumerate(entries) for message in read_message(entry, f"{where}, messages[{i}]")]
    said = [_said(message, tools, where) for message in merged(read, where)]
    offered = {tool["name"] for tool in tools}
    for call in (call for message in said for call in message.calls):
        if call.name not in offered:
            detail = f"{call.name!r}, offered are {sorted(offered)}"
            raise OddRecord("a call of a tool that is not offered", where, detail)
    schemas = compiled(tools)
    messages = tuple(replace(message, calls=drop_foreign_nulls(message.calls, schemas)) for message in said)
    record_id = record.get("id")
    return Conversation(messages, tools, str(record_id) if record_id is not None else "")


def _said(message: Message, tools: tuple[Tool, ...], where: str) -> Message:
    """The assistant's message with the calls and the thought that its text holds."""
    if message.role != "assistant" or not message.content.strip():
        return message
    if not message.calls:
        said = read_said(message.content, tools, where)
        thought = message.reasoning or said.thought
        return replace(message, content=said.content, calls=said.calls, reasoning=thought)
    try:
        said = read_said(message.content, tools, where)
    except OddRecord:
        return message  # what it is to call is said by its calls
    if said.calls and said.calls != message.calls:
        raise OddRecord("calls in the text that are not those of the message", where, repr(message.content[:120]))
    return replace(message, content=said.content, reasoning=message.reasoning or said.thought)
