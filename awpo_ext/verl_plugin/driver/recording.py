"""The run's record, from the driver: takes out of verl's batch what `awpo_ext.record` writes, and when.

Only the fetching happens in training's time. Nothing raises into the run.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import DictConfig, OmegaConf

from awpo_ext.config import AwpoConfig
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.parts import PartKey
from awpo_ext.record.rows import Batch, rows_of
from awpo_ext.record.run_info import Secrets, start_of
from awpo_ext.record.schema import VALIDATION
from awpo_ext.record.writer import RecordWriter
from awpo_ext.verl_plugin.driver.channel import build_channel
from awpo_ext.verl_plugin.driver.estimator import StepChannel

logger = logging.getLogger(__name__)

FOLDER = "record"
_KEY_VARIABLE = "reward.custom_reward_function.reward_kwargs.judge_kwargs.api_key_env"
_ROW = ("raw_prompt", "reward_model", "extra_info", "data_source")


class RunRecorder:
    """Of one run. Where `options` is not enabled, or the recording has failed, its methods do nothing."""

    def __init__(self, config: DictConfig, awpo: AwpoConfig, options: RecordOptions) -> None:
        self._config, self._awpo, self._options = config, awpo, options
        self._secrets = Secrets()
        self._writer: RecordWriter | None = None

    def start(self, step: int) -> None:
        """Called when the run begins, or goes on from a checkpoint of `step`."""
        if not self._options.enable:
            return
        folder = Path(self._options.path or Path(self._config.trainer.default_local_dir) / FOLDER).expanduser()
        key_variable = OmegaConf.select(self._config, _KEY_VARIABLE)
        self._secrets = Secrets(variables=[key_variable] if isinstance(key_variable, str) else [])
        self._writer = RecordWriter(folder, self._options, self._secrets)
        with self._guarded():
            whole = OmegaConf.to_container(self._config, resolve=True)
            reward = whole["reward"].get("custom_reward_function") or {}
            start = start_of(step, vars(self._awpo), reward, _files(whole, reward), self._secrets)
            self._writer.start(start, str(self._config.trainer.experiment_name), whole)

    def update(
        self, batch: Any, channel: StepChannel, radius: torch.Tensor, place: tuple[int, int], tokenizer: Any
    ) -> dict[str, float]:
        """One update; `place` is the step and the number of the update in it, `radius` per rollout.

        Returns the seconds that training waited for it, as a metric; {} where nothing is recorded.
        """
        started = time.monotonic()
        with self._guarded() as writer:
            if writer is not None:
                before = channel.reliability.as_dict() if channel.reliability else None
                key, seen = PartKey(place[0], batch=place[1]), fetched(batch, channel, self._awpo.reasoning_key)
                now, start = vars(channel.config), vars(self._awpo)
                changed = {name: value for name, value in now.items() if value != start[name]}
                writer.put_part(key, before, lambda: self._rows(seen, channel.result, radius, tokenizer), changed)
                return {"awpo/record/seconds": time.monotonic() - started}
        return {}

    @contextmanager
    def validation(self, replay_buffer: Any, step: int, tokenizer: Any) -> Iterator[None]:
        """Around verl's validation: it samples its batches, and clears each before it goes on."""
        sample, number = replay_buffer.sample, 0

        def recorded(*args: Any, **kwargs: Any) -> Any:
            nonlocal number
            sampled = sample(*args, **kwargs)
            with self._guarded() as writer:
                if writer is not None:
                    channel = build_channel(sampled[0], self._awpo, kl_in_reward=True)
                    channel.take_reward(channel.task)
                    seen = fetched(sampled[0], channel, self._awpo.reasoning_key)
                    key = PartKey(step, VALIDATION, number)
                    writer.put_part(key, None, lambda: self._rows(seen, None, None, tokenizer))
            number += 1
            return sampled

        if self._writer is None or self._writer.off:
            yield
            return
        replay_buffer.sample = recorded
        try:
            yield
        finally:
            del replay_buffer.sample  # the method of its class again

    def metrics(self, step: int, metrics: dict[str, Any]) -> None:
        with self._guarded() as writer:
            if writer is not None:
                writer.put_metrics(step, metrics)

    def flush(self) -> None:
        """Before a checkpoint: what it makes final has to be in the record, for a run that goes on from it."""
        with self._guarded() as writer:
            if writer is not None:
                writer.flush()

    def close(self) -> None:
        with self._guarded() as writer:
            if writer is not None:
                writer.close()

    @contextmanager
    def _guarded(self) -> Iterator[RecordWriter | None]:
        """The writer, None where nothing is to be recorded; whatever is raised inside ends the recording."""
        writer = self._writer
        try:
            yield None if writer is None or writer.off else writer
        except Exception as error:
            if writer is not None:
                writer.fail(error)

    def _rows(self, seen: Batch, result: Any, radius: torch.Tensor | None, tokenizer: Any) -> Any:
        def decode(ids: Any) -> str:
            return tokenizer.decode(ids, skip_special_tokens=True)

        return rows_of(seen, result, radius, self._options, decode, self._secrets)


def fetched(batch: Any, channel: StepChannel, names: Sequence[str], numbers: Sequence[int] | None = None) -> Batch:
    """The rollouts of `channel` with these numbers, or all, as verl's TransferQueue has them; `names`: of the signals."""
    chosen = torch.arange(len(channel.final_row)) if numbers is None else torch.tensor(numbers, dtype=torch.int64)
    final = channel.final_row[chosen].tolist()
    fields = ["extra_fields", *_ROW, "responses"]
    found = tq.kv_batch_get(
        keys=[batch.keys[row] for row in final], partition_id=batch.partition_id, select_fields=fields
    )
    row = {name: field_values(found[name]) for name in _ROW if name in found.keys()}  # noqa: SIM118  (a TensorDict)
    count = torch.bincount(channel.rollout_of_row[channel.rollout_of_row >= 0], minlength=len(channel.final_row))
    failure = torch.full_like(channel.reasoning, torch.nan) if channel.failure is None else channel.failure
    penalty = torch.zeros(len(channel.final_row)) if channel.kl_penalty is None else channel.kl_penalty
    return Batch(
        key=[batch.keys[row] for row in final],
        outputs=count[chosen].tolist(),
        tag=[dict(batch.tags[row]) for row in final],
        extra_fields=[dict(extra) for extra in field_values(found["extra_fields"])],
        row=[dict(zip(row, values, strict=True)) for values in zip(*row.values(), strict=True)] or [{}] * len(final),
        response=list(found["responses"]),
        outcome=channel.outcome[chosen].double().tolist(),
        kl_penalty=penalty[chosen].double().tolist(),
        outcome_valid=channel.outcome_valid[chosen].tolist(),
        outcome_range=channel.outcome_range[chosen].tolist(),
        names=names,
        reasoning=channel.reasoning[chosen].tolist(),
        failure=failure[chosen].tolist(),
        unread=[channel.unread[number] for number in chosen.tolist()],
        tokens=None if channel.tokens is None else channel.tokens[chosen].tolist(),
    )


def field_values(field: Any) -> list[Any]:
    """A field of the TransferQueue that is no tensor: by backend a list, an array or a tensordict stack."""
    return field.tolist() if hasattr(field, "tolist") else list(field)


def _files(config: dict[str, Any], reward: dict[str, Any]) -> list[str]:
    """What a run depends on beside its configuration: data, reward function, a scorer's folder, a rubric."""
    kwargs = reward.get("reward_kwargs") or {}
    judge = kwargs.get("judge_kwargs") or {}
    named = [
        config["data"]["train_files"],
        config["data"]["val_files"],
        reward.get("path"),
        judge.get("scorer"),
        judge.get("rubric"),
    ]
    return [str(one) for item in named for one in (item if isinstance(item, list) else [item]) if one]
