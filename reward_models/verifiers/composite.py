"""Several verifiers as one: weights and gates by configuration, the range computed from the parts.

    +reward.custom_reward_function.reward_kwargs.verifier=composite
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.parts={format:1,strict:3}
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.gates={strict:format}

Each part's outcome is put on [0, 1] by its own range, that of the row where the row allows less, and multiplied by its
weight. So a weight is what a perfect answer gets from that part, and outcomes are in [0, sum of the weights].
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from reward_models.options import Options, Range, refuse_unknown, require
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier
from reward_models.verifiers.reading import Reading

_OWNER = "verifier 'composite'"
_MAX_WEIGHT = 1e6
GATED = "gated"


_NAMED = "a mapping of verifier names"


@dataclass(frozen=True)
class CompositeConfig(Reading, owner=_OWNER):
    """Which verifiers, and how they count.

    `dialect`, `thinking`: see `parse_response`; for all parts that read by a dialect, a part's own dialect comes first.
    `parts`: verifier -> weight > 0. `options`: verifier -> its own options. `gates`: verifier -> the verifier whose
    outcome must be perfect for the first to count, else it counts as 0: {"strict": "format"} is no correctness without
    format.
    """

    parts: Annotated[Mapping[str, float], _NAMED] = field(default_factory=dict)
    options: Annotated[Mapping[str, Mapping[str, Any]], _NAMED] = field(default_factory=dict)
    gates: Annotated[Mapping[str, str], _NAMED] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise ValueError(
                f"{_OWNER}: parts={dict(self.parts)!r} names no verifier; for example {{format: 1, strict: 3}}"
            )
        for name, weight in self.parts.items():
            require(_OWNER, f"parts.{name}", weight, Annotated[float, Range(0.0, _MAX_WEIGHT)])
            if weight == 0:
                raise ValueError(f"{_OWNER}: parts.{name}={weight!r} must be above 0; leave the part out")
        refuse_unknown(self.options, list(self.parts), f"{_OWNER}: options")
        for name, options in self.options.items():
            if options.get("thinking", self.thinking) != self.thinking:
                raise ValueError(
                    f"{_OWNER}: options.{name}.thinking={options['thinking']!r} is the template's, and the same for all "
                    f"parts; set thinking={options['thinking']} of the composite"
                )
        refuse_unknown(self.gates, list(self.parts), f"{_OWNER}: gates")
        for name, gate in self.gates.items():
            if gate not in self.parts or gate == name:
                raise ValueError(
                    f"{_OWNER}: gates.{name}={gate!r} must be another one of the parts {list(self.parts)!r}"
                )


class CompositeVerifier(Verifier):
    """The weighted sum of its parts.

    `format` is what the part of that name adds (0 without one), `correctness` the sum of all others. `parts` holds each
    verifier's share in [0, 1] by its name, after gates. `reason` is "gated" or that of the first part, by weight lost,
    that is not perfect, and of the heaviest part where all are.
    """

    def __init__(self, **options: Any) -> None:
        from reward_models.verifiers import make_verifier

        config = self.config = CompositeConfig.read(options)
        self.verifiers = {name: make_verifier(name, **config.options.get(name, {})) for name in config.parts}
        for name, verifier in self.verifiers.items():
            self._tell(verifier, config.options.get(name, {}))
        for name, verifier in self.verifiers.items():
            low, high = verifier.outcome_range
            if not low < high:
                raise ValueError(
                    f"{_OWNER}: part {name!r} has the range [{low}, {high}], in which nothing can be earned"
                )
        # In the order of `verify`: rounding must not put a perfect answer beside the end of the range.
        self.outcome_range = (0.0, Outcome(*_split(config.parts), reason="").outcome)
        self.format_range = (0.0, _split(config.parts)[0])
        self.heavy = any(verifier.heavy for verifier in self.verifiers.values())

    def _tell(self, verifier: Verifier, options: Mapping[str, Any]) -> None:
        """Give a part what all parts share, where it knows of it."""
        own = getattr(verifier, "config", None)
        shared = {"thinking": self.config.thinking}
        if self.config.dialect != "auto" and "dialect" not in options:
            shared["dialect"] = self.config.dialect
        if isinstance(own, Options) and not isinstance(verifier, CompositeVerifier):
            verifier.config = replace(own, **{key: value for key, value in shared.items() if hasattr(own, key)})

    def check(self) -> None:
        for verifier in self.verifiers.values():
            verifier.check()

    def check_row(self, rollout: Rollout) -> None:
        for verifier in self.verifiers.values():
            verifier.check_row(rollout)

    @property
    def reading(self) -> tuple[str, str]:
        """That of the first part that has one of its own."""
        readings = [verifier.reading for verifier in self.verifiers.values()]
        return next((reading for reading in readings if reading != ("auto", "auto")), readings[0])

    @property
    def needs_process(self) -> bool:
        return any(verifier.needs_process for verifier in self.verifiers.values())

    def verify(self, rollout: Rollout) -> Outcome:
        """Score one response by every part; ValueError where one of them refuses the row."""
        return self._combine({name: verifier.verify(rollout) for name, verifier in self.verifiers.items()})

    async def verify_async(self, rollout: Rollout) -> Outcome:
        outcomes = await asyncio.gather(*(verifier.verify_async(rollout) for verifier in self.verifiers.values()))
        return self._combine(dict(zip(self.verifiers, outcomes, strict=True)))

    def _combine(self, outcomes: Mapping[str, Outcome]) -> Outcome:
        shares = {name: self._share(name, outcome) for name, outcome in outcomes.items()}
        closed = {name for name, gate in self.config.gates.items() if shares[gate] < 1.0}
        gated = any(shares[name] > 0.0 for name in closed)
        shares.update(dict.fromkeys(closed, 0.0))
        earned = {name: weight * shares[name] for name, weight in self.config.parts.items()}
        reasons = dict.fromkeys(code for outcome in outcomes.values() for code in outcome.reasons or (outcome.reason,))
        if gated:
            reasons[GATED] = None
        return Outcome(
            *_split(earned),
            reason=GATED if gated else outcomes[self._main_part(shares)].reason,
            parts=shares,
            reasons=tuple(reasons),
            valid=all(outcome.valid for outcome in outcomes.values()),
        )

    def _share(self, name: str, outcome: Outcome) -> float:
        low, high = outcome.limits or self.verifiers[name].outcome_range
        return (outcome.outcome - low) / (high - low) if low < high else 1.0

    def _main_part(self, shares: Mapping[str, float]) -> str:
        weights = self.config.parts
        return max(weights, key=lambda name: (weights[name] * (1.0 - shares[name]), weights[name]))


def _split(earned: Mapping[str, float]) -> tuple[float, float]:
    """(what the part "format" adds, the sum of the others)."""
    return float(earned.get("format", 0.0)), float(sum(value for name, value in earned.items() if name != "format"))
