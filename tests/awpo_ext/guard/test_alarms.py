"""The guard: what is an alarm and what is ordinary learning, over whole made-up runs of numbers."""

import json

import numpy as np
import pytest

from awpo_ext.guard.alarms import KINDS, RISES, STUCK, Guard
from awpo_ext.guard.options import GuardOptions


def run(guard, steps, means, seed=0, noise=0.03, holds=None, first=1):
    """Alarms of a run; kind -> function of the step gives the mean of each statistic. The outcome is level if not given."""
    rng, alarms = np.random.default_rng(seed), []
    for step in range(first, first + steps):
        values = {"outcome": (0.5, 1.0)}
        values |= {name: (mean(step) + float(rng.normal(0, noise)), 20.0) for name, mean in means.items()}
        alarms += guard.observe(step, values, {name: rule(step) for name, rule in (holds or {}).items()})
    return alarms


def flat(value=0.5):
    return lambda step: value


def jump(size, at=60, start=0.5):
    return lambda step: start + (size if step >= at else 0.0)


def test_no_alarm_where_nothing_changes():
    means = {"outcome": flat(), **{name: flat() for name in RISES}}
    holds = {name: lambda step: step % 2 == 0 for name in STUCK}
    wrong = sum(bool(run(Guard(0.05), 150, means, seed, holds=holds)) for seed in range(12))
    assert wrong <= 2


@pytest.mark.parametrize("kind", RISES)
def test_each_rise_is_found_dated_and_said(kind):
    guard = Guard(0.05)
    (alarm, *_) = run(guard, 110, {"outcome": flat(), kind: jump(0.4)}, noise=0.05)
    pooled = 3 if RISES[kind].pooled else 1
    assert alarm.kind == kind and 60 <= alarm.step <= 60 + 18 * pooled and abs(alarm.since - 60) <= 4 * pooled
    assert alarm.after - alarm.before > 0.3
    line = alarm.line("outputs/mine", "close_gate")
    assert line.startswith(f"ALARM {kind}: ") and "awpo view outputs/mine" in line and "\n" not in line
    assert ("Action: close_gate" in line) == KINDS[kind].about_judge
    assert "record" in alarm.line(None)


@pytest.mark.parametrize("kind", STUCK)
def test_what_is_stuck_is_said_once(kind):
    alarms = run(Guard(0.05), 200, {}, holds={kind: lambda step: step > 50})
    assert [alarm.kind for alarm in alarms] == [kind] and 60 <= alarms[0].step <= 90 and abs(alarms[0].since - 51) <= 1


@pytest.mark.parametrize("judge", [0.2, 0.6, 1.1])
def test_a_judge_that_rises_with_the_outcome_is_ordinary_learning(judge):
    learns = {"outcome": lambda s: 0.2 + 0.6 * s / (s + 40), "gap": lambda s: 0.3 + (judge - 0.6) * s / (s + 40)}
    assert run(Guard(0.05), 200, learns) == []


def test_a_judge_that_rises_much_faster_than_the_outcome_is_an_alarm():
    means = {"outcome": lambda s: 0.5 + 0.1 * s / 100, "gap": lambda s: 0.4 * s / 100}
    assert {alarm.kind for alarm in run(Guard(0.05), 100, means)} == {"gap"}


def test_longer_answers_are_excused_by_gains_in_the_outcome_and_by_nothing_else():
    grows = {"length": lambda s: 5.0 + 0.8 * s / 100}
    gains = {"outcome": lambda s: 0.2 + 0.5 * s / 100}
    assert run(Guard(0.05), 100, {**gains, **grows}) == []
    assert {alarm.kind for alarm in run(Guard(0.05), 100, {"outcome": flat(), **grows})} == {"length"}
    falls = {"outcome": lambda s: 0.8 - 0.5 * s / 100, "length": flat(5.0)}
    assert run(Guard(0.05), 100, falls) == []  # it is not the length that rises


def test_a_small_rise_is_no_alarm_however_sure():
    assert run(Guard(0.05), 200, {"gap": jump(0.03)}, noise=0.001) == []


def test_a_value_that_is_missing_is_not_looked_at():
    guard = Guard(0.05)
    assert guard.observe(1, {}) == [] and guard.observe(2, {"length": (3.0, 1.0)}) == []
    assert guard.metrics() == {"awpo/alarm/count": 0.0}


def test_a_rise_that_goes_on_is_said_again_each_time_less_easily():
    guard = Guard(0.05)
    before = guard.limit("gap")
    alarms = run(guard, 200, {"gap": lambda s: 0.2 * (s // 60)})
    assert [alarm.step // 60 for alarm in alarms] == [1, 2, 3] and guard.limit("gap") == before * 8
    assert all(abs(alarm.since - 60 * (i + 1)) <= 3 for i, alarm in enumerate(alarms))
    assert run(guard, 200, {"gap": flat(0.6)}, seed=1, first=201) == []  # it is normal by now


def test_the_shares_of_all_alarms_stay_below_the_stated_chance():
    guard = Guard(0.05)
    shares = []
    for kind in KINDS:
        for n in range(30):
            guard.raised[kind] = [1] * n
            shares.append(1 / guard.limit(kind))
    assert sum(shares) <= 0.05


def test_metrics_tell_evidence_and_onset():
    guard = Guard(0.05)
    alarms = run(guard, 75, {"gap": jump(0.4)})
    metrics = guard.metrics(alarms)
    assert metrics["awpo/alarm/count"] == 1.0 and metrics["awpo/alarm/evidence/gap"] == 1.0
    assert abs(metrics["awpo/alarm/since/gap"] - 60) <= 2 and metrics["awpo/alarm/value/gap"] > 0.7
    assert 0 <= guard.metrics()["awpo/alarm/evidence/gap"] < 1


@pytest.mark.parametrize("cut", [20, 64, 90])
def test_a_guard_from_a_checkpoint_says_the_same(cut):
    means = {"outcome": flat(), "gap": jump(0.4), "reliability": jump(0.3, at=70), "template": flat()}
    holds = {"all_say": lambda step: step > 40}
    rng = np.random.default_rng(5)
    rows = [({name: (m(s) + float(rng.normal(0, 0.03)), 20.0) for name, m in means.items()},
             {name: rule(s) for name, rule in holds.items()}) for s in range(130)]  # fmt: skip
    whole, first, second = Guard(0.05), Guard(0.05), Guard(0.05)
    expected = [alarm for s, row in enumerate(rows) for alarm in whole.observe(s, *row)]
    found = [alarm for s, row in enumerate(rows[:cut]) for alarm in first.observe(s, *row)]
    second.restore(json.loads(json.dumps(first.as_dict())))
    found += [alarm for s, row in enumerate(rows[cut:], cut) for alarm in second.observe(s, *row)]
    assert found == expected and expected and second.as_dict() == whole.as_dict()


@pytest.mark.parametrize("saved", [
    {}, {"raised": {}, "tests": {"gap": {}}, "pools": {}}, {"raised": [], "tests": {}, "pools": {}},
    {"raised": {}, "tests": {}, "pools": {"second": [float("nan"), 1.0]}},
])  # fmt: skip
def test_a_damaged_guard_is_refused_and_changes_nothing(saved):
    guard = Guard(0.05)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        guard.restore(saved)
    assert guard.as_dict() == Guard(0.05).as_dict()


def test_a_kind_of_another_version_is_left_out():
    guard = Guard(0.05)
    guard.restore({"raised": {"gone": [3]}, "tests": {"gone": {}}, "pools": {}})
    assert guard.count == 0


def test_options_name_key_value_and_what_is_allowed():
    assert GuardOptions.from_section(None).enable and not GuardOptions.from_section(False).enable
    assert GuardOptions.from_section({"second": {"judge": "llm"}}).second == {"judge": "llm"}
    with pytest.raises(ValueError, match=r"algorithm.awpo.guard: unknown key 'acton'.*did you mean 'action'"):
        GuardOptions.from_section({"acton": "stop"})
    with pytest.raises(ValueError, match=r"algorithm.awpo.guard: false_alarms=0 must be a number in \(0.0, 1.0\)"):
        GuardOptions.from_section({"false_alarms": 0})
    with pytest.raises(ValueError, match=r"action='halt' is not known; known: log, halve_lambda, close_gate, stop"):
        GuardOptions.from_section({"action": "halt"})
    with pytest.raises(ValueError, match="must be true, false, or keys"):
        GuardOptions.from_section("yes")


def test_so_many_rollouts_get_a_second_opinion_and_always_the_same():
    options = GuardOptions(second={"judge": "llm"}, second_share=0.1)
    chosen = [options.asks_second(f"u_{i}_0") for i in range(2000)]
    assert chosen == [options.asks_second(f"u_{i}_0") for i in range(2000)] and 140 < sum(chosen) < 260
    assert not GuardOptions(second_share=1.0).asks_second("u_0_0")
