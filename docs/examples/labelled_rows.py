"""A small labelled set from rows of ToolRL's `rlla_sft.json`: each honest response, and six ways to spoil its thought.

    python docs/examples/labelled_rows.py ../shared/data/toolrl/rlla_sft.json rows.jsonl

For a first look at a judge. `awpo scorer data` makes sets with more kinds, and splits them by row.
"""

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

from reward_models.labelled import HONEST, LabelledRollout, write_labelled
from reward_models.parsing import parse_response
from reward_models.types import Rollout

PRAISE = "This reasoning is relevant, well justified, grounded in the request and fully consistent with the call."
BOILERPLATE = "The user needs help. I will look at the available tools and choose the best one for the request."


def labelled(rows: list[dict], seed: int = 0) -> list[LabelledRollout]:
    """Rows with a thought and a call; `instruction` holds the tools, `input` the dialogue, `output` the response."""
    draw, made = random.Random(seed), []
    parsed = [(row, parse_response(row["output"])) for row in rows]
    usable = [(row, found) for row, found in parsed if found.thought and found.calls]
    for number, (row, found) in enumerate(usable):
        other = usable[(number + draw.randrange(1, len(usable))) % len(usable)][1]
        rollout = Rollout(row["input"], row["instruction"], row["output"], row["output"], "toolrl", {"index": number})
        honest = LabelledRollout(f"{number}", f"row {number}", HONEST, 1.0, rollout)
        sentences = found.thought.split(". ")
        thoughts = {
            "other_thought": other.thought,
            "other_tool": found.thought.replace(found.calls[0].name, other.calls[0].name),
            "shuffled": ". ".join(draw.sample(sentences, len(sentences))),
            "half": found.thought[: len(found.thought) // 2],
            "praise": f"{other.thought} {PRAISE}",
            "boilerplate": BOILERPLATE,
        }
        made.append(honest)
        for kind, thought in thoughts.items():
            if thought != found.thought:
                spoilt = replace(rollout, response=rollout.response.replace(found.thought, thought, 1))
                made.append(LabelledRollout(f"{number} {kind}", honest.source, kind, 0.0, spoilt, honest.id))
    return made


if __name__ == "__main__":
    source, target = sys.argv[1:]
    print(write_labelled(Path(target), labelled(json.loads(Path(source).read_text()))), "rows")
