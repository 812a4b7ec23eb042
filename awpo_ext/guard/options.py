"""`algorithm.awpo.guard.*`: whether a run is watched, how often it may cry wolf, and what an alarm does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from awpo_ext.config import AwpoConfig
from reward_models.options import Options, Range

KEY = "algorithm.awpo.guard"
LOG, HALVE, CLOSE, STOP = "log", "halve_lambda", "close_gate", "stop"


@dataclass(frozen=True)
class GuardOptions(Options, owner=KEY):
    """Statistical tests on each step's rollouts, which raise alarms; `algorithm.awpo.guard=false` turns them off.

    enable: whether to watch the run.
    false_alarms: the chance, in a run in which nothing drifts that is watched, that there is any alarm at all.
    action: what an alarm about the judge does beside its line in the log: nothing more, halve lambda, close the gate for the
        rest of the run, or end the run before its next step.
    second: `reward_kwargs` of a second opinion: another `judge` with its `judge_kwargs`, or a stricter `verifier` with its
        `verifier_kwargs`.
    second_share: share of the rollouts that get the second opinion.
    second_most: of one update, at most so many do.
    second_seconds: a second opinion that takes longer is given up, as a failure of its own.
    """

    enable: bool = True
    false_alarms: Annotated[float, Range(0.0, 1.0, "()")] = 0.05
    action: Literal["log", "halve_lambda", "close_gate", "stop"] = "log"
    second: Annotated[Mapping[str, Any], "keys of reward_kwargs, such as judge and judge_kwargs"] = field(
        default_factory=dict
    )
    second_share: Annotated[float, Range(0.0, 1.0)] = 0.02
    second_most: Annotated[int, Range(1, 100_000)] = 32
    second_seconds: Annotated[float, Range(0.1, 86_400.0)] = 120.0

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | bool | None) -> GuardOptions:
        """Of the section `algorithm.awpo.guard`: a mapping, or true or false; a run without one is watched.

        Raises ValueError that names key, value and what is allowed.
        """
        if section is None or isinstance(section, bool):
            return cls(enable=section is not False)
        if not isinstance(section, Mapping):
            raise ValueError(f"{KEY}={section!r} must be true, false, or keys such as {KEY}.action=stop")
        return cls.read(section)

    def check_with(self, awpo: AwpoConfig) -> None:
        """ValueError for an action that would change nothing in a run of this configuration."""
        if self.action in (HALVE, CLOSE) and awpo.gate == "none":
            raise ValueError(
                f"{KEY}.action={self.action} with algorithm.awpo.gate=none: the judge has no say that could be taken; "
                "set action=log or stop"
            )
        if self.action == HALVE and awpo.integration == "reasoning":
            raise ValueError(
                f"{KEY}.action={HALVE} with algorithm.awpo.integration=reasoning: there the judge's advantage is divided by "
                "its own spread, so lambda has no effect; set action=close_gate or stop"
            )

    def asks_second(self, key: str) -> bool:
        """Whether this rollout gets a second opinion: by the hash of its key, so the same in each process."""
        digest = hashlib.sha256(f"second {key}".encode("utf-8", "surrogatepass")).digest()
        return bool(self.second) and int.from_bytes(digest[:8], "big") < self.second_share * 2**64
