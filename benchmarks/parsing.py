"""Texts per second of the response parser, by dialect: python benchmarks/parsing.py [--dialects hermes,glm]

Each text has a thought of a few sentences and one call or two with typical arguments, and is read with the row's tools.
`named` is with the dialect given, `auto` with it found; the ratio is to `hermes` in the same run. Medians of CPU time.
"""

import argparse
import time
from statistics import median

from reward_models.parsing import DIALECTS, ToolCall, parse_response, render_response

THOUGHT = (
    "The user asks for the weather in two cities over the next days and wants it in metric units. "
    "The tool get_weather takes a city, a number of days and a flag for the units, so I call it for each city. "
    "Nothing else is needed before I can answer."
)
CALLS = [
    ToolCall("get_weather", {"city": "São Paulo", "days": 3, "metric": True, "fields": ["rain", "wind"]}),
    ToolCall("get_weather", {"city": "Reykjavík", "days": 5, "metric": True, "fields": []}),
]
TOOLS = """[{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {
"city": {"type": "string"}, "days": {"type": "integer"}, "metric": {"type": "boolean"}, "fields": {"type": "array"}}}}}]"""


def texts_per_second(dialect: str, texts: list[str], repeats: int = 7, rounds: int = 300) -> float:
    """The median over `repeats` passes of `rounds` times all texts, after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.thread_time()
        for _ in range(rounds):
            for text in texts:
                parse_response(text, dialect, tools=TOOLS)
        seconds.append(time.thread_time() - started)
    return rounds * len(texts) / median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialects", default=",".join(DIALECTS))
    names = parser.parse_args().dialects.split(",")
    base = None
    for name in dict.fromkeys(["hermes", *names]):
        texts = [render_response(CALLS[:count], name, THOUGHT, tools=TOOLS) for count in (1, 2)]
        texts += [texts[0]] * 2  # one call is more common than two
        named, auto = texts_per_second(name, texts), texts_per_second("auto", texts)
        base = base or named
        print(f"{name:12} named {named:8,.0f}/s  auto {auto:8,.0f}/s  ratio to hermes {named / base:.2f}")


if __name__ == "__main__":
    main()
