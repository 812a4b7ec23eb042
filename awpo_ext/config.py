"""AwpoConfig: every switch of the method in one frozen, validated dataclass. Not for verl's own keys.

Labels in the field comments: V stated by the paper, S reported by others about it, R our reconstruction (docs/method.md).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from reward_models.errors import UserError
from reward_models.options import EMPTY, Misfit, NotEmpty, Options, Range, did_you_mean, fit, kinds_of

Share = Annotated[float, Range(0.0, 1.0)]
Radius = Annotated[float, Range(0.0, 1.0, "()")]
Finite = Annotated[float, Range(-math.inf, math.inf, "()")]
NotNegative = Annotated[float, Range(0.0, math.inf, "[)")]
ASSUMED_RANGE = (0.0, 1.0)  # of an outcome component whose range nobody states
_WEIGHTS = "a mapping of column names to weights, or a list of column names"
_RANGES = "a mapping of names of reward_components to [lowest, highest]"

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
    "maxrl": {**_OUTCOME_ONLY, "norm_by_std": False, "norm_by_mean": True},  # arXiv 2602.02710
    "s_grpo": {**_OUTCOME_ONLY, "difficulty": "noise_aware", "epsilon": 1e-8},  # arXiv 2508.05928
    "saw": {**_SUM, "weighting": "variation"},  # arXiv 2606.07705, on the sum
    "saw_gdpo": {**_SUM, "weighting": "variation", "integration": "decoupled", "whiten": True},  # the same, on GDPO
    "reliability": {"gate": "reliability", "integration": "reasoning", "difficulty": "none"},  # ours
}


class AwpoConfigError(UserError, ValueError):
    """A key or value of the AWPO section that does not fit; the message names key, value and what is allowed."""


@dataclass(frozen=True)
class AwpoConfig(Options):
    """The AWPO section (`+algorithm.awpo.*` in verl). Defaults are the method's default column (docs/method.md).

    Raises:
        AwpoConfigError: a value of the wrong type, outside its range, or at odds with another key.
    """

    # Columns of the reward function's result, one or several signals; the outcome is the reward itself.
    reasoning_key: Annotated[tuple[str, ...], NotEmpty()] = ("reasoning",)
    valid_key: tuple[str, ...] = ()  # none given: `<reasoning_key>_valid` each
    outcome_valid_key: str = "outcome_valid"  # 0 where the verifier itself failed; a function may do without the column
    # Outcome components: columns of the reward function with their weights, whose sum is the outcome in place of verl's
    # reward; each has a column `<name>_valid`, or is always valid. Weight 0: logged only.
    reward_components: Annotated[Mapping[str, float], _WEIGHTS] = field(default_factory=dict, hash=False)
    # [lowest, highest] of each component, [0, 1] where not given; columns `<name>_min`, `<name>_max` win
    component_range: Annotated[Mapping[str, tuple[float, float]], _RANGES] = field(default_factory=dict, hash=False)
    # lambda of the mixed reward (R), one for all signals or one each
    reasoning_weight: Annotated[tuple[NotNegative, ...], NotEmpty()] = (1.0,)
    # puts the judge's [0, 1] on the outcome's scale (R)
    reasoning_scale: Annotated[float, Range(0.0, math.inf, "()")] = 1.0
    # range of the outcome reward, for the success rate p; with `reward_components` it follows from theirs
    reward_min: Finite = -3.0
    reward_max: Finite = 4.0  # its upper end
    # what a reward is compared with: the group's mean, or that of its other rollouts (RLOO)
    baseline: Literal["mean", "leave_one_out"] = "mean"
    norm_by_std: bool = True  # divide group-relative rewards by their std, as GRPO does (R)
    norm_by_mean: bool = False  # divide them by their group's mean above the lowest reward instead (MaxRL)
    epsilon: Radius = 1e-6  # added to every std before dividing (verl's GRPO value)
    # w leads to the advantage of the summed reward (R), of the reasoning reward alone (R), or GDPO's sum of advantages
    integration: Literal["mix", "reasoning", "decoupled"] = "mix"
    # how much each signal weighs beside its lambda: 1, or by its coefficient of variation over the batch (SAW)
    weighting: Literal["fixed", "variation"] = "fixed"
    whiten: bool = False  # bring the batch's advantages to mean 0 and variance 1 over response tokens (GDPO)

    # how w is found: variance-aware (S), the judge's own share (R), as far as outcomes confirm the judge (ours)
    gate: Literal["ratio", "signal", "reliability", "threshold", "none", "always"] = "ratio"
    # `reliability` forgets all but 1/e of its evidence in so many groups (ours)
    reliability_horizon: Annotated[float, Range(1.0, math.inf, "[)")] = 10_000.0
    # `threshold` opens where std_out / (reward_max - reward_min) is below this (R)
    gate_threshold: Annotated[float, Range(0.0, 0.5, "()")] = 0.1
    # groups already at reward_max: closed, or left to the `reasoning` reward (R)
    saturated: Literal["outcome_only", "reasoning"] = "outcome_only"
    noise_floor: NotNegative = 0.0  # groups whose mixed std is below this are closed; in units of the mixed reward (R)

    # difficulty-aware weight d (S); `noise_aware` is S-GRPO's, for a verifier that errs
    difficulty: Literal["parabola", "band", "noise_aware", "none"] = "parabola"
    # what d multiplies: the whole advantage, or its reasoning part only (R)
    difficulty_target: Literal["total", "reasoning"] = "total"
    difficulty_base: NotNegative = 0.5  # d where the group is all failed or all solved (R)
    difficulty_priority: NotNegative = 0.5  # what the hardest-to-call group gets on top (R)
    difficulty_low: Share = 0.2  # `band`: success rates that get the priority
    difficulty_high: Share = 0.8  # the upper end of them
    outcome_error_rate: Annotated[float, Range(0.0, 0.5, "[)")] = 0.0  # `noise_aware`: how often the verifier is wrong

    # how the radius tightens with the gate (S that it shrinks, R the form)
    clip_schedule: Literal["linear", "inverse", "fixed"] = "linear"
    clip_scope: Literal["batch", "group"] = "batch"  # one radius a batch, or one a group
    clip_max: Radius = 0.2  # radius where the gate is 0
    clip_min: Radius = 0.1  # radius where the gate is 1
    clip_eta: NotNegative = 1.0  # `inverse`: clip_max / (1 + clip_eta * w), never below clip_min
    # clip-higher (DAPO): the upper radius is this times the lower one, at every gate (R)
    clip_higher: Annotated[float, Range(1.0, math.inf, "[)")] = 1.0

    # End the run where the judge failed on this share of its judgements over so many steps; above 1: never.
    judge_stop_share: Annotated[float, Range(0.0, math.inf, "(]")] = math.inf
    judge_stop_steps: Annotated[int, Range(1, 10_000)] = 3  # how many steps `judge_stop_share` looks at
    # End the run where more than this share of the first step's responses cannot be read; 1: never.
    unreadable_stop_share: Share = 0.95

    def __post_init__(self) -> None:
        names = self.reward_components
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            if len(set(names)) != len(names):
                raise AwpoConfigError(
                    f"algorithm.awpo.reward_components={list(names)} names a column twice; give weights"
                )
            object.__setattr__(self, "reward_components", dict.fromkeys(names, 1.0))
        super().__post_init__()
        self._read_components()
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
        if self.gate == "reliability" and self.integration == "decoupled":
            raise AwpoConfigError(
                "algorithm.awpo.gate='reliability' does not go with integration='decoupled', in which lambda and not w is "
                "the judge's share; set integration=reasoning (or mix)"
            )
        if self.norm_by_std and self.norm_by_mean:
            raise AwpoConfigError(
                "algorithm.awpo.norm_by_mean=True does not go with norm_by_std=True; set one of them to false"
            )
        if self.weighting != "fixed" and (self.gate != "always" or self.integration == "reasoning"):
            raise AwpoConfigError(
                f"algorithm.awpo.weighting={self.weighting!r} weighs whole signals, so it goes with gate=always and "
                f"integration=mix or decoupled; found gate={self.gate!r}, integration={self.integration!r}. Set preset=saw "
                "or saw_gdpo, or weighting=fixed"
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

    def _read_components(self) -> None:
        """Weights and ranges of the outcome components, and the range of their sum."""
        given, ranges = self.reward_components, self.component_range
        for name, low_high in ranges.items():
            if name not in given:
                raise AwpoConfigError(
                    f"algorithm.awpo.component_range.{name}={low_high!r} is the range of nothing; "
                    f"{did_you_mean(name, list(given))}reward_components: {', '.join(map(str, given)) or '(none)'}"
                )
        if not given:
            return
        weights = {name: self._fitted(f"reward_components.{name}", Finite, value) for name, value in given.items()}
        bounds = {n: self._fitted(f"component_range.{n}", tuple[Finite, Finite], value) for n, value in ranges.items()}
        keys: list[Any] = list(weights)
        if unnamed := [name for name in keys if not isinstance(name, str) or not name]:
            raise AwpoConfigError(f"algorithm.awpo.reward_components names {unnamed[0]!r}; allowed: {_WEIGHTS}")
        if bad := [name for name, (low, high) in bounds.items() if low >= high]:
            raise AwpoConfigError(
                f"algorithm.awpo.component_range.{bad[0]}={list(bounds[bad[0]])} is not a range; give [lowest, highest]"
            )
        if not any(weights.values()):
            raise AwpoConfigError(
                f"algorithm.awpo.reward_components={weights} has no weight other than 0, so no outcome; give one a weight"
            )
        if both := [name for name in self.reasoning_key if name in weights]:
            raise AwpoConfigError(
                f"algorithm.awpo.reward_components and reasoning_key both name {both[0]!r}; it is the one or the other"
            )
        object.__setattr__(self, "reward_components", weights)
        object.__setattr__(self, "component_range", bounds)
        ends = [sorted(w * end for end in bounds.get(name, ASSUMED_RANGE)) for name, w in weights.items()]
        for key, end in (("reward_min", 0), ("reward_max", 1)):
            follows = sum(low_high[end] for low_high in ends)
            if getattr(self, key) != getattr(AwpoConfig, key):
                self._follows(key, getattr(self, key), follows)
            object.__setattr__(self, key, follows)

    @staticmethod
    def _follows(key: str, given: float, follows: float) -> None:
        if given != follows:
            raise AwpoConfigError(
                f"algorithm.awpo.{key}={given} does not go with reward_components, by which it is {follows}; leave it out, "
                "and set component_range.<name>=[lowest, highest] where a component is not in [0, 1]"
            )

    def _fitted(self, key: str, kind: Any, value: Any) -> Any:
        try:
            return fit(kind, value)
        except Misfit as misfit:
            raise self.refusal(key, misfit) from None

    @property
    def components(self) -> tuple[str, ...]:
        """The C outcome components; none where the outcome is one reward."""
        return tuple(self.reward_components)

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
        known = list(kinds_of(cls))
        for key in section:
            if key not in known:
                raise AwpoConfigError(
                    f"unknown key algorithm.awpo.{key}; {did_you_mean(key, known)}"
                    f"allowed keys: preset, {', '.join(known)}"
                )
        config = cls(**{**PRESETS[preset], **section})
        for key in ("reward_min", "reward_max"):  # a value that is the default is seen only here
            if config.components and key in section:
                cls._follows(key, section[key], getattr(config, key))
        return config

    @classmethod
    def refusal(cls, key: str, misfit: Misfit) -> AwpoConfigError:
        allowed = misfit.allowed if isinstance(misfit.allowed, str) else " | ".join(misfit.allowed)
        advice = allowed if misfit.fault == EMPTY else f"allowed: {allowed}"
        return AwpoConfigError(f"algorithm.awpo.{key}={misfit.value!r} {misfit.fault}; {advice}")
