"""How long AWPO's advantages take beside verl's own GRPO, in one run: python benchmarks/advantages.py

Prints medians and ratios; never a test. verl's estimators work on (N, T) token rewards, AWPO on (N,) and broadcasts once.
"""

import argparse
import time
from statistics import median

import numpy as np
import torch

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig


def timed(call, repeats: int) -> float:
    """Median milliseconds of `repeats` calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=8192)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)

    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    n = args.rollouts
    generator = torch.Generator().manual_seed(0)
    outcome = torch.rand(n, generator=generator) * 7 - 3
    reasoning = torch.rand(n, generator=generator)
    uids = np.array([f"prompt-{i // args.group}" for i in range(n)], dtype=object)
    mask = torch.ones(n, args.tokens)
    token_rewards = torch.zeros(n, args.tokens)
    token_rewards[:, -1] = outcome
    config = AwpoConfig()

    def scalar():
        return awpo_advantages(outcome, reasoning, uids, config).advantages

    rows = {
        "AWPO, (N,) part": timed(scalar, args.repeats),
        "AWPO, broadcast over the mask": timed(lambda: scalar().unsqueeze(-1) * mask, args.repeats),
        "verl GRPO (one reward)": timed(
            lambda: compute_grpo_outcome_advantage(token_rewards, mask, uids), args.repeats
        ),
        "writing one (N, T) tensor": timed(lambda: torch.full_like(mask, 1.0), args.repeats),
    }
    base = rows["writing one (N, T) tensor"]
    print(f"N={n}, T={args.tokens}, groups of {args.group}, 1 thread, median of {args.repeats}")
    for name, milliseconds in rows.items():
        print(f"{name:32s} {milliseconds:9.2f} ms   {milliseconds / base:6.2f} x writing one tensor")


if __name__ == "__main__":
    main()
