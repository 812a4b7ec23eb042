"""Answers of a model that compares: by the number in each thought ("worth 7"), or by position. For FaultyServer's `text`."""

import json
import re

from tests.reward_models.llm_client.faulty_server import MODEL

SHOWN = re.compile(r"^RESPONSE-[0-9a-f]+ ([A-Z]+)\nTHOUGHT-[0-9a-f]+:\n(.*?)\nACTION-", re.MULTILINE | re.DOTALL)
WORTH = re.compile(r"worth (\d+)")
WHY = "The better one names the tool and its arguments."


def shown(asked):
    """[(label, thought)] in the order of the prompt; `asked` is the request's JSON."""
    return SHOWN.findall(asked["messages"][0]["content"])


def worth(thought):
    found = WORTH.search(thought)
    return int(found[1]) if found else 0


def honest(asked):
    """The verdict of a model that goes by worth alone."""
    return verdict(asked, lambda number, thought: worth(thought))


def biased(asked):
    """The verdict of a model that prefers what it reads first."""
    return verdict(asked, lambda number, thought: -number)


def by_length(asked):
    """The verdict of a model that prefers long thoughts; ties between equal lengths go by the text."""
    return verdict(asked, lambda number, thought: (len(thought), thought))


def verdict(asked, key):
    found = [(label, key(number, thought)) for number, (label, thought) in enumerate(shown(asked))]
    if '"better"' in asked["messages"][0]["content"].partition("BEGIN-UNTRUSTED")[0]:
        (_, one), (_, other) = found
        return json.dumps({"reasons": WHY, "better": "tie" if one == other else "A" if one > other else "B"})
    ranked = sorted(found, key=lambda pair: pair[1], reverse=True)
    return json.dumps({"reasons": WHY, "ranking": [label for label, _ in ranked]})


def kwargs_at(server, **options):
    """The keywords of the reward function for the group judge at `server`."""
    options = {"base_url": server.base_url, "model": MODEL, "wait_s": 5, "timeout_s": 5, **options}
    return {"judge": "llm_group", "judge_kwargs": options}
