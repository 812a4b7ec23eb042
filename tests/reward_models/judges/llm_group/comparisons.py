"""What the tests of comparisons share: a task, entries, and a model's verdicts."""

import json

from reward_models.judges.llm.shown import ShownStep, ShownTask
from reward_models.judges.llm_group.prompt import Entry

TASK = ShownTask("What is 2 + 2?", "[]")
WHY = "The better one names the tool and its arguments."


def entry(worth):
    return shown_entry(f"worth {worth}")


def shown_entry(thought, action="{}"):
    return Entry((ShownStep(1, thought, action),))


def better(verdict):
    return json.dumps({"reasons": WHY, "better": verdict})


def ranking(names):
    return json.dumps({"reasons": WHY, "ranking": list(names)})
