"""AwpoConfig: every switch of the method in one frozen, validated dataclass. Not for verl's own keys.

Labels in the field comments: V stated by the paper, S reported by others about it, R our reconstruction (docs/method.md).
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

CHOICES = {
    "gate": ("ratio", "threshold", "none", "always"),
    "saturated": ("outcome_only", "reasoning"),
    "difficulty": ("parabola", "band", "none"),
    "difficulty_target": ("total", "reasoning"),
    "clip_schedule": ("linear", "inverse", "fixed"),
    "clip_scope": ("batch", "group"),
}

# (low, high, low included, high included)
RANGES = {
    "reasoning_weight": (0.0, math.inf, True, False),
    "reasoning_scale": (0.0, math.inf, False, False),
    "epsilon": (0.0, 1.0, False, False),
    "gate_threshold": (0.0, 0.5, False, False),
    "noise_floor": (0.0, math.inf, True, False),
    "difficulty_base": (0.0, math.inf, True, False),
    "difficulty_priority": (0.0, math.inf, True, False),
    "difficulty_low": (0.0, 1.0, True, True),
    "difficulty_high": (0.0, 1.0, True, True),
    "clip_min": (0.0, 1.0, False, False),
    "clip_max": (0.0, 1.0, False, False),
    "clip_eta": (0.0, math.inf, True, False),
    "reward_min": (-math.inf, math.inf, False, False),
    "reward_max": (-math.inf, math.inf, False, False),
}


class AwpoConfigError(ValueError):
    """A key or value of the AWPO section that does not fit; the message names key, value and what is allowed."""


@dataclass(frozen=True)
class AwpoConfig:
    """The AWPO section (`+algorithm.awpo.*` in verl). Defaults are the method's default column (docs/method.md).

    Raises:
        AwpoConfigError: a value of the wrong type, outside its range, or at odds with another key.
    """

    reasoning_weight: float = 1.0  # lambda of the mixed reward (R)
    reasoning_scale: float = 1.0  # puts the judge's [0, 1] on the outcome's scale (R)
    reward_min: float = -3.0  # range of the outcome reward, for the success rate p
    reward_max: float = 4.0
    norm_by_std: bool = True  # divide group-relative rewards by their std, as GRPO does (R)
    epsilon: float = 1e-6  # added to every std before dividing (verl's GRPO value)

    gate: str = "ratio"  # variance-aware gate w (S)
    gate_threshold: float = 0.1  # `threshold` opens where std_out / (reward_max - reward_min) is below this (R)
    saturated: str = "outcome_only"  # groups already at reward_max: closed, or left to the `reasoning` reward (R)
    noise_floor: float = 0.0  # groups whose mixed std is below this are closed; in units of the mixed reward (R)

    difficulty: str = "parabola"  # difficulty-aware weight d (S)
    difficulty_target: str = "total"  # what d multiplies: the whole advantage, or its reasoning part only (R)
    difficulty_base: float = 0.5  # d where the group is all failed or all solved (R)
    difficulty_priority: float = 0.5  # what the hardest-to-call group gets on top (R)
    difficulty_low: float = 0.2  # `band`: success rates that get the priority
    difficulty_high: float = 0.8

    clip_schedule: str = "linear"  # how the radius tightens with the gate (S that it shrinks, R the form)
    clip_scope: str = "batch"  # one radius a batch, or one a group
    clip_max: float = 0.2  # radius where the gate is 0
    clip_min: float = 0.1  # radius where the gate is 1
    clip_eta: float = 1.0  # `inverse`: clip_max / (1 + clip_eta * w), never below clip_min

    reasoning_key: str = "reasoning"  # columns of the reward function's result; the outcome is the reward itself
    valid_key: str = "reasoning_valid"

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _checked(field.name, field.type, getattr(self, field.name)))
        for low, high in (("clip_min", "clip_max"), ("difficulty_low", "difficulty_high")):
            if getattr(self, low) > getattr(self, high):
                raise AwpoConfigError(
                    f"algorithm.awpo.{low}={getattr(self, low)} is above {high}={getattr(self, high)}; "
                    f"allowed: {low} <= {high}"
                )
        if self.reward_min >= self.reward_max:
            raise AwpoConfigError(
                f"algorithm.awpo.reward_min={self.reward_min} is not below reward_max={self.reward_max}; "
                "give the range of the outcome reward"
            )

    @classmethod
    def from_mapping(cls, section: Mapping[str, Any] | None) -> "AwpoConfig":
        """Build from a mapping such as verl's `algorithm.awpo` section; None means all defaults.

        Raises:
            AwpoConfigError: an unknown key (with the nearest known one), or a value `AwpoConfig` refuses.
        """
        section = dict(section or {})
        known = [field.name for field in fields(cls)]
        for key in section:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean '{near[0]}'? " if near else ""
                raise AwpoConfigError(
                    f"unknown key algorithm.awpo.{key}={section[key]!r}; {hint}allowed keys: {', '.join(known)}"
                )
        return cls(**section)


def _checked(key: str, kind: type, value: Any) -> Any:
    """`value` as `kind`, or AwpoConfigError. A bool is not a number here, and 1 is not a bool."""
    if kind is bool:
        if not isinstance(value, bool):
            raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} has the wrong type; allowed: true or false")
        return value
    if kind is str:
        if not isinstance(value, str) or not value:
            raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} has the wrong type; allowed: a non-empty string")
        if key in CHOICES and value not in CHOICES[key]:
            raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} is unknown; allowed: {' | '.join(CHOICES[key])}")
        return value
    low, high, low_in, high_in = RANGES[key]
    span = f"{'[' if low_in else '('}{low}, {high}{']' if high_in else ')'}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} has the wrong type; allowed: a number in {span}")
    value = float(value)
    if (
        math.isnan(value)
        or value < low
        or value > high
        or (value == low and not low_in)
        or (value == high and not high_in)
    ):
        raise AwpoConfigError(f"algorithm.awpo.{key}={value} is out of range; allowed: {span}")
    return value
