"""AWPO's policy loss beside verl's vanilla, forward and backward, in one run: python benchmarks/loss.py

Time as the median of ratios over rounds in turn; peak memory as what a call adds to the process's resident set.
"""

import argparse
from statistics import median

import torch
from timing import in_turn, peak_bytes, ratio
from verl.trainer.ppo.core_algos import agg_loss, compute_policy_loss_vanilla
from verl.workers.config import ActorConfig

from awpo_ext.clipping import awpo_policy_loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)

    torch.manual_seed(0)
    shape = (args.samples, args.tokens)
    old = -3 * torch.rand(shape)
    new = old + 0.2 * torch.randn(shape)
    advantages = torch.randn(args.samples, 1).expand(shape).contiguous()
    mask = torch.rand(shape) < 0.8
    radius = torch.full((args.samples,), 0.2)
    actor = ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, clip_ratio=0.2)

    def vanilla():
        log_prob = new.clone().requires_grad_()
        loss, _ = compute_policy_loss_vanilla(old, log_prob, advantages, mask, "token-mean", actor)
        loss.backward()
        return loss

    def awpo():
        log_prob = new.clone().requires_grad_()
        loss, _ = awpo_policy_loss(
            old, log_prob, advantages, mask, radius, aggregate=lambda values, m: agg_loss(values, m, "token-mean")
        )
        loss.backward()
        return loss

    assert torch.allclose(awpo(), vanilla(), atol=1e-6)
    times = in_turn({"AWPO": awpo, "verl vanilla": vanilla}, args.repeats)
    peaks = {
        name: median(peak_bytes(call) for _ in range(args.repeats))
        for name, call in {"AWPO": awpo, "verl vanilla": vanilla}.items()
    }
    print(f"B={args.samples}, T={args.tokens}, float32, 1 thread, median of {args.repeats} rounds\n")
    print("| loss | ms | x vanilla | peak memory, MiB | x vanilla |\n|---|---|---|---|---|")
    for name, taken in times.items():
        time_ratio = ratio(taken, times["verl vanilla"])
        memory = peaks[name] / peaks["verl vanilla"]
        print(f"| {name} | {median(taken):.0f} | {time_ratio:.2f} | {peaks[name] / 2**20:.0f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
