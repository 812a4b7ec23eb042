"""The official `bfcl-eval` at work, inside the sandbox: its inference loop, its decoders, its checkers.

Nothing of it touches a model's text outside of the sandbox, and its two `eval`s are replaced (`bfcl_literals`). The text is
decoded in one task and judged in another, which sees the decoded data only, as a literal. A sandbox keeps nothing
between jobs: a conversation is replayed from the model's replies so far until the loop wants the next one. Imported by
the sandbox's workers only.

The package's `model_config` imports every vendor's SDK and is only read for one switch: a stub replaces it.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

PROMPT, TOOLS = "prompt", "tools"

_stub = types.ModuleType("bfcl_eval.constants.model_config")
# Function names with dots are sent with underscores in tools mode, where APIs forbid dots, as for the package's FC models.
_stub.MODEL_CONFIG_MAPPING = {mode: types.SimpleNamespace(underscore_to_dot=mode == TOOLS) for mode in (PROMPT, TOOLS)}
sys.modules.setdefault(_stub.__name__, _stub)

from bfcl_eval.constants.enums import Language, ModelStyle, ReturnFormat  # noqa: E402
from bfcl_eval.eval_checker import eval_runner as official  # noqa: E402
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils as official_tools  # noqa: E402
from bfcl_eval.model_handler import utils as official_decoders  # noqa: E402
from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler  # noqa: E402
from bfcl_eval.model_handler.base_handler import BaseHandler  # noqa: E402
from openai.types.chat import ChatCompletion  # noqa: E402

from awpo_ext.evaluate.bfcl_literals import call_method, compute  # noqa: E402

official_decoders.eval = compute
official_tools.eval = lambda text: call_method(text, vars(official_tools))

_LANGUAGES = {
    "simple_java": (Language.JAVA, ReturnFormat.JAVA),
    "simple_javascript": (Language.JAVASCRIPT, ReturnFormat.JAVASCRIPT),
}


class _NeedsReply(BaseException):
    """The loop wants the model's next reply. Not an Exception: the package catches those."""


class ReplayHandler(OpenAICompletionsHandler):
    """The package's handler of OpenAI-compatible endpoints, answered from a list instead of by its own client."""

    def __init__(self, mode: str, replies: list[Mapping[str, Any]]) -> None:
        BaseHandler.__init__(self, mode, 0.001, mode, is_fc_model=mode == TOOLS)
        self.model_style = ModelStyle.OPENAI_COMPLETIONS
        self._replies = iter(replies)

    def generate_with_backoff(self, **request: Any) -> tuple[ChatCompletion, float]:
        reply = next(self._replies, None)
        if reply is None:
            raise _NeedsReply(
                {"messages": [_plain(item) for item in request["messages"]], "tools": request.get("tools")}
            )
        return _completion(reply), reply["seconds"]

    def _parse_query_response_prompting(self, api_response: Any) -> dict[str, Any]:
        """As the package's handlers of thinking models do: what comes before `</think>` is not part of the answer."""
        parsed = super()._parse_query_response_prompting(api_response)
        text = parsed["model_responses"] or ""
        answer = text.split("</think>")[-1].lstrip("\n") if "</think>" in text else text
        return {
            **parsed,
            "model_responses": answer,
            "model_responses_message_for_chat_history": {"role": "assistant", "content": answer},
        }


def ready(_: None) -> bool:
    """True: the package is imported and a task can be run."""
    return True


def advance(job: Mapping[str, Any]) -> dict[str, Any]:
    """{entry, mode, replies} -> {"request": {messages, tools}}, or {"result", "metadata"} at the conversation's end."""
    handler = ReplayHandler(job["mode"], job["replies"])
    try:
        result, metadata = handler.inference(deepcopy(job["entry"]), include_input_log=False, exclude_state_log=True)
    except _NeedsReply as need:
        return {"request": need.args[0]}
    kept = ("input_token_count", "output_token_count", "latency", "reasoning_content")
    return {"result": result, "metadata": {key: metadata[key] for key in kept if key in metadata}}


def decode(job: Mapping[str, Any]) -> str:
    """{result, mode, category} -> what the package's decoder reads in it, for `check`: a literal of Python's.

    A step is {"value": decoded} or {"error": why}; a multi-turn result is the list of each turn's steps.
    """
    handler, result, category = ReplayHandler(job["mode"], []), job["result"], job["category"]
    if not category.startswith("multi_turn"):
        _, form = _language(category)
        return repr(_step(lambda: handler.decode_ast(result, form, has_tool_call_tag=False)))
    if not isinstance(result, list):
        return repr(None)
    return repr([[_step(lambda item=item: handler.decode_execute(item, False)) for item in turn] for turn in result])


def check(job: Mapping[str, Any]) -> dict[str, Any]:
    """{entry, truth, decoded, mode, category} -> {"valid", "reason"} by the package's own evaluation of one entry."""
    mode, category, entry, truth = job["mode"], job["category"], job["entry"], job["truth"]
    handler = _DecodedHandler(mode, [])
    try:
        decoded = ast.literal_eval(job["decoded"])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        decoded = {"error": "what was decoded is not data"}
    if "relevance" in category:
        verdict = official._evaluate_single_relevance_entry(handler, entry["id"], decoded, entry, mode, category)
    elif category.startswith("multi_turn"):
        verdict = official._evaluate_single_multi_turn_entry(
            handler, entry["id"], decoded, truth, entry, mode, category
        )
    else:
        language, form = _language(category)
        verdict = official._evaluate_single_ast_entry(
            handler, entry["id"], decoded, truth, entry, mode, category, language=language, return_format=form
        )
    if verdict["valid"]:
        return {"valid": True, "reason": "valid"}
    error = verdict.get("error")
    kind = verdict.get("error_type") or (error.get("error_type") if isinstance(error, dict) else None)
    return {"valid": False, "reason": str(kind or "invalid")}


class _DecodedHandler(ReplayHandler):
    """Gives the package's evaluation what `decode` has read, in the place of a text."""

    def decode_ast(self, result: Any, language: Any, has_tool_call_tag: bool) -> Any:
        if set(result) != {"value"}:
            raise ValueError(str(result.get("error"))[:500])
        return result["value"]

    def decode_execute(self, result: Any, has_tool_call_tag: bool) -> list[str]:
        calls = self.decode_ast(result, None, has_tool_call_tag)
        if not isinstance(calls, list) or not all(isinstance(call, str) for call in calls):
            raise ValueError("not a list of calls")
        return calls


def _language(category: str) -> tuple[Language, ReturnFormat]:
    return _LANGUAGES.get(category, (Language.PYTHON, ReturnFormat.PYTHON))


def _step(read: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": read()}
    except MemoryError:
        raise
    except Exception as error:
        return {"error": str(error)}


def _plain(message: Any) -> dict[str, Any]:
    if isinstance(message, dict):
        return message
    return message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})


def _completion(reply: Mapping[str, Any]) -> ChatCompletion:
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in reply["tool_calls"]
    ]
    message = {"role": "assistant", "content": reply["text"], "tool_calls": calls or None}
    if reply["reasoning"]:
        message["reasoning_content"] = reply["reasoning"]
    prompt, written = reply["prompt_tokens"], reply["completion_tokens"]
    usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return ChatCompletion.model_validate(
        {"id": "x", "object": "chat.completion", "created": 0, "model": "x", "choices": [choice], "usage": usage}
    )
