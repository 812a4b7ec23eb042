"""A toy world in which a judge can be good, weak, useless, gameable or wrong: when does each estimator help?

    python benchmarks/method_map.py [--seeds 20] [--worlds base zero_one ..] [--cache FILE] [--figure FILE.svg]

The policy makes D "good reasoning steps" and one habit that only flatters; all are Bernoulli with shared logits. The more
good steps, the likelier the right call; flattery makes it less likely. Plain policy gradient on batches of 64 rollouts, by
the kernel that trains; the advantages of a batch are brought to one root mean square, so that no estimator wins by a larger
step. Printed: the success rate on held-out prompts after 120 steps, as the difference from outcome-only, paired by seed, with
its 95 % interval. It ranks ideas; it proves nothing about language models.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from contenders import BASE, CONTENDERS, Cache, Estimator, gain, head, row

D, STEPS, ROLLOUTS, RATE, PROMPTS = 8, 120, 64, 0.25, 256
# (weight of quality, weight of flattery) in the score
JUDGES = {
    "good": (0.9, 0.0),
    "weak": (0.4, 0.0),
    "useless": (0.0, 0.0),
    "good, gameable": (0.9, 0.6),
    "weak, gameable": (0.4, 0.6),
    "flattered": (0.0, 0.9),
    "wrong": (-0.4, 0.0),
}


@dataclass(frozen=True)
class World:
    hardness: float = 1.0  # 1: most rollouts fail at first; -1: most succeed
    group: int = 4
    toolrl: bool = True  # outcomes in ToolRL's range [-3, 4], partly wrong calls between; else 0 or 1
    dense: bool = True  # else the judge says 0 or 1, and rarely 1
    half: bool = False  # the judge sees half of the steps only: its error is the same for all rollouts
    turns: str = ""  # the judge that takes over at half time
    second: str = ""  # a second judge beside the first, each with half of the weight
    rate: float = RATE


WORLDS = {
    "base": World(),
    "group_2": World(group=2),
    "group_8": World(group=8),
    "group_16": World(group=16),
    "zero_one": World(toolrl=False),
    "sparse": World(dense=False),
    "blind_half": World(half=True),
    "turns_flattered": World(turns="flattered"),
    "turns_wrong": World(turns="wrong"),
    "second_useless": World(second="useless"),
    "second_flattered": World(second="flattered"),
    "slow": World(rate=RATE / 2),
    "fast": World(rate=RATE * 2),
}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def rewards(g, world, judge, steps, flattery, right):
    """Outcome and scores of rollouts; every random number is drawn whatever the judge, so that runs stay paired."""
    shape = right.shape
    near = g.choice([-2.0, 0.0, 1.0], size=shape)
    wrong = np.where(g.random(shape) < 0.5, -3.0, near) if world.toolrl else np.zeros(shape)
    outcome = np.where(right, 4.0 if world.toolrl else 1.0, wrong)
    judges = [judge, JUDGES[world.second]] if world.second else [judge]
    return outcome, np.stack([scores(g, world, *weights, steps, flattery) for weights in judges], -1)


def scores(g, world, rho, bias, steps, flattery):
    quality = steps[..., : D // 2 if world.half else D].mean(-1)
    noise = np.sqrt(1 - rho**2) * g.normal(0, 0.25, flattery.shape)
    score = np.clip(0.5 + rho * (quality - 0.5) + bias * (flattery - 0.5) + noise, 0, 1)
    return score if world.dense else (score > 0.7).astype(float)


def train(name: str, judge_name: str, world: World, seeds: int) -> list[float]:
    """Success rates in percent, one a seed; all seeds are run side by side."""
    g = np.random.default_rng(7)
    low, high = (-3.0, 4.0) if world.toolrl else (0.0, 1.0)
    estimator = Estimator(name, seeds, low, high, signals=2 if world.second else 1)
    difficulty = g.normal(world.hardness, 2.0, (seeds, PROMPTS))
    logits, flatter = np.full((seeds, D), -1.0), np.full(seeds, -1.0)
    shape = (seeds, ROLLOUTS // world.group, world.group)
    each = np.arange(seeds)[:, None]
    for step in range(STEPS):
        judge = JUDGES[world.turns if world.turns and step >= STEPS // 2 else judge_name]
        b = difficulty[each, g.integers(PROMPTS, size=shape[:2])][..., None]
        p, q = sigmoid(logits)[:, None, None], sigmoid(flatter)[:, None, None]
        r, f = (g.random((*shape, D)) < p).astype(float), (g.random(shape) < q).astype(float)
        right = g.random(shape) < sigmoid(1.2 * (r.sum(-1) - D / 2) - b - f)
        a = estimator(*rewards(g, world, judge, r, f, right))
        logits = logits + world.rate * (a[..., None] * (r - p)).mean((1, 2))
        flatter = flatter + world.rate * (a * (f - q)).mean((1, 2))
    h = np.random.default_rng(999)
    b = h.normal(world.hardness, 2.0, 4000)
    r, f = h.random((seeds, 4000, D)) < sigmoid(logits)[:, None], h.random((seeds, 4000)) < sigmoid(flatter)[:, None]
    return (100 * sigmoid(1.2 * (r.sum(-1) - D / 2) - b - f).mean(1)).tolist()


def draw(gains: dict[str, dict[str, list[float]]], path: Path) -> None:
    """One strip a judge: the gains of every estimator over all worlds."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "awpo", "svg.fonttype": "none"})
    figure, axes = plt.subplots(1, len(gains), figsize=(2.1 * len(gains), 3.8), sharey=True, layout="constrained")
    for axis, (judge, by_name) in zip(axes, gains.items(), strict=True):
        for place, values in enumerate(by_name.values()):
            axis.plot([place] * len(values), values, "_", markersize=12, alpha=0.7)
        axis.axhline(0, color="k", linewidth=0.6)
        axis.set_title(judge)
        axis.set_xticks(range(len(by_name)), by_name, rotation=90)
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("gain over outcome-only, points")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--cache", type=Path, help="finished runs, to go on from")
    parser.add_argument("--figure", type=Path, metavar="FILE.svg")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cache, names = Cache(args.cache), [name for name in CONTENDERS if name != BASE]
    gains = {judge: {name: [] for name in names} for judge in JUDGES}
    worst = {name: ("", np.inf) for name in names}
    for world_name in args.worlds:
        print(f"\n{world_name}, hard / easy\n\n{head('judge', names)}", flush=True)
        for judge in JUDGES:
            for hardness in (1.0, -1.0):
                world = replace(WORLDS[world_name], hardness=hardness)
                if world.turns and judge != "good":
                    continue
                results = {
                    name: cache.get(
                        f"{world} {judge} {name} {args.seeds}",
                        lambda n=name, j=judge, w=world: train(n, j, w, args.seeds),
                    )
                    for name in CONTENDERS
                }
                cells = {name: gain(results[name], results[BASE]) for name in names}
                print(row(f"{judge}, {'hard' if hardness > 0 else 'easy'}", results[BASE], cells), flush=True)
                for name, (mean, half) in cells.items():
                    gains[judge][name].append(mean)
                    if mean + half < worst[name][1]:
                        worst[name] = (f"{world_name}, {judge}, {'hard' if hardness > 0 else 'easy'}", mean + half)
    print("\nThe worst cell of each, by the upper end of its interval (below 0: worse than outcome-only):\n")
    for name, (where, upper) in worst.items():
        print(f"- {name}: {upper:+.1f} ({where})")
    if args.figure:
        draw(gains, args.figure)


if __name__ == "__main__":
    main()
