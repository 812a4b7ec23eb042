"""How well a part of the pairs ranks a group, with a comparer that makes no mistake: python benchmarks/ranking_pairs.py"""

import random

import numpy as np

from reward_models.judges.llm_group.preferences import Preferences, pairs_to_compare, rank_scores, strengths

ROUNDS = 200


def agreement(size: int, limit: int, seed: int) -> float:
    """Correlation of the scores with the true ranks, for one random order of `size` rollouts."""
    worth = random.Random(seed).sample(range(size), size)
    found = Preferences.none(size)
    for i, j in pairs_to_compare(size, limit):
        found.put(i, j, float(worth[i] > worth[j]), float(worth[i] > worth[j]))
    return float(np.corrcoef(rank_scores(strengths(found)), worth)[0, 1])


def main() -> None:
    print("rollouts  pairs of all   mean correlation with the true ranks, lowest")
    for size, limit in ((8, 28), (12, 28), (16, 28), (16, 48), (16, 120), (32, 96)):
        values = [agreement(size, limit, seed) for seed in range(ROUNDS)]
        pairs = len(pairs_to_compare(size, limit))
        print(f"{size:8}  {pairs:5} of {size * (size - 1) // 2:3}   {np.mean(values):.3f}, {min(values):.3f}")


if __name__ == "__main__":
    main()
