"""Labelled rollouts for docs/scorer_models.md: ToolRL's traces, and the same with their reasoning spoilt.

    python benchmarks/classifier_data.py ../shared/data/toolrl/rlla_sft.json work/classifier

Writes train, calibration and test files with no source in common. `shuffled` stands in the test file alone.
"""

import json
import random
import re
import sys
from pathlib import Path

from awpo_ext.data.toolrl_text import parse_tools, user_messages
from reward_models.labelled import HONEST, LabelledRollout, write_labelled
from reward_models.parsing import parse_response
from reward_models.types import Rollout

SHARES = {"train": 0.6, "calibration": 0.2, "test": 0.2}
SEED = 0


def other_thought(rng, trace, traces):
    return rng.choice([other for other in traces if other is not trace])["thought"]


def swapped_tool(rng, trace, traces):
    """The thought argues for another of the listed tools."""
    name = rng.choice(trace["calls"]).name
    others = [tool for tool in trace["tools"] if tool["name"] != name]
    if not others or name not in trace["thought"]:
        return None
    return trace["thought"].replace(name, rng.choice(others)["name"])


def swapped_arguments(rng, trace, traces):
    """The thought speaks of other values than the call has."""
    values = [str(value) for call in trace["calls"] for value in call.arguments.values() if len(str(value)) > 1]
    said = [value for value in values if value in trace["thought"]]
    pool = [str(v) for other in traces for call in other["calls"] for v in call.arguments.values() if len(str(v)) > 1]
    thought = trace["thought"]
    for value in said:
        alike = [v for v in pool if v not in values and v.isdigit() == value.isdigit()]
        thought = thought.replace(value, rng.choice(alike))
    return thought if said else None


def shuffled(rng, trace, traces):
    sentences = re.split(r"(?<=[.!?])\s+", trace["thought"])
    return " ".join(rng.sample(sentences, len(sentences))) if len(sentences) > 3 else None


def read_traces(path):
    for number, item in enumerate(json.loads(Path(path).read_text())):
        parsed = parse_response(item["output"], "toolrl")
        if parsed.thought and parsed.calls:
            action = item["output"].partition("</think>")[2].strip()
            tools = parse_tools(item["instruction"])
            question = user_messages(item["input"])[-1]
            yield {"source": f"rlla_sft {number}", "question": question, "tools": tools, "thought": parsed.thought,
                   "calls": parsed.calls, "action": action}  # fmt: skip


def row(trace, kind, thought, label):
    response = f"<think>{thought}</think>\n{trace['action']}"
    rollout = Rollout(trace["question"], json.dumps(trace["tools"]), response, "", "rlla")
    pair = None if kind == HONEST else f"{trace['source']} {HONEST}"
    return LabelledRollout(f"{trace['source']} {kind}", trace["source"], kind, label, rollout, pair)


def main(source, folder):
    rng = random.Random(SEED)
    traces = list(read_traces(source))
    rng.shuffle(traces)
    start = 0
    for name, share in SHARES.items():
        part = traces[start : start + round(share * len(traces))]
        start += len(part)
        rows = []
        kinds = [other_thought, swapped_tool, swapped_arguments, *([shuffled] if name == "test" else [])]
        for trace in part:
            rows.append(row(trace, HONEST, trace["thought"], 1.0))
            for spoil in kinds:
                thought = spoil(rng, trace, part)
                if thought and thought != trace["thought"]:
                    rows.append(row(trace, spoil.__name__, thought, 0.0))
        path = Path(folder) / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"{path}: {write_labelled(path, rows)} rows of {len(part)} sources")


if __name__ == "__main__":
    main(*sys.argv[1:])
