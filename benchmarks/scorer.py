"""How many rollouts a second the embedding scorer judges, beside sentence-transformers' own encode of the same texts.

    python benchmarks/scorer.py outputs/cpu/scorer --threads 2
    python benchmarks/scorer.py models/static --against outputs/cpu/scorer

Prompts come in groups, as in training: request and tools recur in each rollout of a group, thoughts and calls do not.
Both sides embed the same new texts in the same process, in turn; the scorer also reads, counts and judges. With
--against it is another encoder, of any sentence-transformers folder, whose encode is timed beside the scorer.
"""

import argparse
import json
import os
import random
import statistics
import time
from pathlib import Path

import torch

from reward_models import Rollout
from reward_models.encoders.unit import Encoder, NoEncoder, load_encoder
from reward_models.scorers.features.embeddings import texts_of
from reward_models.scorers.features.model import Scorer, load
from reward_models.scorers.features.trace import read_trace

TOOLS = json.dumps(
    [
        {
            "name": f"find_{thing}",
            "description": f"Finds a {thing} by place, date and price.",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}, "price": {"type": "integer"}}},
        }
        for thing in ("hotel", "flight", "restaurant", "museum")
    ]
)
VOCABULARY = (
    "the user wants this place because price date tool call need so first then parameter hotel flight value given as "
    "should check other option not fit request city night museum"
)
WORDS = VOCABULARY.split()


def rollout(prompt: int, sample: int, words: int) -> Rollout:
    """A rollout whose thought has about `words` tokens; no two are the same."""
    rng = random.Random(f"{prompt}/{sample}")
    said, sentence = [], []
    while sum(len(item.split()) for item in said) < words - 12:
        sentence = [rng.choice(WORDS) for _ in range(rng.randint(8, 16))]
        said.append(" ".join(sentence).capitalize() + ".")
    said.append(f"So find_hotel is called with place Town{prompt} and price {sample}.")
    call = json.dumps({"name": "find_hotel", "parameters": {"place": f"Town{prompt}", "price": sample}})
    response = f"<think>{' '.join(said)}</think>\n<tool_call>\n{call}\n</tool_call>"
    return Rollout(f"I need a hotel in Town{prompt} for {sample % 3} nights.", TOOLS, response, "", "benchmark")


def seconds(work) -> tuple[float, float]:
    """Of the clock, and of the processor (all threads): on a busy machine only the second says something."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def _tokens(tokenizer, text: str) -> int:
    """Both kinds of tokenizer: that of transformers, and the bare one of a static encoder."""
    return len(getattr(tokenizer, "backend_tokenizer", tokenizer).encode(text, add_special_tokens=False).ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scorer", type=Path)
    parser.add_argument("--against", help="a sentence-transformers folder; default: the scorer's own encoder")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    scorer = load(options.scorer, options.device)
    model = scorer.encoder.model
    if model is None:
        parser.error("this scorer has no encoder; its rate is the line `without encoding` of one that has")
    beside = load_encoder(options.against, options.device).model if options.against else model
    total = options.prompts * options.group
    ours, theirs, reading = [], [], []
    for repeat in range(options.repeats + 1):
        rollouts = [
            rollout(1000 * repeat + prompt, sample, int(options.tokens / 1.15))
            for prompt in range(options.prompts)
            for sample in range(options.group)
        ]
        traces = [read_trace(item) for item in rollouts]
        texts = list(dict.fromkeys(text for trace in traces for text in texts_of(trace).all()))
        fresh = Scorer(Encoder(model), scorer.order, scorer.head, scorer.calibration, {})
        batches = [rollouts[start : start + options.batch] for start in range(0, total, options.batch)]
        rounds = [
            (theirs, lambda texts=texts: beside.encode(texts, batch_size=32, show_progress_bar=False)),
            (ours, lambda batches=batches, fresh=fresh: [fresh.score(batch) for batch in batches]),
        ]
        for times, work in rounds if repeat % 2 else reversed(rounds):
            times.append(seconds(work))
        silent = Scorer(NoEncoder(), scorer.order, scorer.head, scorer.calibration, {})
        reading.append(seconds(lambda silent=silent, rollouts=rollouts: silent.score(rollouts)))
    tokens = [_tokens(model.tokenizer, trace.thought) for trace in traces]
    print(f"{total} rollouts in {options.prompts} prompts, thoughts of {statistics.mean(tokens):.0f} tokens on average")
    print(f"texts to embed: {len(texts)}; {options.threads} threads, load average {os.getloadavg()[0]:.1f}")
    print("rollouts a second        by the clock   of processor time")
    rates = {}
    for name, times in (("scorer", ours), ("encode alone", theirs), ("without encoding", reading)):
        rates[name] = [
            total / statistics.median(column) for column in zip(*times[1:], strict=True)
        ]  # the first warms up
        print(f"{name:20}{rates[name][0]:17.1f}{rates[name][1]:20.1f}")
    ratios = [ours / theirs for ours, theirs in zip(rates["scorer"], rates["encode alone"], strict=True)]
    print(f"{'scorer / encode':20}{ratios[0]:17.2f}{ratios[1]:20.2f}")


if __name__ == "__main__":
    main()
