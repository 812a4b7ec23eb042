"""AWPO's estimator beside verl's own, in one run: python benchmarks/estimator.py

Prints medians and ratios; never a test. `--growth FILE.svg` measures N = 256 .. 65536 instead and plots it. `--peer FOLDER`
compares with another checkout of this project, in turn, such as one that `git worktree add FOLDER COMMIT` made.
"""

import argparse
import sys
import uuid
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import torch
from timing import in_turn, ratio
from verl.trainer.ppo import core_algos

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.groups import factorize
from awpo_ext.verl_plugin.driver.estimator import StepChannel, compute_awpo_advantage, step_channel

OUR_PACKAGES = ("awpo_ext", "reward_models")
LABELS = {
    "UUID strings": lambda groups: [str(uuid.UUID(int=i * 7**40 % 2**128)) for i in range(groups)],
    "integers from 0": lambda groups: list(range(groups)),
    "integers around 10^10": lambda groups: [10**10 + i for i in range(groups)],
    "negative integers": lambda groups: [-i - 1 for i in range(groups)],
}


class Step:
    """A batch of N rollouts with two rewards, as verl's trainer hands it over."""

    def __init__(self, rollouts: int, tokens: int, group: int, labels: str = "UUID strings"):
        generator = torch.Generator().manual_seed(0)
        self.outcome = torch.rand(rollouts, generator=generator) * 7 - 3
        self.reasoning = torch.rand(rollouts, 1, generator=generator)
        names = LABELS[labels](-(-rollouts // group))
        kind = object if isinstance(names[0], str) else np.int64
        self.uids = np.array([names[i // group] for i in range(rollouts)], dtype=kind)
        self.mask = torch.ones(rollouts, tokens, dtype=torch.int64)
        self.token_rewards = torch.zeros(rollouts, tokens).add_(0.0)  # written once: pages of their own
        self.token_rewards[:, -1] = self.outcome
        self.prompts = torch.ones(rollouts, 1, dtype=torch.int64)
        self.attention = torch.ones(rollouts, tokens + 1, dtype=torch.int64)

    def scalar(self):
        """The (N,) part: from two rewards to one advantage a rollout."""
        return awpo_advantages(self.outcome, self.reasoning, self.uids, AwpoConfig()).advantages

    def awpo(self, made=None):
        """The whole call, as verl makes it: from token rewards to token advantages. `made` is another version of it."""
        config, channel_of, step, compute = made or (AwpoConfig, StepChannel, step_channel, compute_awpo_advantage)
        rows = torch.arange(len(self.outcome))
        valid = torch.ones_like(self.reasoning, dtype=torch.bool)
        given = {
            "config": config(),
            "reasoning": self.reasoning.double(),
            "valid": valid,
            "outcome_valid": valid[:, 0],
            "outcome_range": torch.tensor([[-3.0, 4.0]]).double().expand(len(rows), 2),
            "group": self.uids,
            "task": None,
            "final_row": rows,
            "rollout_of_row": rows,
        }
        names = {field.name for field in fields(channel_of)}
        with step(channel_of(**{name: value for name, value in given.items() if name in names})):
            return compute(self.token_rewards, self.mask)

    def gdpo(self):
        """verl's GDPO with the same two rewards."""
        return core_algos.compute_gdpo_outcome_advantage(
            self.token_rewards,
            self.mask,
            self.uids,
            config={"gdpo_reward_keys": ["outcome", "reasoning"]},
            non_tensor_batch={"outcome": self.outcome.numpy(), "reasoning": self.reasoning[:, 0].numpy()},
            batch={"prompts": self.prompts, "attention_mask": self.attention},
        )

    def grpo(self):
        """verl's GRPO: one reward only."""
        return core_algos.compute_grpo_outcome_advantage(self.token_rewards, self.mask, self.uids)

    def write(self):
        """What no estimator of this interface can do without: one number a rollout, written under verl's mask."""
        return self.outcome.unsqueeze(-1) * self.mask

    def fill(self):
        """The least that writing costs: no mask is read."""
        return torch.full_like(self.token_rewards, 1.0)


def compare(args: argparse.Namespace) -> None:
    step = Step(args.rollouts, args.tokens, args.group)
    calls = {
        "AWPO, (N,) part": step.scalar,
        "AWPO, whole call": step.awpo,
        "verl GRPO, 1 reward": step.grpo,
        "verl GDPO, 2 rewards": step.gdpo,
        "writing one (N, T) tensor under the mask": step.write,
        "filling one (N, T) tensor": step.fill,
    }
    bases = ("writing one (N, T) tensor under the mask", "filling one (N, T) tensor", "AWPO, whole call")
    times = in_turn(calls, args.repeats)
    print("| call | ms | x writing | x filling | x AWPO's whole call |\n|---|---|---|---|---|")
    for name, taken in times.items():
        ratios = " | ".join(f"{ratio(taken, times[base]):.2f}" for base in bases)
        print(f"| {name} | {median(taken):.1f} | {ratios} |")

    print("\n| labels | (N,) part, ms | of it factorising them, ms |\n|---|---|---|")
    for kind in LABELS:
        labelled = Step(args.rollouts, 1, args.group, kind)
        times = in_turn({"all": labelled.scalar, "labels": lambda s=labelled: factorize(s.uids)}, 5 * args.repeats)
        print(f"| {kind} | {median(times['all']):.2f} | {median(times['labels']):.2f} |")


def peer(args: argparse.Namespace) -> None:
    """The whole call here and in another checkout, for long responses and for short ones."""
    made = loaded(args.peer)
    print("| T | here, ms | peer, ms | here / peer |\n|---|---|---|---|")
    for tokens in (args.tokens, args.growth_tokens, 1):
        step = Step(args.rollouts, tokens, args.group)
        times = in_turn({"here": step.awpo, "peer": lambda s=step: s.awpo(made)}, 3 * args.repeats)
        here, there = (median(times[name]) for name in ("here", "peer"))
        print(f"| {tokens} | {here:.2f} | {there:.2f} | {ratio(times['here'], times['peer']):.2f} |")


def loaded(folder: Path) -> tuple:
    """(AwpoConfig, StepChannel, step_channel, compute_awpo_advantage) of the checkout in `folder`."""
    with others(folder):
        try:
            estimator = import_module("awpo_ext.verl_plugin.driver.estimator")
        except ModuleNotFoundError:  # an older layout
            estimator = import_module("awpo_ext.verl_plugin.estimator")
        config = import_module("awpo_ext.config").AwpoConfig
    return config, estimator.StepChannel, estimator.step_channel, estimator.compute_awpo_advantage


@contextmanager
def others(folder: Path):
    """Inside, `awpo_ext` and `reward_models` are those of `folder`; what was imported of ours stays as it is."""
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] in OUR_PACKAGES}
    for name in ours:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in OUR_PACKAGES]:
            del sys.modules[name]
        sys.modules.update(ours)


def grow(args: argparse.Namespace) -> None:
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "awpo", "svg.fonttype": "none"})  # the same file each time, text as text
    sizes = [2**power for power in range(8, 17)]
    measured: dict[str, list[float]] = {"AWPO (2 rewards)": [], "verl GDPO (2 rewards)": [], "verl GRPO (1 reward)": []}
    print("| N | " + " | ".join(measured) + " | GDPO / AWPO |\n" + "|---" * 5 + "|")
    for n in sizes:
        step = Step(n, args.growth_tokens, args.group)
        times = in_turn(dict(zip(measured, (step.awpo, step.gdpo, step.grpo), strict=True)), args.repeats)
        for name, taken in times.items():
            measured[name].append(median(taken))
        gain = ratio(times["verl GDPO (2 rewards)"], times["AWPO (2 rewards)"])
        print(f"| {n} | " + " | ".join(f"{series[-1]:.2f}" for series in measured.values()) + f" | {gain:.1f} |")

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, series in measured.items():
        axes.loglog(sizes, series, "o-", base=2, label=name)
    axes.set(xlabel="rollouts N", ylabel=f"ms for the whole call, T = {args.growth_tokens}")
    axes.legend()
    args.growth.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.growth, metadata={"Date": None})
    print(f"\nplot: {args.growth}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=8192)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--growth", type=Path, metavar="FILE.svg")
    parser.add_argument("--growth-tokens", type=int, default=64)
    parser.add_argument("--peer", type=Path, metavar="FOLDER", help="another checkout to compare with")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.growth:
        grow(args)
    elif args.peer:
        peer(args)
    else:
        print(
            f"N={args.rollouts}, T={args.tokens}, groups of {args.group}, 1 thread, median of {args.repeats} rounds\n"
        )
        compare(args)


if __name__ == "__main__":
    main()
