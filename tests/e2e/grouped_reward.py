"""A reward function for the end-to-end tests: the real one, on responses of a random model made to look like thoughts.

Each call is written to `record`, so that a test can see who was ranked with whom.
"""

import json
import os

from reward_models import reward
from reward_models.parsing import parse_response


async def compute_score(data_source, solution_str, ground_truth, extra_info=None, *, record, **kwargs):
    response = f"<think>{solution_str.strip() or 'nothing'}</think>\n" + ground_truth.partition("</think>")[2]
    found = await reward.compute_score(data_source, response, ground_truth, extra_info, **kwargs)
    line = {
        "place": extra_info.get("awpo_group"),
        "pid": os.getpid(),
        "thought": parse_response(response).thought,
        **found,
    }
    with open(record, "a") as file:
        file.write(json.dumps(line) + "\n")
    return found


def _without_record(function):
    return lambda *, record, **kwargs: function(**kwargs)


for _name in ("needs_group", "preflight", "outcome_range"):
    setattr(compute_score, _name, _without_record(getattr(reward, _name)))
