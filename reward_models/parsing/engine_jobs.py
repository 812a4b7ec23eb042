"""What runs in the sandbox for `vllm:<parser>` and `verl:<parser>`: the only place that imports either, when asked.

There is no tokenizer of the model here: one stands in that knows any token by its text. A parser that needs the model's own
cannot be used this way.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any


class AnyVocabulary(dict[str, int]):
    """Has every text as a token; ids are given as they are asked for."""

    def __missing__(self, token: str) -> int:
        self[token] = 1_000_000 + len(self)
        return self[token]

    def get(self, token: str, default: Any = None) -> int:
        return self[token]

    def __contains__(self, token: object) -> bool:
        return True


class TextTokenizer:
    """A tokenizer whose ids below 1,000,000 are code points, with the names that parsers ask tokenizers for."""

    pad_token = eos_token = ""
    all_special_tokens: tuple[str, ...] = ()
    is_fast = True

    def __init__(self) -> None:
        self.vocab = AnyVocabulary()

    def get_vocab(self) -> dict[str, int]:
        return self.vocab

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.vocab[token]

    def encode(self, text: str, **_: Any) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(map(chr, ids))


def run_vllm(payload: dict[str, Any]) -> dict[str, Any]:
    """The calls and the content that vLLM's tool parser finds, or why it cannot be used at all ("refused").

    What it raises about the text is the sandbox's to report.
    """
    tools = [_definition(tool) for tool in payload["tools"]]
    try:
        protocol = importlib.import_module("vllm.entrypoints.openai.chat_completion.protocol")
        manager = importlib.import_module("vllm.tool_parsers").ToolParserManager
        messages = [{"role": "user", "content": ""}]
        request = protocol.ChatCompletionRequest(model="m", messages=messages, tools=tools or None)
        parser = manager.get_tool_parser(payload["parser"])(TextTokenizer(), request.tools)
    except Exception as error:
        return _refused("vllm", error)
    # Some parsers leave calls alone without tools; here the calls are what is asked for.
    request.tool_choice = "auto"
    try:
        found = parser.extract_tool_calls(payload["text"], request)
    except NotImplementedError as error:
        return _refused("vllm", error)
    calls = [[call.function.name, call.function.arguments] for call in found.tool_calls]
    return {"calls": calls, "content": found.content}


def run_verl(payload: dict[str, Any]) -> dict[str, Any]:
    """The same with the tool parser of verl's agent loop."""
    tokenizer = TextTokenizer()
    try:
        module = importlib.import_module("verl.experimental.agent_loop.tool_parser")
        schema = importlib.import_module("verl.tools.schemas").OpenAIFunctionToolSchema
        parser = module.ToolParser.get_tool_parser(payload["parser"], tokenizer)
        tools = [schema.model_validate(_definition(tool)) for tool in payload["tools"]]
    except Exception as error:
        return _refused("verl", error)
    content, calls = asyncio.run(parser.extract_tool_calls(tokenizer.encode(payload["text"]), tools))
    return {"calls": [[call.name, call.arguments] for call in calls], "content": content}


def _refused(engine: str, error: Exception) -> dict[str, str]:
    return {"refused": f"{type(error).__name__}: {error}; known: {', '.join(known_parsers(engine))}"}


def known_parsers(engine: str) -> list[str]:
    """The names of an engine's parsers."""
    if engine == "verl":
        return sorted(importlib.import_module("verl.experimental.agent_loop.tool_parser").ToolParser._registry)
    manager = importlib.import_module("vllm.tool_parsers").ToolParserManager
    return sorted({*manager.tool_parsers, *manager.lazy_parsers})


def _definition(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool["function"] if isinstance(tool.get("function"), dict) else tool
    parameters = json.loads(json.dumps(function.get("parameters") or {}))
    if "properties" not in parameters:
        parameters = {"type": "object", "properties": parameters if "type" not in parameters else {}}
    return {
        "type": "function",
        "function": {
            "name": function["name"],
            "description": str(function.get("description") or ""),
            "parameters": {"required": [], **parameters, "type": "object"},
        },
    }
