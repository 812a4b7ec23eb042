"""The scorer judge: a small trained model in process, of the family that its folder names."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np

from reward_models.errors import install_extra
from reward_models.judges.base import Judge, JudgeNotReadyError
from reward_models.judges.batching import MicroBatcher
from reward_models.judges.wrong_calls import WrongCalls
from reward_models.options import Options, Range, Text
from reward_models.per_loop import PerLoop
from reward_models.rollout_view import read_rollout
from reward_models.scorers.metadata import read_family
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

logger = logging.getLogger(__name__)

_OWNER = "judge 'scorer'"
# family -> (module with `load(folder, device)`, module with `check_folder(folder)`, the package that it needs)
_FAMILIES = {
    "features": (
        "reward_models.scorers.features.model",
        "reward_models.scorers.features.folder",
        "sentence_transformers",
    ),
    "classifier": ("reward_models.scorers.classifier.model", "reward_models.scorers.classifier.folder", "transformers"),
}


class LoadedScorer(Protocol):
    """What a family's `load(folder, device)` gives: blocking, used from one thread."""

    def score(self, rollouts: Sequence[Rollout]) -> np.ndarray:
        """Float64, (N,), in [0, 1], already calibrated; 0.0 without a thought, NaN where it cannot judge."""


@dataclass(frozen=True)
class ScorerConfig(Options, owner=_OWNER):
    """Options of the scorer judge.

    scorer: a folder of `awpo scorer train` or `awpo scorer train-classifier`.
    device: as torch names it: cpu, cuda, cuda:1.
    threads: CPU threads, in [1, 256].
    window_ms: how long concurrent calls are gathered, in [0, 1000].
    max_batch: this many waiting rollouts are scored at once without waiting longer, and at most, in [1, 4096].
    max_queue: with more rollouts waiting or being scored, further ones are Unscored(budget), in [1, 1000000].
    wrong_call_keeps: share of its score that a rollout keeps whose call the verifier finds wrong, in [0, 1]; 1: the
        verifier is not asked, and the reasoning reward is independent of the outcome.
    verifier, verifier_kwargs: who finds it wrong, where wrong_call_keeps is below 1.
    """

    scorer: Annotated[str, Text()]
    device: Annotated[str, Text()] = "cpu"
    threads: Annotated[int, Range(1, 256)] = 1
    window_ms: Annotated[float, Range(0, 1000)] = 10.0
    max_batch: Annotated[int, Range(1, 4096)] = 64
    max_queue: Annotated[int, Range(1, 1_000_000)] = 65_536
    wrong_call_keeps: Annotated[float, Range(0, 1)] = 1.0
    verifier: Annotated[str, Text()] = "strict"
    verifier_kwargs: Mapping[str, Any] = field(default_factory=dict)


class ScorerJudge(Judge):
    """The folder's own score, in [0, 1].

    - No thought, or a blank one: 0.0, and no model is needed for it.
    - Neither request nor action: Unscored(no_evidence). The queue is full: Unscored(budget).
    - The model does not load: Unscored(load_failed) for all; scoring fails: Unscored(error).
    - Texts beyond the family's limits are cut, thought and call being kept (see docs/scorer.md).

    Usable from several event loops. One worker thread scores for all of them.
    """

    def __init__(self, **options: Any) -> None:
        if "scorer" not in options:
            raise ValueError(
                f"{_OWNER}: judge_kwargs.model is now judge_kwargs.scorer, as in judge=classify: set scorer={options['model']}"
                if "model" in options
                else f"{_OWNER}: judge_kwargs.scorer is missing; `awpo scorer train` makes a scorer's folder"
            )
        self.config = ScorerConfig.read(options)
        keeps, name = self.config.wrong_call_keeps, self.config.verifier
        self._wrong = WrongCalls(_OWNER, keeps, name, self.config.verifier_kwargs) if keeps < 1 else None
        self.folder: Path = Path(os.path.expanduser(self.config.scorer))
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scorer-judge")
        self._batchers: PerLoop[MicroBatcher[Rollout, float]] = PerLoop()
        self._scorer: LoadedScorer | None = None
        self._load_failure: str | None = None
        self._waiting = 0
        self._closed = False
        self._failure_logged = False

    def check(self) -> None:
        try:
            modules = _FAMILIES.get(read_family(self.folder))
            if modules is None:
                raise ValueError(f"{self.folder}: its family is not one of {', '.join(_FAMILIES)}: update awpo-ext")
            if find_spec(modules[2]) is None:
                raise ValueError(f"this scorer needs the package {modules[2]}: {install_extra('embedding')}")
            import_module(modules[1]).check_folder(self.folder)
            if self._wrong is not None:
                self._wrong.check()
        except (ValueError, ImportError) as error:
            raise JudgeNotReadyError(f"{_OWNER}: {error}") from error

    async def preflight(self) -> None:
        self.check()

    async def aclose(self) -> None:
        """Finish the running loop's batches, then stop the worker thread."""
        self._closed = True
        for batcher in self._batchers.of_running_loop():
            await batcher.drain()
        self._executor.shutdown(wait=False)

    async def score(self, rollout: Rollout) -> Verdict:
        if not read_rollout(rollout).thought:
            return Scored(0.0)
        if self._waiting >= self.config.max_queue:
            said = f"{self._waiting} rollouts wait already, max_queue is {self.config.max_queue}"
            return Unscored(UnscoredReason.BUDGET, said)
        self._waiting += 1
        try:
            if self._closed:
                raise RuntimeError("the judge is closed")
            (value,) = await self._batchers.get(None, self._make_batcher).submit([rollout])
            return _verdict(value) if self._wrong is None else self._wrong.lower(rollout, _verdict(value))
        except _LoadError as error:
            return Unscored(UnscoredReason.LOAD_FAILED, str(error))
        except Exception as error:
            if not self._failure_logged:
                self._failure_logged = True
                logger.exception("The scorer judge failed; later failures are only counted, as Unscored(error)")
            return Unscored(UnscoredReason.ERROR, f"{type(error).__name__}: {error}")
        finally:
            self._waiting -= 1

    def _make_batcher(self) -> MicroBatcher[Rollout, float]:
        return MicroBatcher(self._run, self._executor, self.config.window_ms / 1000, self.config.max_batch)

    def _run(self, rollouts: list[Rollout]) -> list[float]:
        """In the worker thread: scores of any number of rollouts, `max_batch` at a time."""
        scorer = self._scorer or self._load()
        values: list[float] = []
        for start in range(0, len(rollouts), self.config.max_batch):
            values += [float(value) for value in scorer.score(rollouts[start : start + self.config.max_batch])]
        return values

    def _load(self) -> LoadedScorer:
        if self._load_failure is not None:
            raise _LoadError(self._load_failure)  # not tried again: a run would stall at every batch
        try:
            import torch

            torch.set_num_threads(self.config.threads)
            self.check()
            family = import_module(_FAMILIES[read_family(self.folder)][0])
            self._scorer = family.load(self.folder, self.config.device)
        except Exception as error:
            self._load_failure = f"{type(error).__name__}: {error}"
            logger.exception("The scorer judge could not load its model: NO ROLLOUT OF THIS PROCESS WILL BE SCORED")
            raise _LoadError(self._load_failure) from error
        return self._scorer


class _LoadError(RuntimeError):
    """The scorer did not load, now or at an earlier attempt."""


def _verdict(value: float) -> Verdict:
    if np.isnan(value):
        return Unscored(UnscoredReason.NO_EVIDENCE, "the scorer gave no number: neither a request nor an action")
    return Scored(float(np.clip(value, 0.0, 1.0)))
