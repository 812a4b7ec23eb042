"""The guard: what is watched in a run, when that is an alarm, and what an alarm says. Pure; one object a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awpo_ext.guard.evidence import RiseTest, StuckTest
from awpo_ext.guard.options import LOG
from awpo_ext.guard.statistics import Values


@dataclass(frozen=True)
class Kind:
    """One thing that is watched.

    says: what an alarm says. look: the filter of `awpo view`, or what else to look at.
    least: a smaller rise is no alarm, however sure it is.
    excused: a rise that comes with a gain in outcomes is ordinary learning: so much of it for the whole range of outcomes.
    pooled: updates are put together until there is this much information, so that all looks are about equally sharp.
    about_judge: whether the options' action follows.
    """

    says: str
    look: str
    least: float = 0.0
    excused: float = 0.0
    pooled: float = 0.0
    about_judge: bool = True


_HIGH = "filter 'Judge high, outcome low'"
RISES = {
    "gap": Kind("the judge rises and the outcome does not: judge less outcome", _HIGH, 0.05, 1.0),
    "second": Kind("the second opinion follows the judge less: first less second", _HIGH, 0.05, pooled=16),
    "reliability": Kind(
        "the judge agrees less with outcomes within groups: minus the correlation", _HIGH, 0.1, pooled=50
    ),
    "length": Kind("responses grow and the outcome does not: log of the tokens", "sort by tokens", 0.22, 2.0),
    "repetition": Kind("thoughts repeat themselves: share said before", "the longest responses", 0.05),
    "template": Kind("thoughts under different prompts are alike: similarity", "rollouts of two prompts", 0.1, 0.5),
    "copied": Kind("thoughts copy the request or the tools: share copied", "rollouts beside their prompt", 0.1, 1.0),
    "unparseable": Kind("more responses cannot be read: share", "filter 'Unparseable'", 0.05, about_judge=False),
    "unscored": Kind("the judge scores fewer rollouts: share unscored", "filter 'Unscored'", 0.1, about_judge=False),
}
STUCK = {
    "gate_shut": Kind("the gate is shut in all groups: the judge has no say", "filter 'Closed'", about_judge=False),
    "gate_open": Kind("the gate is fully open in all groups", _HIGH),
    "no_say": Kind("leverage is near 0: the judge hardly moves the policy", "awpo/leverage/mean", about_judge=False),
    "all_say": Kind("leverage is near 1: the judge alone moves the policy", "awpo/leverage/mean"),
}
KINDS = {**RISES, **STUCK}


@dataclass(frozen=True)
class Alarm:
    """`since` is the step at which it began, as far as the test can tell; the values are means before and from then on."""

    kind: str
    step: int
    since: int
    before: float = math.nan
    after: float = math.nan

    @property
    def about_judge(self) -> bool:
        return KINDS[self.kind].about_judge

    def line(self, run: str | None, action: str = LOG) -> str:
        """One line for the console; `run` is what `awpo view` opens, None where the run is not recorded."""
        kind = KINDS[self.kind]
        change = "" if math.isnan(self.before) else f" {self.before:.3g} -> {self.after:.3g}"
        look = (
            f"awpo view {run} (step {self.since} and on, {kind.look}), awpo replay {run} --set gate=none"
            if run
            else "awpo/alarm/*; to read the rollouts, record the run: +algorithm.awpo.record.enable=true"
        )
        done = f". Action: {action}" if self.about_judge and action != LOG else ""
        return f"ALARM {self.kind}: {kind.says}{change}, since step {self.since}, now {self.step}. Look at {look}{done}"


class Guard:
    """Tests on a run's statistics. `false_alarms` is the chance of any alarm in a run in which nothing is wrong.

    It is shared evenly between all kinds, and each kind spends half of what it has left on its next alarm.
    """

    def __init__(self, false_alarms: float) -> None:
        self.false_alarms = false_alarms
        self.raised: dict[str, list[int]] = {}  # the steps of the alarms of each kind
        self.latest: dict[str, float] = {}
        self._tests: dict[str, Any] = {  # kind -> its RiseTest or StuckTest
            **{name: RiseTest() for name in RISES},
            **{name: StuckTest() for name in STUCK},
        }
        self._pools: dict[str, tuple[float, float]] = {}

    @property
    def count(self) -> int:
        """Alarms so far."""
        return sum(map(len, self.raised.values()))

    def limit(self, kind: str) -> float:
        """The wealth at which the next alarm of this kind is raised."""
        return len(KINDS) * 2.0 ** (len(self.raised.get(kind, ())) + 1) / self.false_alarms

    def observe(self, step: int, values: Values, holds: Mapping[str, bool] = {}) -> list[Alarm]:
        """Take in what was measured of an update, in the order of the run; what is missing is not looked at.

        Args:
            values: of RISES, and "outcome", by which some are excused; a kind that is excused waits for it.
            holds: of STUCK.
        """
        looked = []
        success = values.get("outcome", (math.nan, 0.0))[0]
        for name, (value, weight) in values.items():
            if name not in RISES:
                continue
            pooled = self._pooled(name, value, weight)
            if pooled is None or (RISES[name].excused and math.isnan(success)):
                continue
            self.latest[name] = pooled
            excuse = RISES[name].excused * success if RISES[name].excused else 0.0
            self._tests[name].look(step, pooled - excuse, pooled)
            looked.append(name)
        for name, held in holds.items():
            self._tests[name].look(step, held)
            looked.append(name)
        return [alarm for name in looked if (alarm := self._alarm(name, step)) is not None]

    def metrics(self, alarms: Sequence[Alarm] = ()) -> dict[str, float]:
        """For a step's log. `evidence` is 0 where nothing speaks for an alarm and 1 where it is raised."""
        metrics = {"awpo/alarm/count": float(self.count)}
        for name, test in self._tests.items():
            if test.wealth.looks:
                evidence = math.log(max(1.0, test.wealth.value)) / math.log(self.limit(name))
                metrics[f"awpo/alarm/evidence/{name}"] = (
                    1.0 if any(alarm.kind == name for alarm in alarms) else evidence
                )
        metrics |= {f"awpo/alarm/value/{name}": value for name, value in self.latest.items()}
        return metrics | {f"awpo/alarm/since/{alarm.kind}": float(alarm.since) for alarm in alarms}

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        tests = {name: test.as_dict() for name, test in self._tests.items() if test.wealth.looks}
        return {"raised": self.raised, "tests": tests, "pools": self._pools}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `as_dict` gave, of this or an earlier version: a kind that it does not know begins anew.

        ValueError, KeyError or TypeError where it is damaged; then nothing has changed.
        """
        raised = {name: [int(step) for step in steps] for name, steps in saved["raised"].items() if name in KINDS}
        tests = {
            name: (RiseTest if name in RISES else StuckTest).from_dict(test)
            for name, test in saved["tests"].items()
            if name in KINDS
        }
        pools = {
            name: (float(total), float(weight)) for name, (total, weight) in saved["pools"].items() if name in RISES
        }
        if not all(math.isfinite(number) for pool in pools.values() for number in pool):
            raise ValueError("a saved guard holds a number that is not finite")
        self.raised, self._pools = raised, pools
        self._tests.update(tests)

    def _pooled(self, name: str, value: float, weight: float) -> float | None:
        """The value, or of pooled kinds the mean over updates once there is enough information; else None."""
        enough = RISES[name].pooled
        if not enough:
            return value
        total, known = self._pools.get(name, (0.0, 0.0))
        total, known = total + weight * value, known + weight
        full = known >= enough
        self._pools[name] = (0.0, 0.0) if full else (total, known)
        return total / known if full else None

    def _alarm(self, name: str, step: int) -> Alarm | None:
        test = self._tests[name]
        if test.wealth.value < self.limit(name) or (name in STUCK and name in self.raised):
            return None  # what is stuck stays so: it is said once
        onset = test.onset()
        since = test.steps[onset]
        if isinstance(test, RiseTest):
            before, after = test.before_after(onset)
            if not after - before >= RISES[name].least:
                return None
            alarm = Alarm(name, step, since, before, after)
            self._tests[name] = RiseTest()  # what has risen is normal from here on
        else:
            alarm = Alarm(name, step, since)
        self.raised.setdefault(name, []).append(step)
        return alarm
