"""The texts of made-up runs: requests, tools, expected calls, responses in the dialect `hermes`, a judge's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

CITIES = ("Lisbon", "Oslo", "Kyoto", "Quito", "Tromsø", "Nairobi")
PEOPLE = ("Ada", "Grace", "Emmy", "Alan", "Kurt")


def _tool(name: str, description: str, required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = (
    _tool("get_weather", "The forecast for a city.", ("city", "days"), city={"type": "string"}, days={"type": "integer"},
          units={"type": "string", "enum": ["metric", "imperial"]}),
    _tool("book_table", "Reserve a table at a restaurant.", ("city", "people", "time"), city={"type": "string"},
          people={"type": "integer"}, time={"type": "string"}, note={"type": "string"}),
    _tool("convert", "Convert an amount of money.", ("amount", "source", "target"), amount={"type": "number"},
          source={"type": "string"}, target={"type": "string"}),
    _tool("send_message", "Send a message to a contact.", ("to", "text"), to={"type": "string"}, text={"type": "string"}),
)  # fmt: skip
OPTIONAL = {"get_weather": "units", "book_table": "note"}


@dataclass(frozen=True)
class Task:
    question: str
    calls: tuple[tuple[str, dict[str, Any]], ...]  # what is right
    ground_truth: str  # what the data says
    tools: str = json.dumps(list(TOOLS))


def make_task(rng: np.random.Generator, null: bool = False) -> Task:
    """A request for one or two calls; with `null`, the ground truth fills in optional arguments that nobody asked for."""
    made = [_MAKERS[k](rng) for k in rng.choice(len(_MAKERS), size=1 + int(rng.random() < 0.4), replace=False)]
    calls = tuple(call for _, call in made)
    stored = [
        {"name": name, "arguments": {**arguments, **({OPTIONAL[name]: None} if null and name in OPTIONAL else {})}}
        for name, arguments in calls
    ]
    return Task(" ".join(text for text, _ in made), calls, json.dumps(stored))


def _weather(rng: np.random.Generator) -> tuple[str, tuple[str, dict[str, Any]]]:
    city, days = str(rng.choice(CITIES)), int(rng.integers(1, 8))
    return f"What will the weather be in {city} for the next {days} days?", (
        "get_weather",
        {"city": city, "days": days},
    )


def _table(rng: np.random.Generator) -> tuple[str, tuple[str, dict[str, Any]]]:
    city, people, hour = str(rng.choice(CITIES)), int(rng.integers(2, 9)), int(rng.integers(17, 22))
    arguments = {"city": city, "people": people, "time": f"{hour}:30"}
    return f"Reserve a table for {people} in {city} at half past {hour - 12} in the evening.", ("book_table", arguments)


def _convert(rng: np.random.Generator) -> tuple[str, tuple[str, dict[str, Any]]]:
    amount, pair = float(rng.integers(10, 900)), rng.choice(["EUR", "USD", "JPY", "NOK"], size=2, replace=False)
    arguments = {"amount": amount, "source": str(pair[0]), "target": str(pair[1])}
    return f"How much is {amount:g} {pair[0]} in {pair[1]}?", ("convert", arguments)


def _message(rng: np.random.Generator) -> tuple[str, tuple[str, dict[str, Any]]]:
    to, text = str(rng.choice(PEOPLE)), str(rng.choice(["I am late", "see you at noon", "the train is on time"]))
    return f"Tell {to}: {text}.", ("send_message", {"to": to, "text": text})


_MAKERS = (_weather, _table, _convert, _message)


def make_response(rng: np.random.Generator, task: Task, skill: float) -> tuple[str, float]:
    """A response, and how well it reasons, in [0, 1]. With `skill` grows the share of right calls and of good thoughts."""
    good, fluff = rng.random() < skill, int(rng.integers(0, 5))
    thought = [f"The user asks: {task.question}"] if good else ["Let me think about which tool could help here."]
    calls = []
    for name, right in task.calls:
        arguments = dict(right)
        if rng.random() > (1.1 * skill if good else 0.5 * skill):
            arguments = _spoiled(rng, arguments)
        if good:
            told = ", ".join(f"{key} is {value}" for key, value in right.items())
            thought.append(f"{name} fits, because its arguments are all given: {told}.")
        calls.append(json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False))
    thought += ["This is an excellent plan, and every step of it is carefully considered and verified."] * fluff
    if rng.random() > skill + 0.1:
        calls = calls[:-1] if len(calls) > 1 and rng.random() < 0.5 else [*calls, calls[0]]
    blocks = "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls)
    if rng.random() < 0.04:
        blocks = blocks.replace("}\n</tool_call>", "", 1)
    quality = 0.35 + 0.5 * good - 0.03 * fluff
    return f"<think>\n{chr(10).join(thought)}\n</think>\n{blocks}", float(np.clip(quality, 0, 1))


def _spoiled(rng: np.random.Generator, arguments: dict[str, Any]) -> dict[str, Any]:
    key = str(rng.choice(list(arguments)))
    value = arguments[key]
    if rng.random() < 0.2:
        return {name: one for name, one in arguments.items() if name != key}
    wrong = str(value) if isinstance(value, (int, float)) and rng.random() < 0.5 else _other(value)
    return {**arguments, key: wrong}


def _other(value: Any) -> Any:
    return value + 1 if isinstance(value, (int, float)) else f"{value}!"


def judge_words(rng: np.random.Generator, score: float, readable: bool) -> str:
    told = {
        0: "The thought does not look at the request. It names no argument and could stand before any call.",
        1: "The thought names the tool, but some arguments are not derived from the request.",
        2: "Every argument of the call is derived from the request, and the choice of the tool is explained.",
    }[min(2, int(score * 3))]
    verdict = f"Score: {10 * score:.0f}/10" if readable else "I would rate this somewhere between an eight and a nine."
    return f"{told}\n\n{verdict}"
