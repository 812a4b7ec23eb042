"""The method again, on what a record holds of one update: the same numbers, or those of another configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from awpo_ext.advantage import AwpoResult, Closed, awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.components import Components, as_components, columns_of
from awpo_ext.config import AwpoConfig
from awpo_ext.record.parts import PartInfo
from awpo_ext.record.reader import Record
from awpo_ext.record.rows import terms_of
from awpo_ext.record.schema import TRAIN, RecordError
from awpo_ext.reliability import ReliabilityState

COLUMNS = [
    "step", "batch", "group", "session", "outcome", "kl_penalty", "outcome_valid", "outcome_min", "outcome_max", "signals",
    "tokens", "advantage", "a_outcome", "a_judge", "outcome_part", "judge_part", "gate", "difficulty", "success_rate",
    "closed", "radius", "columns",
]  # fmt: skip


@dataclass(frozen=True)
class Update:
    """What the estimator got in one update; `(N,)` and `(N, K)`, NaN for an unscored rollout."""

    step: int
    batch: int
    group: list[str]
    session: list[int]
    outcome: np.ndarray
    kl_penalty: np.ndarray
    outcome_valid: np.ndarray
    outcome_range: np.ndarray  # (N, 2)
    reasoning: np.ndarray
    names: tuple[str, ...]  # of the K signals
    tokens: np.ndarray
    reliability: ReliabilityState | None  # before the update
    columns: Sequence[str] = ()  # JSON of the numbers that the reward function returned, by name

    def __len__(self) -> int:
        return len(self.group)

    def with_signals(self, names: tuple[str, ...]) -> Update:
        """With these signals, in this order. RecordError where the record has one of them not."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise RecordError(f"the record has no signal {unknown[0]!r}; signals: {', '.join(self.names)}")
        return replace(self, reasoning=self.reasoning[:, [self.names.index(name) for name in names]], names=names)

    def components(self, config: AwpoConfig) -> Components:
        """The outcome components that `config` names, from the reward function's columns.

        Raises:
            RecordError: no rollout has such a column, or its values do not fit.
        """
        names, rows = [columns_of(name) for name in config.components], [json.loads(text) for text in self.columns]
        known = {name for row in rows for name in row}
        for of in names:
            if of.value not in known:
                there = ", ".join(sorted(known)) or "(none)"
                raise RecordError(f"the record has no column {of.value!r} for reward_components; columns: {there}")

        def column(row: Mapping[str, float], name: str) -> float:
            return row.get(name, np.nan)

        values = [[column(row, of.value) for of in names] for row in rows]
        valid = [
            [
                of.value in row and all(row.get(name, 1.0) != 0 for name in (of.valid, config.outcome_valid_key))
                for of in names
            ]
            for row in rows
        ]
        ranges = [[[column(row, of.low), column(row, of.high)] for of in names] for row in rows]
        try:
            return as_components(values, valid, ranges, config)
        except ValueError as error:
            raise RecordError(str(error)) from error

    def with_outcome(self, config: AwpoConfig) -> Update:
        """With the outcome that `config` makes of its components; as it is where that has none."""
        if not config.components:
            return self
        parts = self.components(config)
        return replace(
            self,
            outcome=parts.total(config).numpy(),
            outcome_valid=parts.verified(config).numpy(),
            outcome_range=parts.total_range(config).numpy(),
        )


@dataclass(frozen=True)
class Terms:
    """What the method makes of an update: per rollout `(N,)`, and the group's terms spread over its rollouts."""

    values: Mapping[str, np.ndarray]
    closed: np.ndarray  # codes of Closed
    differ: np.ndarray  # bool, outcomes differ in the group
    reliability: ReliabilityState

    @property
    def advantage(self) -> np.ndarray:
        return self.values["advantage"]


@dataclass(frozen=True)
class Checked:
    """How far the recomputed terms are from the recorded ones: the largest difference, relative above 1."""

    parts: int
    rollouts: int
    difference: float


def update_of(table: pa.Table, reliability: Mapping[str, float] | None) -> Update:
    """Rows of one part, with COLUMNS."""
    if not table.num_rows:
        raise RecordError("a part of the record has no rollout")
    columns = {name: table.column(name).to_pylist() for name in COLUMNS}
    signals = columns["signals"]
    return Update(
        step=columns["step"][0],
        batch=columns["batch"][0],
        group=columns["group"],
        session=columns["session"],
        outcome=np.array(columns["outcome"], dtype=float),
        kl_penalty=np.array(columns["kl_penalty"], dtype=float),
        outcome_valid=np.array(columns["outcome_valid"], dtype=bool),
        outcome_range=np.array([columns["outcome_min"], columns["outcome_max"]], dtype=float).T,
        reasoning=np.array([[signal["score"] for signal in row] for row in signals], dtype=float),
        names=tuple(signal["name"] for signal in signals[0]),
        tokens=np.array([tokens or 0 for tokens in columns["tokens"]], dtype=float),
        reliability=ReliabilityState.from_dict(reliability) if reliability else None,
        columns=[text or "{}" for text in columns["columns"]],
    )


def compute(update: Update, config: AwpoConfig, reliability: ReliabilityState | None = None) -> Terms:
    """Run the method; `reliability` in place of the recorded one, where steps before went another way."""
    chosen = update.with_signals(config.reasoning_key)
    parts = chosen.components(config) if config.components else None
    result = awpo_advantages(
        chosen.outcome if parts is None else parts.values,
        chosen.reasoning,
        chosen.group,
        config,
        np.isfinite(chosen.reasoning),
        chosen.outcome_valid if parts is None else parts.valid,
        kl_penalty=chosen.kl_penalty if chosen.kl_penalty.any() else None,
        tokens=chosen.tokens if config.whiten else None,
        reliability=reliability or chosen.reliability or ReliabilityState(),
        outcome_range=chosen.outcome_range if parts is None else parts.ranges,
    )
    return _terms(result, config)


def _terms(result: AwpoResult, config: AwpoConfig) -> Terms:
    index = result.group_index
    radius = clip_radius(result.gate, config, result.verified)
    values = terms_of(result, radius[index] if radius.ndim else radius.expand(len(index)))
    return Terms(
        {name: value.double().numpy() for name, value in values.items()},
        result.closed[index].numpy(),
        (result.task_stats.std > 0)[index].numpy(),
        result.reliability,
    )


def recorded_terms(table: pa.Table, names: Iterable[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The terms of these names as they were recorded, NaN where null, and the codes of `Closed`."""
    values = {name: np.array(table.column(name).to_pylist(), dtype=float) for name in names}
    return values, np.array([Closed[name.upper()] for name in table.column("closed").to_pylist()])


def config_of(record: Record, info: PartInfo) -> AwpoConfig:
    """The configuration of an update: that of its start of the run, as the guard had left it by then.

    AwpoConfigError where this awpo-ext has no such key.
    """
    attempt = info.attempt
    starts = record.run.get("starts") or []
    if attempt >= len(starts):
        raise RecordError(f"{record.folder / 'run.json'} has no start number {attempt}: the file is damaged")
    given = {key: value for key, value in (starts[attempt].get("awpo") or {}).items() if value is not None}
    return AwpoConfig.from_mapping({**given, **info.changed})


def check(record: Record, steps: list[int] | None = None) -> Checked:
    """Recompute each update of a run from its record, and compare."""
    parts, rollouts, difference = 0, 0, 0.0
    for part in record.parts(steps, TRAIN):
        table, info = record.table("rollouts", [part], COLUMNS), part.info()
        terms = compute(update_of(table, info.reliability), config_of(record, info))
        values, closed = recorded_terms(table, terms.values)
        off = [_difference(terms.values[name], values[name]) for name in values]
        difference = max(difference, *off, 0.0 if np.array_equal(closed, terms.closed) else np.inf)
        parts, rollouts = parts + 1, rollouts + table.num_rows
    return Checked(parts, rollouts, difference)


def _difference(one: Any, other: Any) -> float:
    both = np.isnan(one) & np.isnan(other)
    off = np.where(both, 0.0, np.abs(one - other) / np.maximum(1.0, np.abs(other)))
    return float(np.nan_to_num(off, nan=np.inf).max())


def leverage_of(judge_part: np.ndarray, outcome_part: np.ndarray) -> float:
    """The judge's share of an update, as `awpo_ext.metrics.leverage` has its `mean`; NaN where all is 0."""
    power = float(np.square(judge_part + outcome_part).sum())
    return float(np.sqrt(np.square(judge_part).sum() / power)) if power > 0 else float("nan")
