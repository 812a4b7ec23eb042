"""The project's own reward function behind a random model: what it writes becomes the thought of a well-formed step.

A random model writes no thought and no call, so no judge would be asked. Here its text is the thought, and whether the
call is right follows from the text's hash: verifier, judge, client and columns are the real ones.
"""

import asyncio
import hashlib
import json
from pathlib import Path

from reward_models import reward


def as_step(response: str, ground_truth: str) -> str:
    """A thought and a call: the right one, one with a wrong argument, one of another tool, or a broken one."""
    kind = hashlib.sha256(response.encode("utf-8", "surrogatepass")).digest()[0] % 4
    call = json.loads(ground_truth.partition("<tool_call>")[2].partition("</tool_call>")[0])
    if kind == 1:
        call["parameters"]["b"] = 99
    if kind == 2:
        call["name"] = "subtract"
    text = json.dumps(call) if kind < 3 else "{"
    return f"<think>I think {response}</think>\n<tool_call>\n{text}\n</tool_call>"


async def compute_score(data_source, solution_str, ground_truth, extra_info=None, *, columns="", hold="", **kwargs):
    """`columns`: a file that gets a line with each rollout's columns; while the file `hold` is there, nothing is judged."""
    while hold and Path(hold).exists():
        await asyncio.sleep(0.1)
    step = as_step(solution_str, ground_truth)
    found = await reward.compute_score(data_source, step, ground_truth, extra_info, **kwargs)
    if columns:
        line = {"index": extra_info["index"], "response": solution_str, "ground_truth": ground_truth, **found}
        with open(columns, "a") as file:
            file.write(json.dumps(line) + "\n")
    return found


def _without_own(function):
    return lambda columns="", hold="", **kwargs: function(**kwargs)


compute_score.preflight = _without_own(reward.preflight)
compute_score.outcome_range = _without_own(reward.outcome_range)
