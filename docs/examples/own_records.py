"""Records such as an application that calls tools may have kept: OpenAI's `messages` and `tools`, one a line.

    python docs/examples/own_records.py mine.jsonl 96
    python docs/examples/own_records.py test.jsonl 32 --seed 1

Made by a program, to try docs/your_own_data.md with: three tools, and every tenth question needs none of them.
"""

import argparse
import json
import random
from pathlib import Path

CITIES = [
    "Oslo",
    "Lagos",
    "Quito",
    "Hanoi",
    "Turin",
    "Perth",
    "Dakar",
    "Lyon",
    "Osaka",
    "Cusco",
    "Malmo",
    "Izmir",
    "Davao",
    "Natal",
    "Tampa",
    "Bergen",
]
DAYS = ("today", "tomorrow", "on Monday", "on Friday")
CURRENCIES = ("EUR", "JPY", "NOK", "CHF", "BRL")
THINGS = ["rice", "tea", "bread", "eggs", "laundry", "stew", "yoga", "pasta"]
SMALL_TALK = ("Thanks, that is all.", "Who wrote Hamlet?", "Good morning!", "What is a haiku?", "Tell me a joke.")


def tool(name: str, description: str, **types: str) -> dict:
    properties = {key: {"type": kind} for key, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    tool("get_weather", "The weather of a city on a day.", city="string", day="string"),
    tool("convert", "Convert US dollars into another currency.", dollars="integer", currency="string"),
    tool("set_timer", "Start a kitchen timer.", minutes="integer", label="string"),
]


def asked(draw: random.Random) -> tuple[str, str, dict]:
    """A question, the tool that answers it, and the arguments."""
    kind = draw.randrange(3)
    if kind == 0:
        city, day = draw.choice(CITIES), draw.choice(DAYS)
        words = draw.choice(
            ("What will the weather in {} be {}?", "Do I need an umbrella in {} {}?", "Is it cold in {} {}?")
        )
        return words.format(city, day), "get_weather", {"city": city, "day": day.removeprefix("on ")}
    if kind == 1:
        dollars, currency = draw.randrange(2, 999), draw.choice(CURRENCIES)
        words = draw.choice(
            ("How much are {} dollars in {}?", "Change {} dollars into {}.", "{} dollars: what is that in {}?")
        )
        return words.format(dollars, currency), "convert", {"dollars": dollars, "currency": currency}
    minutes, thing = draw.randrange(2, 90), draw.choice(THINGS)
    words = draw.choice(
        ("Set a timer of {} minutes for the {}.", "Wake me in {} minutes, for {}.", "{} minutes for {}, please.")
    )
    return words.format(minutes, thing), "set_timer", {"minutes": minutes, "label": thing}


def record(number: int, draw: random.Random) -> dict:
    if number % 10 == 9:
        messages = [
            {"role": "user", "content": draw.choice(SMALL_TALK)},
            {"role": "assistant", "content": "I can only help with weather, money and timers."},
        ]
        return {"messages": messages, "tools": TOOLS}
    question, name, arguments = asked(draw)
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    return {"messages": messages, "tools": TOOLS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("records", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    args.out.write_text("".join(json.dumps(record(i, draw)) + "\n" for i in range(args.records)), encoding="utf-8")


if __name__ == "__main__":
    main()
