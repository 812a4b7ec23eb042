"""`awpo replay`: a run's rewards and advantages again, as they were or as another judge, verifier or setting makes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from awpo_ext.components import SCORE
from awpo_ext.config import PRESETS, AwpoConfig
from awpo_ext.record.compare import Comparison
from awpo_ext.record.dumps import read_dump
from awpo_ext.record.reader import Record, open_record
from awpo_ext.record.recompute import COLUMNS, Checked, Update, check, compute, config_of, update_of
from awpo_ext.record.rewards import ReplayJudge, rollout_of_row, verified
from awpo_ext.record.schema import TRAIN, RecordError
from awpo_ext.reliability import ReliabilityState
from reward_models.reward import compute_score
from reward_models.types import Rollout

EQUAL = 1e-6  # a replay that changes nothing gives the recorded numbers to this
VERDICTS = "verdicts.jsonl"
NO_TEXT = "their texts were not kept, or are cut (algorithm.awpo.record.text_share, max_text)"
OUR_REWARD = "pkg://reward_models.reward"
Confirm = Callable[[str], None]
Stage = Callable[..., Callable[[], None]]


@dataclass(frozen=True)
class Change:
    """What is to be different. `settings` are keys of `algorithm.awpo`, `preset` among them."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    verifier: str | None = None
    verifier_kwargs: Mapping[str, Any] = field(default_factory=dict)
    judge: str | None = None
    judge_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.settings or self.verifier or self.judge)


@dataclass(frozen=True)
class _Step:
    """One update with what it ran under; `rows` with texts, where they are needed."""

    update: Update
    config: AwpoConfig
    rows: list[dict[str, Any]]
    thought_opened: bool = False

    def rollouts(self) -> list[Rollout | None]:
        return [rollout_of_row(row, self.thought_opened) for row in self.rows]


@dataclass
class Replay:
    """What came of it.

    checked: how far the recomputed terms are from the recorded ones; None for dumps, which have none.
    rewards: outcomes recomputed by the run's own verifier: how many, how many differ, how many could not be read.
    missing: what the source does not have. unread: how many rollouts a verifier or judge could not be given; `problem`: why
        the first. comparison: None where nothing was to be changed.
    """

    updates: int = 0
    rollouts: int = 0
    checked: Checked | None = None
    rewards: dict[str, int] | None = None
    missing: tuple[str, ...] = ()
    unread: int = 0
    problem: str = ""
    comparison: Comparison | None = None


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`key=value` texts; a value is JSON where it reads as such, else a text. RecordError for one without `=`."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RecordError(f"--set {pair}: write key=value, such as gate=reliability or preset=outcome_only")
        try:
            settings[key.strip()] = json.loads(value)
        except ValueError:
            settings[key.strip()] = value
    return settings


def changed_config(config: AwpoConfig, settings: Mapping[str, Any]) -> AwpoConfig:
    """The run's configuration with the preset's switches in place of its own, and the settings over both.

    Raises:
        AwpoConfigError: a key or value that does not fit.
    """
    settings = dict(settings)
    base: dict[str, Any] = dict(vars(config))
    if "preset" in settings:
        preset = settings.pop("preset")
        AwpoConfig.from_mapping({"preset": preset})  # refuses one that is unknown
        default = {item.name: item.default for item in fields(AwpoConfig)}
        switches = {key for preset_settings in PRESETS.values() for key in preset_settings}
        base |= {key: default[key] for key in switches} | PRESETS[preset]
    if "reasoning_key" in settings:
        base |= {"valid_key": (), "reasoning_weight": (1.0,)}
    if base["reward_components"] or settings.get("reward_components"):
        named = settings.get("reward_components", base["reward_components"]) or ()
        base["component_range"] = {name: ends for name, ends in base["component_range"].items() if name in named}
        base = {key: value for key, value in base.items() if key not in ("reward_min", "reward_max")}  # they follow
    return AwpoConfig.from_mapping({**base, **settings})


def replay(
    path: Path, change: Change, out: Path, steps: list[int] | None, confirm: Confirm, stage: Stage, rewards: bool = True
) -> Replay:
    """Recompute a run, and compare it with what `change` makes of it.

    Args:
        path: a run with a record, or verl's rollout dumps.
        out: where a judge's verdicts are kept, so that a cut replay goes on.
        confirm: called with the cost before a judge's server is asked; raises to stop.
        rewards: whether to recompute the outcomes too, by the run's own verifier.

    Raises:
        RecordError, ValueError: naming what does not fit; JudgeNotReadyError.
    """
    found, record = Replay(), None
    try:
        record = open_record(path)
    except RecordError:
        if not (path.suffix == ".jsonl" or (path.is_dir() and any(path.glob("*.jsonl")))):
            raise
    texts = bool(change.verifier or change.judge)
    if record is None:
        dump = read_dump(path)
        base = AwpoConfig.from_mapping({"preset": "outcome_only", **_range(dump.updates[0][0])})
        chosen = [_Step(update, base, rows) for update, rows in dump.updates if steps is None or update.step in steps]
        found.missing = dump.missing
    else:
        found.checked = check(record, steps)
        found.missing = tuple(record.problems())
        if rewards and not change.verifier:
            found.rewards = _own_rewards(record, steps, stage)
        chosen = list(_steps_of(record, steps, texts))
    if not chosen:
        raise RecordError(f"{path} has no training step to replay" + (f" among {steps}" if steps else ""))
    found.updates, found.rollouts = len(chosen), sum(len(step.update) for step in chosen)
    if change:
        new = _with_rewards(chosen, change, out, confirm, stage, found)
        found.comparison = _compare(chosen, new, change)
    return found


def _range(update: Update) -> dict[str, float]:
    low, high = update.outcome_range[0].tolist()
    return {"reward_min": low, "reward_max": high}


def _steps_of(record: Record, steps: list[int] | None, texts: bool) -> Iterator[_Step]:
    for part in record.parts(steps, TRAIN):
        info, table = part.info(), record.table("rollouts", [part], COLUMNS)
        rows = list(record.part_rows(part)) if texts else []
        opened = _thought_opened(_reward(record, info.attempt).get("reward_kwargs") or {})
        yield _Step(update_of(table, info.reliability), config_of(record, info), rows, opened)


def _reward(record: Record, attempt: int) -> dict[str, Any]:
    """Path, name and reward_kwargs of the reward function of a start."""
    return record.run["starts"][attempt].get("reward") or {}


def _thought_opened(kwargs: Mapping[str, Any]) -> bool:
    return "opened" in (kwargs.get("thinking"), (kwargs.get("verifier_kwargs") or {}).get("thinking"))


def _own_rewards(record: Record, steps: list[int] | None, stage: Stage) -> dict[str, int] | None:
    """The outcomes by the run's own verifier against the recorded ones; None where the reward function is not ours."""
    parts = record.parts(steps, TRAIN)
    if not parts or _reward(record, parts[-1].info().attempt).get("path") != OUR_REWARD:
        return None
    counts = {"recomputed": 0, "different": 0, "unread": 0}
    advance = stage("outcomes", len(parts))
    for part in parts:
        rows = list(record.part_rows(part))
        kwargs = _reward(record, part.info().attempt).get("reward_kwargs") or {}
        rollouts = [rollout_of_row(row, _thought_opened(kwargs)) for row in rows]
        outcomes = verified(rollouts, kwargs.get("verifier", "toolrl"), kwargs.get("verifier_kwargs") or {})
        summed = bool(config_of(record, part.info()).components)
        before = np.array([_score(row) if summed else row["outcome"] for row in rows], dtype=float)
        counts["unread"] += outcomes.unread
        counts["recomputed"] += len(rows) - outcomes.unread
        off = np.abs(outcomes.outcome - before) > EQUAL * np.maximum(1.0, np.abs(before))
        counts["different"] += int((off & outcomes.valid).sum())
        advance()
    return counts


def _score(row: Mapping[str, Any]) -> float | None:
    """verl's reward, of a run whose outcome is the sum of `reward_components`; None where no column has it."""
    return json.loads(row.get("columns") or "{}").get(SCORE)


def _with_rewards(
    steps: list[_Step], change: Change, out: Path, confirm: Confirm, stage: Stage, found: Replay
) -> list[_Step]:
    if change.verifier:
        low, high = compute_score.outcome_range(verifier=change.verifier, verifier_kwargs=dict(change.verifier_kwargs))
        advance = stage("verifier", sum(len(step.rows) for step in steps))
        steps = [_verified(step, change, (low, high), advance, found) for step in steps]
        if found.unread == found.rollouts:
            raise RecordError(f"verifier {change.verifier!r} could read no rollout: {found.problem or NO_TEXT}")
    if change.judge:
        steps = _judged(steps, change, out, confirm, stage, found)
    return steps


def _verified(step: _Step, change: Change, limits: tuple[float, float], advance: Any, found: Replay) -> _Step:
    outcomes = verified(step.rollouts(), change.verifier, change.verifier_kwargs, advance)
    found.unread += outcomes.unread
    found.problem = found.problem or outcomes.problem
    update = replace(
        step.update,
        outcome=outcomes.outcome,
        outcome_valid=outcomes.valid,
        outcome_range=outcomes.limits,
        columns=outcomes.columns,
    )
    if step.config.components:
        return replace(step, update=update.with_outcome(step.config))
    return replace(step, update=update, config=replace(step.config, reward_min=limits[0], reward_max=limits[1]))


def _judged(
    steps: list[_Step], change: Change, out: Path, confirm: Confirm, stage: Stage, found: Replay
) -> list[_Step]:
    seen = {_key(step, i): rollout for step in steps for i, rollout in enumerate(step.rollouts())}
    rollouts: dict[str, Rollout] = {key: rollout for key, rollout in seen.items() if rollout is not None}
    found.unread += len(seen) - len(rollouts)
    if not rollouts:
        raise RecordError(f"there is no rollout to judge: {NO_TEXT}")
    judge = ReplayJudge(change.judge, change.judge_kwargs, out / VERDICTS)
    estimate = judge.estimate(rollouts)
    if judge.costs and estimate.rollouts:
        confirm(str(estimate))
    sizes: dict[str, int] = {}
    for key in rollouts:
        uid = key.rsplit("_", 2)[0]
        sizes[uid] = sizes.get(uid, 0) + 1
    scores = judge.scores(rollouts, sizes, stage("judge", len(rollouts)))
    judged = []
    for step in steps:
        reasoning = step.update.reasoning.copy()
        reasoning[:, 0] = [scores.get(_key(step, i), np.nan) for i in range(len(step.update))]
        judged.append(replace(step, update=replace(step.update, reasoning=reasoning)))
    return judged


def _key(step: _Step, i: int) -> str:
    """Unique in a run: the same prompt may be drawn in several steps, under another uid in verl but not in all dumps."""
    return f"{step.update.step}.{step.update.batch}.{step.rows[i]['key']}"


def _compare(old: list[_Step], new: list[_Step], change: Change) -> Comparison:
    comparison = Comparison()
    carried: ReliabilityState | None = None
    for before, after in zip(old, new, strict=True):
        as_it_was = compute(before.update, before.config)
        config = changed_config(after.config, change.settings)
        as_it_would_be = compute(after.update, config, carried)
        carried = as_it_would_be.reliability
        comparison.add(before.update, as_it_was, as_it_would_be, after.update.with_outcome(config))
    return comparison
