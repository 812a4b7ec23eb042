"""AwpoConfig: every switch of the method in one frozen, validated dataclass. Not for verl's own keys.

Labels in the field comments: V stated by the paper, S reported by others about it, R our reconstruction (docs/method.md).
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args, get_origin

CHOICES = {
    "baseline": ("mean", "leave_one_out"),
    "integration": ("mix", "decoupled"),
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
    "clip_higher": (1.0, math.inf, True, False),
    "reward_min": (-math.inf, math.inf, False, False),
    "reward_max": (-math.inf, math.inf, False, False),
    "judge_stop_share": (0.0, math.inf, False, True),
    "judge_stop_steps": (1, 10_000, True, True),
    "unreadable_stop_share": (0.0, 1.0, True, True),
}


# Other estimators on the same kernel, as settings of the same switches; keys that are given as well win (docs/method.md).
_OUTCOME_ONLY = {"gate": "none", "difficulty": "none", "clip_schedule": "fixed"}
_SUM = {"gate": "always", "saturated": "reasoning", "difficulty": "none", "clip_schedule": "fixed"}
PRESETS: dict[str, dict[str, Any]] = {
    "awpo": {},
    "outcome_only": _OUTCOME_ONLY,  # GRPO, arXiv 2402.03300
    "naive_sum": _SUM,  # GRPO on the sum of outcome and weighted reasoning
    "gdpo": {**_SUM, "integration": "decoupled", "whiten": True},  # arXiv 2601.05242
    "dr_grpo": {**_OUTCOME_ONLY, "norm_by_std": False},  # arXiv 2503.20783
    "rloo": {**_OUTCOME_ONLY, "norm_by_std": False, "baseline": "leave_one_out"},  # arXiv 2402.14740
}


class AwpoConfigError(ValueError):
    """A key or value of the AWPO section that does not fit; the message names key, value and what is allowed."""


@dataclass(frozen=True)
class AwpoConfig:
    """The AWPO section (`+algorithm.awpo.*` in verl). Defaults are the method's default column (docs/method.md).

    Raises:
        AwpoConfigError: a value of the wrong type, outside its range, or at odds with another key.
    """

    # Columns of the reward function's result, one or several signals; the outcome is the reward itself.
    reasoning_key: tuple[str, ...] = ("reasoning",)
    valid_key: tuple[str, ...] = ()  # none given: `<reasoning_key>_valid` each
    outcome_valid_key: str = "outcome_valid"  # 0 where the verifier itself failed; a function may do without the column
    reasoning_weight: tuple[float, ...] = (1.0,)  # lambda of the mixed reward (R), one for all signals or one each
    reasoning_scale: float = 1.0  # puts the judge's [0, 1] on the outcome's scale (R)
    reward_min: float = -3.0  # range of the outcome reward, for the success rate p
    reward_max: float = 4.0
    baseline: str = "mean"  # what a reward is compared with: the group's mean, or that of its other rollouts (RLOO)
    norm_by_std: bool = True  # divide group-relative rewards by their std, as GRPO does (R)
    epsilon: float = 1e-6  # added to every std before dividing (verl's GRPO value)
    integration: str = "mix"  # normalise the summed reward (R), or each reward by itself and sum (GDPO)
    whiten: bool = False  # bring the batch's advantages to mean 0 and variance 1 over response tokens (GDPO)

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
    clip_higher: float = 1.0  # clip-higher (DAPO): the upper radius is this times the lower one, at every gate (R)

    # End the run where the judge failed on this share of its judgements over so many steps; above 1: never.
    judge_stop_share: float = math.inf
    judge_stop_steps: int = 3
    # End the run where more than this share of the first step's responses cannot be read; 1: never.
    unreadable_stop_share: float = 0.95

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
        self._match_signals()

    def _match_signals(self) -> None:
        """One valid_key and one weight for each reasoning_key."""
        keys = self.reasoning_key
        if len(set(keys)) != len(keys):
            raise AwpoConfigError(f"algorithm.awpo.reasoning_key={list(keys)} names a column twice; name each once")
        object.__setattr__(self, "valid_key", self.valid_key or tuple(f"{key}_valid" for key in keys))
        if len(self.reasoning_weight) == 1:
            object.__setattr__(self, "reasoning_weight", self.reasoning_weight * len(keys))
        for name in ("valid_key", "reasoning_weight"):
            values = getattr(self, name)
            if len(values) != len(keys):
                raise AwpoConfigError(
                    f"algorithm.awpo.{name}={list(values)} has {len(values)} entries for {len(keys)} signals "
                    f"(reasoning_key={list(keys)}); give one each"
                )

    @property
    def signals(self) -> int:
        """K, the number of reasoning signals."""
        return len(self.reasoning_key)

    @classmethod
    def from_mapping(cls, section: Mapping[str, Any] | None) -> "AwpoConfig":
        """Build from a mapping such as verl's `algorithm.awpo` section; None means all defaults.

        The key `preset` names an entry of `PRESETS`, whose settings stand in for the defaults.

        Raises:
            AwpoConfigError: an unknown key (with the nearest known one), or a value `AwpoConfig` refuses.
        """
        section = dict(section or {})
        preset = section.pop("preset", "awpo")
        if preset not in PRESETS:
            raise AwpoConfigError(f"algorithm.awpo.preset={preset!r} is unknown; allowed: {' | '.join(PRESETS)}")
        known = [field.name for field in fields(cls)]
        for key in section:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean '{near[0]}'? " if near else ""
                raise AwpoConfigError(
                    f"unknown key algorithm.awpo.{key}={section[key]!r}; {hint}allowed keys: preset, {', '.join(known)}"
                )
        return cls(**{**PRESETS[preset], **section})


def _checked(key: str, kind: Any, value: Any) -> Any:
    """`value` as `kind`, or AwpoConfigError. A bool is not a number here, and 1 is not a bool. One value may stand for
    a tuple of one."""
    if get_origin(kind) is tuple:
        values = value if isinstance(value, list | tuple) else (value,)
        if not values and key != "valid_key":
            raise AwpoConfigError(f"algorithm.awpo.{key}=[] is empty; give at least one value")
        return tuple(_checked(key, get_args(kind)[0], item) for item in values)
    if kind is bool:
        if not isinstance(value, bool):
            raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} has the wrong type; allowed: true or false")
        return value
    if kind is str:
        return _checked_text(key, value)
    return _checked_number(key, value, whole=kind is int)


def _checked_text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} has the wrong type; allowed: a non-empty string")
    if key in CHOICES and value not in CHOICES[key]:
        raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} is unknown; allowed: {' | '.join(CHOICES[key])}")
    return value


def _checked_number(key: str, value: Any, whole: bool) -> float:
    low, high, low_in, high_in = RANGES[key]
    span = f"{'[' if low_in else '('}{low}, {high}{']' if high_in else ')'}"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise AwpoConfigError(f"algorithm.awpo.{key}={value!r} has the wrong type; allowed: {kind} in {span}")
    value = value if whole else float(value)
    inside = (low <= value if low_in else low < value) and (value <= high if high_in else value < high)
    if not inside:
        raise AwpoConfigError(f"algorithm.awpo.{key}={value} is out of range; allowed: {span}")
    return value
