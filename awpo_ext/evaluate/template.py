"""Does the served chat template show the model its tools, and its own earlier calls? Counted in prompt tokens.

Many templates drop `tools=` without a word; a benchmark in tools mode would then measure a model that sees none.
"""

from __future__ import annotations

from typing import Any

from awpo_ext.evaluate.chat import Chat
from awpo_ext.evaluate.errors import EvalError, NoAnswer, TryLater

_ASK = [{"role": "user", "content": "What is the weather in Oslo?"}]
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather_forecast",
        "description": "The weather forecast of a city for the coming days.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "The city."}}},
    },
}


def check_tools(chat: Chat) -> None:
    """EvalError where the endpoint takes no tools, or its template drops them or the calls of earlier turns."""
    fix = "use --mode prompt, or serve it with another --chat-template"
    try:
        bare, shown = _tokens(chat, _ASK), _tokens(chat, _ASK, [_TOOL])
        if 0 < shown <= bare:
            raise EvalError(
                f"the chat template of {chat.model!r} drops `tools` (the prompt stays {bare} tokens); {fix}"
            )
        short, long = (_tokens(chat, _called(city), [_TOOL]) for city in ("Oslo", "Oslo " * 60))
        if 0 < long <= short + 30:
            raise EvalError(f"the chat template of {chat.model!r} drops the tool calls of earlier turns; {fix}")
    except NoAnswer as error:
        raise EvalError(
            f"the endpoint refuses a request with tools ({error}); vLLM needs --enable-auto-tool-choice and "
            "--tool-call-parser (with --checkpoint: --tool-parser hermes, or the model's own)"
        ) from None
    except TryLater as error:
        raise EvalError(f"the endpoint does not answer a request with tools ({error})") from None


def _called(city: str) -> list[dict[str, Any]]:
    call = {"name": "get_weather_forecast", "arguments": f'{{"city": "{city}"}}'}
    return [
        *_ASK,
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]


def _tokens(chat: Chat, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> int:
    return chat.ask(messages, tools, max_tokens=1).prompt_tokens
