"""Adversarial responses through `compute_score`, with every verifier and the sandbox on: it must never raise for one.

    python tests/fuzz/fuzz_reward.py                       20,000 responses
    python tests/fuzz/fuzz_reward.py --inputs 1000000      the long run
    python tests/fuzz/fuzz_reward.py --seconds 600         as many as fit

Some of the responses talk tools into attacks on the sandbox (`hostile_tools`). Between batches the right response of each
verifier must still get the highest outcome, and at the end memory, descriptors, child processes and folders must be
what they were after the first batch. Prints a summary as JSON and exits with 1 where any of that fails.
"""

import argparse
import asyncio
import glob
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from reward_models.parsing import ToolCall, render_response
from reward_models.reward import compute_score
from reward_models.reward_columns import REWARD_COLUMNS
from tests.fuzz.fuzz_parsing import Mutator, read_corpus
from tests.fuzz.hostile_tools import ACTS, SLOW_ACTS

TOOLS = "tests.fuzz.hostile_tools"
LIMITS = {"workers": 2, "timeout_seconds": 2, "cpu_seconds": 1, "memory_mb": 128, "file_mb": 1, "response_mb": 1}
BATCH, AT_ONCE = 1000, 16
MORE_MEMORY_MB = 64

RIGHT = ToolCall("add", {"a": 1, "b": 2})
CALL = json.dumps([{"name": "add", "arguments": RIGHT.arguments}])
POSSIBLE = json.dumps([{"add": {"a": [1], "b": [2]}}])
SCENE = json.dumps(
    {"involved_classes": ["Box"], "initial_config": {"Box": {"value": 0}}, "turns": [["put(value=1)"], []]}
)
SCHEMA = json.dumps([
    {"type": "function", "function": {"name": "add", "parameters": {
        "type": "object", "required": ["a", "b"], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    }}},
])  # fmt: skip
BFCL_TOOLS = json.dumps([
    {"name": "add", "description": "", "parameters": {
        "type": "dict", "required": ["a", "b"], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    }},
])  # fmt: skip
ANSWER = "There is no tool for that, so I cannot help."

# verifier: options, ground truth, extra_info, its right response
CASES = {
    "strict": ({}, CALL, {"tools": SCHEMA}, render_response([RIGHT], "hermes", thought="add them")),
    "toolrl": (
        {},
        render_response([RIGHT], "toolrl", thought="x"),
        {},
        render_response([RIGHT], "toolrl", thought="x"),
    ),
    "ast": ({}, POSSIBLE, {"tools": BFCL_TOOLS}, "[add(a=1, b=2)]"),
    "irrelevance": ({}, "[]", {}, ANSWER),
    "format": ({}, CALL, {}, render_response([RIGHT], "hermes", thought="add them")),
    "composite": (
        {"parts": {"format": 1, "strict": 3}},
        CALL,
        {},
        render_response([RIGHT], "hermes", thought="add them"),
    ),
    "exec": ({"tools_module": TOOLS, "sandbox": LIMITS}, CALL, {}, "[add(a=1, b=2)]"),
    "state": ({"classes": {"Box": f"{TOOLS}:Box"}, "sandbox": LIMITS}, SCENE, {}, ["[put(value=1)]", ANSWER]),
}


class Responses:
    """Damaged and well-formed texts in all dialects, and calls of the hostile tool; a few of those take a second each."""

    def __init__(self, seed, slow_share):
        self._texts = iter(Mutator(seed))
        self._corpus = [text for _, text in read_corpus()]
        self._random = random.Random(seed)
        self._slow_share = slow_share

    def one(self, verifier):
        draw = self._random.random()
        if verifier in ("exec", "state") and draw < 0.5:
            kinds = SLOW_ACTS if self._random.random() < self._slow_share else ACTS
            return f"[{', '.join(self._call(kinds) for _ in range(self._random.randint(1, 3)))}]"
        if draw < 0.05:
            return self._random.choice(self._corpus)
        return next(self._texts)[1]

    def turns(self):
        return [
            [self.one("state") for _ in range(self._random.randint(1, 2))] for _ in range(self._random.randint(0, 3))
        ]

    def _call(self, kinds):
        return self._random.choice([f"act(kind={self._random.choice(list(kinds))!r})", "put(value=1)", "add(a=1, b=2)"])


async def score(verifier, response):
    options, truth, info, _ = CASES[verifier]
    more = {"turns": response} if verifier == "state" else {}
    text = "\n".join(map(str, response)) if verifier == "state" else response
    return await compute_score(
        verifier, text, truth, {**info, **more}, judge="none", verifier=verifier, verifier_kwargs=options
    )


async def batch(responses, size, outcomes):
    """Score `size` responses, AT_ONCE at a time."""
    waiting = iter(range(size))

    async def worker():
        for number in waiting:
            verifier = list(CASES)[number % len(CASES)]
            response = responses.turns() if verifier == "state" else responses.one(verifier)
            columns = await score(verifier, response)
            assert set(columns) == set(REWARD_COLUMNS), columns
            outcomes[verifier, columns["outcome_valid"], columns["outcome_reason"]] += 1

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def right_ones_still_win():
    for verifier, (_, _, _, right) in CASES.items():
        columns = await score(verifier, right)
        best = {"strict": 4.0, "toolrl": 4.0, "composite": 4.0}.get(verifier, 1.0)
        assert (columns["score"], columns["outcome_valid"]) == (best, 1.0), (verifier, columns)


def used():
    """What may not grow: MB of memory, descriptors, children and grandchildren, folders of the sandbox."""
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    children = _children(os.getpid())
    return {
        "memory_mb": memory,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": len(children) + sum(len(_children(child)) for child in children),
        "folders": len(glob.glob(f"{tempfile.gettempdir()}/sandbox-*/*")),
    }


def _children(pid):
    """Of all its threads: each worker was started by a thread of its own."""
    found = []
    for file in glob.glob(f"/proc/{pid}/task/*/children"):
        found += Path(file).read_text().split()
    return found


async def fuzz(inputs, seconds, seed, slow_share):
    """The summary; AssertionError, or whatever `compute_score` raises, where a response was not survived."""
    responses, outcomes = Responses(seed, slow_share), Counter()
    started, done, first = time.monotonic(), 0, None
    while done < inputs and time.monotonic() - started < seconds:
        size = min(BATCH, inputs - done)
        await batch(responses, size, outcomes)
        await right_ones_still_win()
        done += size
        first = first or used()
    last = used()
    for key, more in {"memory_mb": MORE_MEMORY_MB, "descriptors": 0, "children": 0, "folders": 0}.items():
        assert last[key] <= first[key] + more, (key, first, last)
    unjudged = sum(count for (_, valid, _), count in outcomes.items() if not valid)
    by_verifier = Counter()
    for (verifier, _, _), count in outcomes.items():
        by_verifier[verifier] += count
    return {
        **{"inputs": done, "seconds": round(time.monotonic() - started), "unjudged": unjudged},
        **{"by_verifier": dict(by_verifier), "kinds_of_outcome": len(outcomes), "first": first, "last": last},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--slow-share", type=float, default=0.01, help="of the hostile calls, those that run into a limit"
    )
    options = parser.parse_args()
    tempfile.tempdir = tempfile.mkdtemp()  # so that no other run's folders are counted
    os.environ["TMPDIR"] = tempfile.tempdir
    print(json.dumps(asyncio.run(fuzz(options.inputs, options.seconds, options.seed, options.slow_share)), indent=1))


if __name__ == "__main__":
    main()
