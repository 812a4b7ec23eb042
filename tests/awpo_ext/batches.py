"""Hypothesis strategies for batches of rollouts (ragged groups, ties, unscored rollouts, extreme values) and configurations."""

import os
from dataclasses import dataclass, replace
from typing import Literal, get_args, get_origin

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from awpo_ext.advantage import AwpoResult, awpo_advantages
from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from reward_models.options import kinds_of

NAN = float("nan")
KNOWN = ReliabilityState(mean=0.5, variance=0.01, groups=100)  # a judge that earlier batches have shown to be good
_CHOICES = {key: get_args(kind) for key, kind in kinds_of(AwpoConfig).items() if get_origin(kind) is Literal}

# The method's properties are tested on more examples than the rest.
many = settings(settings.get_profile(os.environ.get("AWPO_TEST_PROFILE", "core")))


@dataclass(frozen=True)
class Batch:
    """N rollouts with K signals, `reasoning` and `valid` as rows of K."""

    outcome: list[float]
    reasoning: list[list[float]]
    group: list[str]
    valid: list[list[bool]]
    outcome_valid: list[bool]
    kl_penalty: list[float]
    tokens: list[int]

    def __len__(self):
        return len(self.group)

    def permuted(self, order):
        return Batch(*[[column[i] for i in order] for column in vars(self).values()])

    def with_(self, **columns):
        return replace(self, **columns)

    def with_verdict(self, i, scores, valid):
        """The batch in which the judges said something else of rollout i."""
        reasoning, flags = list(self.reasoning), list(self.valid)
        reasoning[i], flags[i] = scores, valid
        return replace(self, reasoning=reasoning, valid=flags)


def run(batch: Batch, config: AwpoConfig = AwpoConfig(), reliability: ReliabilityState = KNOWN) -> AwpoResult:
    shape = (len(batch), config.signals)
    return awpo_advantages(
        batch.outcome,
        np.array(batch.reasoning, dtype=float).reshape(shape),
        batch.group,
        config,
        np.array(batch.valid, dtype=bool).reshape(shape),
        batch.outcome_valid,
        batch.kl_penalty,
        batch.tokens,
        reliability=reliability,
    )


def reals(low, high):
    """Numbers whose squares do not vanish in float64: below 1e-162, the method takes two different ones for equal."""
    return st.floats(low, high).map(lambda x: x if abs(x) > 1e-100 else 0.0)


# a few round values, so that ties and zero variance are common, and the whole range
rewards = st.one_of(st.sampled_from([-3.0, 0.0, 1.0, 4.0]), reals(-3.0, 4.0))
extreme = st.one_of(rewards, reals(-1e30, 1e30), st.sampled_from([1e30, -1e30, 1e-30, 1e-12]))
scores = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), reals(0.0, 1.0))
penalties = st.one_of(st.just(0.0), st.floats(-0.5, 0.5))


@st.composite
def batches(
    draw,
    outcomes=rewards,
    scores=scores,
    max_groups=4,
    max_size=6,
    min_groups=0,
    min_size=1,
    all_valid=False,
    signals=1,
):
    """A batch whose rollouts are interleaved between groups."""
    sizes = draw(st.lists(st.integers(min_size, max_size), min_size=min_groups, max_size=max_groups))
    group = draw(st.permutations([f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]))

    def column(values):
        return draw(st.lists(values, min_size=len(group), max_size=len(group)))

    row = st.lists(st.just(True) if all_valid else st.booleans(), min_size=signals, max_size=signals)
    valid = column(row)
    reasoning = column(st.lists(scores, min_size=signals, max_size=signals))
    return Batch(
        outcome=column(outcomes),
        reasoning=[
            [s if ok else NAN for s, ok in zip(*rows, strict=True)] for rows in zip(reasoning, valid, strict=True)
        ],
        group=list(group),
        valid=valid,
        outcome_valid=[True] * len(group) if all_valid or draw(st.booleans()) else column(st.booleans()),
        kl_penalty=column(penalties) if draw(st.booleans()) else [0.0] * len(group),
        tokens=column(st.integers(0, 9)),
    )


@st.composite
def configs(draw, signals=1, **fixed):
    """Any configuration for K signals, on the default reward range; `fixed` keys are not drawn."""
    clip_min, clip_max = sorted(draw(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=2)))
    low, high = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))
    drawn = {key: draw(st.sampled_from(values)) for key, values in _CHOICES.items()}
    if fixed.get("integration", drawn["integration"]) == "decoupled" and drawn["gate"] == "reliability":
        drawn["gate"] = "signal"  # the two do not go together
    drawn["weighting"] = "fixed"  # another lets groups hear each other: tests/awpo_ext/test_rival_presets.py
    drawn |= {
        "reliability_horizon": draw(st.sampled_from([100.0, 10_000.0])),
        "reasoning_key": [f"signal{k}" for k in range(signals)],
        "reasoning_weight": draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=signals, max_size=signals)),
        "reasoning_scale": draw(st.sampled_from([1.0, 7.0])),
        "norm_by_std": draw(st.booleans()),
        "whiten": draw(st.booleans()),
        "epsilon": draw(st.sampled_from([1e-8, 1e-6, 1e-3])),
        "gate_threshold": draw(st.floats(0.01, 0.49)),
        "noise_floor": draw(st.sampled_from([0.0, 0.2])),
        "difficulty_base": draw(st.floats(0, 2)),
        "difficulty_priority": draw(st.floats(0, 2)),
        "difficulty_low": low,
        "difficulty_high": high,
        "outcome_error_rate": draw(st.sampled_from([0.0, 0.1])),
        "clip_min": clip_min,
        "clip_max": clip_max,
    }
    return AwpoConfig(**{**drawn, **fixed})


@st.composite
def cases(draw, fixed=(), **kwargs):
    """A batch and a configuration with the same number of signals."""
    signals = draw(st.integers(1, 3))
    return draw(batches(signals=signals, **kwargs)), draw(configs(signals=signals, **dict(fixed)))


def rng_batch(seed: int, groups: int, size: int, signals: int = 1) -> Batch:
    """A plain random batch with few ties, for parity with other implementations."""
    rng = np.random.default_rng(seed)
    n = groups * size
    return Batch(
        outcome=rng.uniform(-3, 4, n).tolist(),
        reasoning=rng.uniform(0, 1, (n, signals)).tolist(),
        group=[f"g{i % groups}" for i in range(n)],
        valid=[[True] * signals] * n,
        outcome_valid=[True] * n,
        kl_penalty=[0.0] * n,
        tokens=rng.integers(1, 9, n).tolist(),
    )
