"""What the sandbox runs for verifiers: calls of tool functions, and turns of calls of stateful tools.

A call is {"name": .., "arguments": {..}}, with "positional": [..] where it has such. Its result is
["returned", snapshot] or ["raised", the exception's class, message]. Whatever a call raises is its result and the next
one runs, but for MemoryError, which ends the task.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from reward_models.sandbox.snapshot import NotComparable, public_state, same, snapshot
from reward_models.sandbox.tools import methods_of, tools_of

RETURNED, RAISED = "returned", "raised"
UNKNOWN_TOOL = "UnknownTool"

MAX_MESSAGE = 500
MAX_ANSWER = 20_000


def check_tools(payload: Mapping[str, Any]) -> None:
    """Raise ValueError or AttributeError where one of `payload["modules"]` has no tools or one of "classes" is missing."""
    for module in payload["modules"]:
        tools_of(importlib.import_module(module))
    for target in payload["classes"]:
        _class(target)


def run_calls(payload: Mapping[str, Any]) -> list[Any]:
    """The results of `payload["calls"]`, one after the other, by the functions of `payload["module"]`."""
    tools = tools_of(importlib.import_module(payload["module"]))
    return [_call(tools, call) for call in payload["calls"]]


def run_turns(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Results and state after each of `payload["turns"]`, on fresh instances of `payload["classes"]` (name: module:Class).

    An instance gets its part of `payload["initial_config"]` by `_load_scenario(config)` where it has that method, as
    BFCL's do, and as keyword arguments of its class otherwise, if that takes any (BFCL's stateless ones do not);
    `payload["long_context"]` is BFCL's flag for it. Each turn's state is {class: public attributes}, and only of the
    classes whose state is not that of the turn before.
    """
    instances = {
        name: _instance(target, payload["initial_config"].get(name, {}), payload["long_context"])
        for name, target in payload["classes"].items()
    }
    tools: dict[str, Callable[..., Any]] = {}
    for instance in instances.values():
        tools.update(methods_of(instance))
    turns, known = [], dict[str, Any]()
    for calls in payload["turns"]:
        results = [_call(tools, call) for call in calls]
        state = {name: public_state(instance) for name, instance in instances.items()}
        changed = {name: form for name, form in state.items() if not (name in known and same(known[name], form))}
        turns.append({"results": results, "state": changed})
        known = state
    return turns


def run_session(payload: Mapping[str, Any]) -> str:
    """What the last of `payload["calls"]` answers, as the text that a model reads, the others having run before it.

    They run on a fresh instance of `payload["target"]` (see `run_turns`), so a session needs no process of its own. A
    text is itself, anything else JSON, and what is raised "Error: <class>: <message>"; cut at MAX_ANSWER characters.
    """
    instance = _instance(payload["target"], payload["initial_config"], payload["long_context"])
    tools = methods_of(instance)
    *earlier, last = payload["calls"]
    for call in earlier:
        _call(tools, call)
    function = tools.get(last["name"])
    if function is None:
        return f"Error: {UNKNOWN_TOOL}: {last['name'][:MAX_MESSAGE]}"
    try:
        value = function(**last["arguments"])
        return (value if isinstance(value, str) else json.dumps(value, default=str))[:MAX_ANSWER]
    except MemoryError:
        raise
    except BaseException as error:
        return f"Error: {type(error).__name__}: {_message(error)}"


def _instance(target: str, config: Mapping[str, Any], long_context: bool) -> Any:
    cls = _class(target)
    config = copy.deepcopy(config)
    if not hasattr(cls, "_load_scenario"):
        return cls(**config) if inspect.signature(cls).parameters else cls()
    instance = cls()
    if long_context:
        instance._load_scenario(config, long_context=True)
    else:
        instance._load_scenario(config)
    return instance


def _class(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _call(tools: Mapping[str, Callable[..., Any]], call: Mapping[str, Any]) -> list[Any]:
    function = tools.get(call["name"])
    if function is None:
        return [RAISED, UNKNOWN_TOOL, ""]
    try:
        return [RETURNED, snapshot(function(*call.get("positional", ()), **call["arguments"]))]
    except MemoryError:
        raise
    except NotComparable as error:
        return [RAISED, NotComparable.__name__, str(error)]
    except BaseException as error:  # SystemExit as well: it is the tool's, not the worker's
        return [RAISED, type(error).__name__, _message(error)]


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE]
    except Exception:
        return ""
