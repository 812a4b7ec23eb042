"""Texts per second of the parser by dialect, and of the whole reward: python benchmarks/parsing.py [--dialects hermes,glm]

Each text has a thought of a few sentences and one call or two with typical arguments, and is read with the row's tools.
`named` is with the dialect given, `auto` with it found, `reward` is `compute_score` with `strict` and no judge, each text
new to it. All are timed in turn with an anchor, `json.loads` of the same thought and calls as a message; `x json` is the
time of `named` and of `reward` in times of the anchor, the median of the rounds: the figures to compare on a busy machine.
Rates are of the fastest round, in CPU time of one core.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Callable, Sequence
from statistics import median

from reward_models.parsing import DIALECTS, ToolCall, parse_response, render_response
from reward_models.reward import compute_score

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
COUNTS = (1, 2, 1, 1)  # one call is more common than two
PASSES = 10


def timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def message(calls: Sequence[ToolCall]) -> str:
    found = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return json.dumps({"thought": THOUGHT, "calls": found}, ensure_ascii=False)


def rounds(name: str, number: int) -> list[tuple[float, float, float, float]]:
    """Seconds of the anchor, named, auto and reward in each of `number` rounds, after one that is not counted."""
    wanted = [CALLS[:count] for count in COUNTS]
    texts = [render_response(calls, name, THOUGHT, tools=TOOLS) for calls in wanted]
    anchors = [message(calls) for calls in wanted]
    truths = [json.dumps([{"name": call.name, "arguments": call.arguments} for call in calls]) for calls in wanted]
    marks = itertools.count()

    async def reward(rows: list[tuple[str, str]]) -> None:
        for text, truth in rows:
            extra = {"tools": TOOLS, "question": "", "index": 0}
            kwargs = {"verifier": "strict", "verifier_kwargs": {"dialect": name}, "judge": "none"}
            found = await compute_score("b", text, truth, extra, **kwargs)
            assert found["score"] == 4.0

    def new_rows() -> list[tuple[str, str]]:
        numbered = itertools.product(range(PASSES), zip(texts, truths, strict=True))
        return [(text.replace("Nothing", f"{next(marks)}: nothing"), truth) for _, (text, truth) in numbered]

    seconds = []
    loop = asyncio.new_event_loop()
    for _ in range(number + 1):
        rows = new_rows()
        seconds.append(
            (
                timed(lambda: [json.loads(text) for _ in range(PASSES) for text in anchors]),
                timed(lambda: [parse_response(t, name, tools=TOOLS) for _ in range(PASSES) for t in texts]),
                timed(lambda: [parse_response(t, "auto", tools=TOOLS) for _ in range(PASSES) for t in texts]),
                timed(lambda rows=rows: loop.run_until_complete(reward(rows))),
            )
        )
    loop.close()
    return seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialects", default=",".join(DIALECTS))
    parser.add_argument("--rounds", type=int, default=150)
    options = parser.parse_args()
    print(
        f"{'dialect':12} {'json/s':>9} {'named/s':>9} {'auto/s':>9} {'reward/s':>9} {'x json: named':>13} {'reward':>7}"
    )
    for name in options.dialects.split(","):
        seconds = rounds(name, options.rounds)
        fastest = [PASSES * len(COUNTS) / min(column) for column in zip(*seconds, strict=True)]
        named, reward = (median(row[column] / row[0] for row in seconds) for column in (1, 3))
        rates = " ".join(f"{rate:9,.0f}" for rate in fastest)
        print(f"{name:12} {rates} {named:13.1f} {reward:7.1f}", flush=True)


if __name__ == "__main__":
    main()
