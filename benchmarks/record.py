"""What recording costs, beside the advantages that training computes anyway: `python benchmarks/record.py`.

A made-up step of 512 prompts x 4 rollouts with texts of 4,000 characters. Training waits for none of this but the fetching
of the batch (the metric awpo/record/seconds); the rest runs in a thread of the driver, which waits for its workers then.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.rows import Batch, rows_of
from awpo_ext.record.run_info import Secrets


def step(prompts: int, size: int, chars: int, seed: int) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    rng, n = np.random.default_rng(seed), prompts * size
    words = [" ".join(map(str, rng.integers(0, 5000, chars // 5))) for _ in range(n)]  # random: hardly compressible
    told = {
        "reason": "exact", "reasons": ["exact"], "parts": {"name": 1.0}, "calls": [[{"name": "f", "arguments": {"a": 1}}]],
        "problems": [[]], "words": words[0][:300], "votes": [0.5, 0.7], "judge_tokens": 800,
    }  # fmt: skip
    info = {f"column{i}": 1.0 for i in range(12)} | {"details": json.dumps(told)}
    outcome, score = rng.uniform(-3, 4, n), rng.uniform(0, 1, (n, 1))
    row = {
        "raw_prompt": [{"role": "user", "content": words[1]}], "reward_model": {"ground_truth": words[2][:200]},
        "extra_info": {"question": words[1][:500], "tools": words[3]}, "data_source": "made up",
    }  # fmt: skip
    batch = Batch(
        key=[f"uid{i // size}_{i % size}_0" for i in range(n)],
        outputs=[1] * n,
        tag=[{"response_len": 1000, "prompt_len": 500}] * n,
        extra_fields=[{"reward_extra_info": info}] * n,
        row=[row] * n,
        response=[words[i] for i in range(n)],
        outcome=outcome.tolist(),
        kl_penalty=[0.0] * n,
        outcome_valid=[True] * n,
        outcome_range=[[-3.0, 4.0]] * n,
        names=("reasoning",),
        reasoning=score.tolist(),
        failure=[[0.0]] * n,
        unread=[""] * n,
    )
    return batch, torch.from_numpy(outcome), torch.from_numpy(score)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--chars", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=3)
    args = parser.parse_args()
    n, secrets, spent, size = args.prompts * args.size, Secrets({}), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.steps):
            batch, outcome, score = step(args.prompts, args.size, args.chars, number)
            started = time.process_time()
            result = awpo_advantages(outcome, score, [key.split("_")[0] for key in batch.key], AwpoConfig())
            method = time.process_time()
            rows = rows_of(batch, result, torch.full((n,), 0.15), RecordOptions(), str, secrets)
            built = time.process_time()
            size = write_part(Path(folder), PartKey(number), PartInfo(), *rows)
            spent.append((method - started, built - method, time.process_time() - built))
    method, built, written = np.median(spent, axis=0)
    print(f"{n} rollouts of {args.chars} characters, processor seconds a step (median of {args.steps} steps):")
    print(f"  the method's advantages  {method:.3f}")
    print(f"  rows of the record       {built:.3f}   in the recording thread")
    print(f"  parquet                  {written:.3f}   in the recording thread")
    print(f"  both, of a step of 60 s  {(built + written) / 60:.2%}")
    print(f"  bytes a rollout          {size / n:.0f}")


if __name__ == "__main__":
    main()
