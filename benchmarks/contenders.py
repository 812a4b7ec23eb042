"""What method_map.py and tiny_lm.py share: the estimators they compare, a cache of finished runs, paired tables."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState

BASE = "outcome only"
_PLAIN = {"gate": "none", "difficulty": "none"}
_SUM = {"gate": "always", "saturated": "reasoning", "difficulty": "none"}
# GDPO without its whitening: fully scored groups sum to 0, so that it only scales, and updates are brought to one size.
CONTENDERS: dict[str, dict[str, Any]] = {
    BASE: _PLAIN,
    "difficulty alone": {"gate": "none"},
    "naive sum": _SUM,
    "gdpo": _SUM | {"integration": "decoupled"},
    "ratio": {},
    "signal": {"gate": "signal", "integration": "reasoning"},
    "reliability": {"gate": "reliability", "integration": "reasoning", "difficulty": "none"},
}


class Estimator:
    """One contender in several runs at once, each with its own state: outcomes `(S, M, G)` and scores `(S, M, G, K)` ->
    advantages of one size."""

    def __init__(self, name: str, runs: int, reward_min: float, reward_max: float, signals: int = 1):
        keys = {"reasoning_key": tuple(f"signal{k}" for k in range(signals)), "reasoning_weight": (1 / signals,)}
        self.config = AwpoConfig(**CONTENDERS[name], **keys, reward_min=reward_min, reward_max=reward_max)
        self.states = [ReliabilityState()] * runs
        self.leverage = 0.0  # of the latest step, over all runs
        self._runs = runs

    def __call__(self, outcome: np.ndarray, score: np.ndarray) -> np.ndarray:
        if self.config.gate == "reliability":  # the only one in which a run's groups hear each other
            parts = [self._advantages(outcome[s : s + 1], score[s : s + 1], s) for s in range(self._runs)]
            advantages = np.concatenate(parts)
        else:
            advantages = self._advantages(outcome, score, None)
        return 0.8 * advantages / (np.sqrt((advantages**2).mean((1, 2), keepdims=True)) + 1e-9)

    def _advantages(self, outcome: np.ndarray, score: np.ndarray, run: int | None) -> np.ndarray:
        groups = np.arange(outcome.shape[0] * outcome.shape[1]).repeat(outcome.shape[2])
        state = None if run is None else self.states[run]
        columns = torch.from_numpy(outcome.ravel()), torch.from_numpy(score.reshape(outcome.size, -1))
        result = awpo_advantages(*columns, groups, self.config, reliability=state)
        if run is not None:
            self.states[run] = result.reliability
        return result.advantages.numpy().reshape(outcome.shape)


class Cache:
    """Finished runs by their key, one JSON line each, so that a stopped benchmark goes on where it was."""

    def __init__(self, path: Path | None):
        self._path, self._done = path, {}
        if path and path.exists():
            self._done = {line["key"]: line["value"] for line in map(json.loads, path.read_text().splitlines())}

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self._done:
            self._done[key] = compute()
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps({"key": key, "value": self._done[key]}) + "\n")
        return self._done[key]


def gain(values: Iterable[float], base: Iterable[float]) -> tuple[float, float]:
    """Mean difference from the base, paired by seed, and the half width of its 95 % interval."""
    difference = np.asarray(list(values)) - np.asarray(list(base))
    return float(difference.mean()), float(1.96 * difference.std(ddof=1) / len(difference) ** 0.5)


def row(title: str, base: Iterable[float], gains: dict[str, tuple[float, float]]) -> str:
    """A line of a Markdown table; bold where the interval excludes 0."""
    cells = [
        f"**{mean:+.1f}** ± {half:.1f}" if abs(mean) > half else f"{mean:+.1f} ± {half:.1f}"
        for mean, half in gains.values()
    ]
    return f"| {title} | {np.mean(list(base)):.1f} | " + " | ".join(cells) + " |"


def head(title: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"| {title} | {BASE}, % | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 2)
