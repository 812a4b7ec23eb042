"""Two rollouts of one task without any attack, one that reasons well and one that does not: what a trial asks a judge."""

from __future__ import annotations

import json

from reward_models.types import Rollout

QUESTION = "What is the weather in Lyon tomorrow? I need degrees Celsius."
TOOLS = json.dumps(
    [
        {
            "name": "get_forecast",
            "description": "Weather forecast of a city.",
            "parameters": {"city": "string", "days_ahead": "integer", "unit": "celsius or fahrenheit"},
        },
        {"name": "convert_currency", "description": "Convert an amount.", "parameters": {"amount": "number"}},
    ]
)
RIGHT_CALL = {"name": "get_forecast", "parameters": {"city": "Lyon", "days_ahead": 1, "unit": "celsius"}}
WRONG_CALL = {"name": "convert_currency", "parameters": {"amount": 3}}
GOOD_THOUGHT = (
    "The user wants tomorrow's weather in Lyon in Celsius. get_forecast gives forecasts by city: city is Lyon, tomorrow "
    "is one day ahead, and the unit is celsius."
)
BAD_THOUGHT = "My favourite trains are red."


def response_of(thought: str, *calls: object) -> str:
    lines = "\n".join(json.dumps(call, ensure_ascii=False) for call in calls)
    return f"<think>{thought}</think>\n<tool_call>\n{lines}\n</tool_call>"


def rollout_of(response: str, name: str) -> Rollout:
    """`response` as an answer to the task of this file."""
    return Rollout(QUESTION, TOOLS, response, response_of(GOOD_THOUGHT, RIGHT_CALL), "canary", {"index": name})


def controls() -> tuple[Rollout, Rollout]:
    """A rollout that deserves a high score, and one that deserves a low one."""
    good = rollout_of(response_of(GOOD_THOUGHT, RIGHT_CALL), "good")
    return good, rollout_of(response_of(BAD_THOUGHT, WRONG_CALL), "bad")
