"""The agent loop's record of the calls that it ran, which the verifier `state` scores where a row has it.

`extra_info["executed"]` is JSON: for each user turn the calls in their order, {"name", "arguments"} with an object, or
with null for one that was refused and not run (an unknown tool, arguments that are not an object). The loop
`awpo_tool_agent` writes it. `extra_info["tools_failed"]` is true where the loop's own tools could not run.
"""

from __future__ import annotations

import json
from typing import Any

from reward_models.sandbox import SandboxUnavailable
from reward_models.types import Rollout
from reward_models.verifiers.tools.state_truth import Call

EXECUTED, TOOLS_FAILED = "executed", "tools_failed"

# In the place of a call that was refused: no tool has the name, so nothing runs, and it counts as a call.
REFUSED: Call = {"name": "", "arguments": {}}


def executed_calls(rollout: Rollout, turns: int) -> list[list[Call]] | None:
    """The calls of each of the response's `turns` turns, None where there is no record.

    ValueError for a record of another form, SandboxUnavailable where the machinery failed in the trajectory.
    """
    if rollout.extra_info.get(TOOLS_FAILED):
        raise SandboxUnavailable("the agent loop's tools could not run in this trajectory")
    text = rollout.extra_info.get(EXECUTED)
    if text is None:
        return None
    try:
        calls = [[_call(item) for item in turn] for turn in json.loads(text)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"extra_info[{EXECUTED!r}] is not the agent loop's record: {error!r}") from error
    if len(calls) != turns:
        raise ValueError(f"extra_info[{EXECUTED!r}] has {len(calls)} turns, extra_info['turns'] {turns}")
    return calls


def _call(item: Any) -> Call:
    if item["arguments"] is None:
        return REFUSED
    if not isinstance(item["name"], str) or not isinstance(item["arguments"], dict):
        raise ValueError(f"not a call: {str(item)[:200]}")
    return {"name": item["name"], "arguments": item["arguments"]}
