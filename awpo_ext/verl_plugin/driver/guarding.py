"""The guard in the driver: takes numbers and some texts out of verl's batch, and acts on alarms.

Statistics run in a thread while the workers train; a second opinion runs in another and arrives when it does. Nothing of
the guard's own raises into the run, but for `GuardStopError`, which a user asks for by `action=stop`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import transfer_queue as tq
from omegaconf import DictConfig

from awpo_ext.config import AwpoConfig
from awpo_ext.guard.alarms import Alarm, Guard
from awpo_ext.guard.options import CLOSE, HALVE, STOP, GuardOptions
from awpo_ext.guard.second import Asked, Opinion, ask_all, asks_judge, opinion_metrics, opinion_values
from awpo_ext.guard.statistics import TEXTS, Rollouts, Text, Values, number_values, share_values, spread, text_values
from awpo_ext.metrics import leverage
from awpo_ext.verl_plugin.driver.estimator import StepChannel
from awpo_ext.verl_plugin.driver.judge_monitor import NO_FAULT
from awpo_ext.verl_plugin.driver.recording import field_values
from awpo_ext.verl_plugin.driver.run_checks import guard_options, record_options
from reward_models.types import UnscoredReason

logger = logging.getLogger(__name__)

WAIT_S = 5.0  # that a step's metrics wait for its statistics, which have had the whole update's time
_ROW = ["extra_fields", "extra_info", "reward_model", "data_source", "raw_prompt"]
_NOT_SEEN = ("reward_extra_info", "raw_prompt", "min_global_steps", "max_global_steps")  # by a reward function
# What a gate does by its own definition is no alarm; `reliability` is shut until outcomes have confirmed the judge.
_BY_DESIGN = {
    "none": ("gate_shut", "gate_open", "no_say", "all_say"),
    "always": ("gate_open",),
    "reliability": ("gate_shut", "no_say"),
}
_NO_FAULT_CODES = [float(UnscoredReason(name).code) for name in NO_FAULT]


class GuardStopError(RuntimeError):
    """An alarm about the judge, in a run with algorithm.awpo.guard.action=stop."""


class RunGuard:
    """Of one run. `awpo` None, or options that are not enabled: its methods do nothing.

    Args:
        run: what `awpo view` opens, None where the run is not recorded.
        thinking: of the run's reward_kwargs, for the second opinion.
    """

    def __init__(self, options: GuardOptions, awpo: AwpoConfig | None, run: str | None, thinking: str = "auto") -> None:
        self._options, self._awpo, self._run = options, awpo, run
        self._second = {"thinking": thinking, **options.second} if options.second else {}
        self._guard = Guard(options.false_alarms)
        self._off = awpo is None or not options.enable
        self._halvings, self._closed = 0, False
        self._stop: str | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[int, dict[str, bool], Future[Values]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: Future[list[Opinion]] | None = None
        self._left_out = 0

    @classmethod
    def of(cls, config: DictConfig, awpo: AwpoConfig | None) -> RunGuard:
        if awpo is None:
            return cls(GuardOptions(enable=False), None, None)
        record = record_options(config)
        run = str(record.path or config.trainer.default_local_dir) if record.enable else None
        reward = config.reward.get("custom_reward_function") or {}
        thinking = (reward.get("reward_kwargs") or {}).get("thinking") or "auto"
        return cls(guard_options(config), awpo, run, thinking)

    @property
    def method(self) -> AwpoConfig | None:
        """The method as the alarms so far have left it."""
        if self._awpo is None:
            return None
        if self._closed:
            return replace(self._awpo, gate="none", weighting="fixed")
        weights = tuple(weight * 0.5**self._halvings for weight in self._awpo.reasoning_weight)
        return replace(self._awpo, reasoning_weight=weights) if self._halvings else self._awpo

    def begin_step(self) -> None:
        """GuardStopError where an alarm is to end the run; the step before has been logged by then."""
        if self._stop is not None:
            raise GuardStopError(
                f"{self._stop}. algorithm.awpo.guard.action=stop ends the run here; mend the judge and resume from a "
                "checkpoint before it, or go on with action=log"
            )

    def update(self, batch: Any, channel: StepChannel, step: int, tokenizer: Any) -> None:
        """Take in an update whose advantages are computed."""
        with self._guarded() as on:
            if not on:
                return
            keys = [batch.keys[int(row)] for row in channel.final_row]
            numbers = _rollouts(channel)
            holds = share_values(channel.result.gate.numpy(), leverage(channel.result)["mean"])
            told = {name: held for name, held in holds.items() if name not in _BY_DESIGN.get(self.method.gate, ())}
            read = spread(numbers.group, TEXTS)
            second = [i for i, key in enumerate(keys) if self._options.asks_second(key)][: self._options.second_most]
            places = sorted({*read, *second})
            rows = dict(zip(places, _fetched(batch, [keys[i] for i in places]), strict=True))
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="awpo-guard")
            job = self._pool.submit(_measured, numbers, {i: rows[i] for i in read}, tokenizer)
            self._waiting.append((step, told, job))
            if second:
                self._ask(numbers, {i: rows[i] for i in second}, tokenizer)

    def end_step(self, step: int) -> dict[str, float]:
        """The step's metrics; alarms are said, and acted upon."""
        with self._guarded() as on:
            if not on:
                return {}
            alarms: list[Alarm] = []
            while self._waiting:
                of_step, holds, job = self._waiting[0]
                try:
                    values = job.result(WAIT_S)
                except NotYet:
                    break  # a machine that is very slow: with the next step
                self._waiting.popleft()
                alarms += self._guard.observe(of_step, values, holds)
            opinions = self._answered()
            alarms += self._guard.observe(step, opinion_values(opinions))
            for alarm in alarms:
                logger.error("awpo-ext: %s", alarm.line(self._run, self._options.action))
                self._act(alarm)
            return {**self._guard.metrics(alarms), **opinion_metrics(opinions), **self._acted()}
        return {}

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"guard": self._guard.as_dict(), "halvings": self._halvings, "closed": self._closed}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What `as_dict` gave. ValueError, KeyError or TypeError where it is damaged."""
        self._guard.restore(saved["guard"])
        self._halvings, self._closed = int(saved["halvings"]), bool(saved["closed"])

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    @contextmanager
    def _guarded(self):
        """Whether there is anything to do; what is raised inside ends the watch, with one line."""
        try:
            yield not self._off
        except Exception as error:
            self._off = True
            logger.exception(
                "awpo-ext: THE RUN IS NO LONGER WATCHED (%s: %s). Training goes on. Without the guard: "
                "+algorithm.awpo.guard=false",
                type(error).__name__,
                error,
            )

    def _act(self, alarm: Alarm) -> None:
        if not alarm.about_judge:
            return
        if self._options.action == HALVE:
            self._halvings += 1
        elif self._options.action == CLOSE:
            self._closed = True
        elif self._options.action == STOP:
            self._stop = alarm.line(self._run)

    def _acted(self) -> dict[str, float]:
        if self._options.action not in (HALVE, CLOSE):
            return {}
        return {"awpo/alarm/judge_share": 0.0 if self._closed else 0.5**self._halvings}

    def _ask(self, numbers: Rollouts, rows: Mapping[int, Mapping[str, Any]], tokenizer: Any) -> None:
        """One batch at a time: where the last one is still being judged, this one goes without, and is counted."""
        if self._asked is not None and not self._asked.done():
            self._left_out += len(rows)
            return
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="awpo-second", daemon=True).start()
        first = numbers.judge if asks_judge(self._second) else numbers.success
        asked = [_asked(row, float(first[i]), tokenizer) for i, row in rows.items()]
        opinions = ask_all(asked, self._second, self._options.second_seconds)
        self._asked = asyncio.run_coroutine_threadsafe(opinions, self._loop)

    def _answered(self) -> list[Opinion]:
        opinions = []
        if self._asked is not None and self._asked.done():
            opinions, self._asked = self._asked.result(), None
        skipped, self._left_out = self._left_out, 0
        return opinions + [Opinion(np.nan, np.nan, "busy")] * skipped


def _rollouts(channel: StepChannel) -> Rollouts:
    valid = channel.valid.all(dim=1)
    score = channel.reasoning.double().mean(dim=1)
    codes = channel.failure[:, 0] if channel.failure is not None else channel.reasoning[:, 0] * np.nan
    low, high = channel.outcome_range.double().numpy().T
    return Rollouts(
        group=channel.group, outcome=channel.outcome.double().numpy(), low=low, high=high,
        outcome_valid=channel.outcome_valid.numpy(), judge=np.where(valid.numpy(), score.numpy(), np.nan),
        judged=~(~valid.numpy() & np.isin(codes.numpy(), _NO_FAULT_CODES)), unread=channel.unread,
        tokens=channel.tokens.double().numpy(),
    )  # fmt: skip


def _fetched(batch: Any, keys: list[str]) -> list[dict[str, Any]]:
    found = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=[*_ROW, "responses"])
    lists = {name: field_values(found[name]) for name in _ROW if name in found.keys()}  # noqa: SIM118  (a TensorDict)
    lists["responses"] = list(found["responses"])
    return [{name: values[i] for name, values in lists.items()} for i in range(len(keys))]


def _measured(numbers: Rollouts, rows: Mapping[int, Mapping[str, Any]], tokenizer: Any) -> Values:
    texts = [Text(numbers.group[i], _response(row, tokenizer), _prompt(row)) for i, row in rows.items()]
    return number_values(numbers) | text_values(texts)


def _response(row: Mapping[str, Any], tokenizer: Any) -> str:
    """The model's own texts where the agent loop keeps them apart, else the response as the reward function saw it."""
    turns = dict(row["extra_fields"]).get("turns") or []
    texts = [text for turn in turns for text in ([turn] if isinstance(turn, str) else turn)]
    return "\n".join(texts) or tokenizer.decode(row["responses"], skip_special_tokens=True)


def _prompt(row: Mapping[str, Any]) -> str:
    info = dict(row.get("extra_info") or {})
    return f"{info.get('question') or row.get('raw_prompt') or ''}\n{info.get('tools') or ''}"


def _asked(row: Mapping[str, Any], first: float, tokenizer: Any) -> Asked:
    added = {name: value for name, value in dict(row["extra_fields"]).items() if name not in _NOT_SEEN}
    return Asked(
        data_source=str(row.get("data_source", "")),
        response=tokenizer.decode(row["responses"], skip_special_tokens=True),
        ground_truth=dict(row.get("reward_model") or {}).get("ground_truth"),
        extra_info={**dict(row.get("extra_info") or {}), **added},
        first=first,
    )
