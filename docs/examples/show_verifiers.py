"""What each verifier says of the same responses to one row, and why: python docs/examples/show_verifiers.py

Prints the tables of docs/verifiers.md.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the sandbox's workers import the tools by name

from reward_models import Rollout
from reward_models.verifiers import make_verifier

TOOL = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
    },
}
ANSWERS = [{"get_weather": {"city": ["Paris"], "unit": ["celsius", ""]}}]  # "": may be left out


def response(*calls: dict, thought: str = "The user wants the weather in Paris.") -> str:
    lines = "\n".join(json.dumps({"name": "get_weather", "parameters": call}) for call in calls)
    return f"<think>{thought}</think>\n<tool_call>\n{lines}\n</tool_call>"


PARIS = {"city": "Paris", "unit": "celsius"}
RESPONSES = {
    "right": response(PARIS),
    "right, the optional argument left out": response({"city": "Paris"}),
    "right, written otherwise": response({"city": "paris "}),
    "wrong city": response({"city": "Rome", "unit": "celsius"}),
    "an argument that the tool does not have": response({**PARIS, "days": 3}),
    "right, and nine other calls": response(PARIS, *[{"city": f"City {i}"} for i in range(9)]),
    "the same call twice": response(PARIS, PARIS),
    "the call stands in the thought only": "<think>" + response(PARIS) + "</think>\n<response>It is sunny.</response>",
    "an answer, no call": "<think>I know it.</think>\n<response>It is sunny.</response>",
    "broken JSON": "<think>x</think>\n<tool_call>\n{'name': get_weather}\n</tool_call>",
}
VERIFIERS = {
    "toolrl": {},
    "strict": {"dialect": "toolrl"},
    "ast": {"dialect": "toolrl"},
    "exec": {"dialect": "toolrl", "tools_module": "weather"},
    "format": {"dialect": "toolrl"},
    "composite": {
        "parts": {"format": 1, "ast": 3},
        "options": {"ast": {"dialect": "toolrl"}},
        "gates": {"ast": "format"},
    },
}


def main() -> None:
    verifiers = {name: make_verifier(name, **options) for name, options in VERIFIERS.items()}
    print("| response | " + " | ".join(f"`{name}`" for name in verifiers) + " |\n|---" + "|---" * len(verifiers) + "|")
    ranges = (f"[{v.outcome_range[0]:g}, {v.outcome_range[1]:g}]" for v in verifiers.values())
    print("| *range* | " + " | ".join(ranges) + " |")
    for what, text in RESPONSES.items():
        row = Rollout(
            question="What is the weather in Paris?",
            tools=json.dumps([TOOL]),
            response=text,
            ground_truth=response(PARIS, thought=" "),
            data_source="docs",
            extra_info={"possible_answer": json.dumps(ANSWERS)},
        )
        outcomes = (verifier.verify(row) for verifier in verifiers.values())
        print(f"| {what} | " + " | ".join(f"{o.outcome:g} {o.reason}" for o in outcomes) + " |")

    print("\n| turns | `state` |\n|---|---|")
    state = make_verifier("state", dialect="python", classes={"Thermostat": "weather:Thermostat"})
    truth = {
        "involved_classes": ["Thermostat"],
        "initial_config": {"Thermostat": {}},
        "turns": [["set_target(degrees=22)"], []],
    }
    for turns in (
        ["[set_target(degrees=22)]", "It is set to 22 degrees."],
        ["[set_target(degrees=25), set_target(degrees=22)]", "It is set to 22 degrees."],
        ["[set_target(degrees=25)]", "It is set."],
        ["[set_target(degrees=22)]", "[set_target(degrees=30)]"],
    ):
        row = Rollout("", "", "", json.dumps(truth), "docs", extra_info={"turns": turns})
        outcome = state.verify(row)
        print(f"| `{turns[0]}`, then `{turns[1]}` | {outcome.outcome:g} {outcome.reason} |")


if __name__ == "__main__":
    main()
