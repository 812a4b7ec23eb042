"""What the modes that run tools share: two tasks in the sandbox, the response's and the row's own, then a comparison."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from reward_models.sandbox import (
    PayloadTooLarge,
    Sandbox,
    SandboxConfig,
    SandboxUnavailable,
    TaskResult,
    TaskStatus,
)
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier

CACHED_ROWS = 1024

TOO_LARGE = "too_large"

_CHECK = "reward_models.sandbox.jobs:check_tools"

Judge = Callable[[Any, Any], Outcome]


@dataclass(frozen=True)
class Trial:
    """A response under way.

    `fits` says whether a value has the form of the response's job: its process has seen the response's arguments. `judge`
    makes the outcome of the values of the two jobs, the response's first.
    """

    response: Future[TaskResult]
    expected: Future[TaskResult]
    fits: Callable[[Any], bool]
    judge: Judge


class SandboxedVerifier(Verifier):
    """Runs tools in a sandbox of its own, whose processes start at the first call.

    Outcomes are in [0, 1], all of it correctness. A response whose task overruns a limit or crashes gets 0 with the
    `TaskStatus` as the reason, and one whose calls are too large for the sandbox TOO_LARGE: then none of its calls
    counts. Raises SandboxUnavailable where the sandbox fails, or the row's own calls run out of time: nothing is known
    about the response then.
    """

    outcome_range = (0.0, 1.0)
    heavy = True

    def __init__(self, owner: str, sandbox_options: Mapping[str, Any], modules: Sequence[str]) -> None:
        if not isinstance(sandbox_options, Mapping):
            raise ValueError(f"{owner}: sandbox={sandbox_options!r} must be a mapping of the sandbox's options")
        config = SandboxConfig.read(sandbox_options, f"{owner}: sandbox")
        self.sandbox = Sandbox(config, preload=["reward_models.sandbox.jobs", *modules])
        self._owner = owner
        self._expected: OrderedDict[str, Future[TaskResult]] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, rollout: Rollout) -> Outcome:
        """Score one response; blocks while the tools run."""
        trial = self.begin(rollout)
        if isinstance(trial, Outcome):
            return trial
        return self._judge(trial, trial.response.result(), trial.expected.result())

    async def verify_async(self, rollout: Rollout) -> Outcome:
        """`verify`, with the event loop free while the tools run and their results are compared."""
        trial = self.begin(rollout)
        if isinstance(trial, Outcome):
            return trial
        # Shielded, because other rollouts of the row wait for the same expected results.
        results = [asyncio.shield(asyncio.wrap_future(future)) for future in (trial.response, trial.expected)]
        return await asyncio.to_thread(self._judge, trial, *await asyncio.gather(*results))

    def check_tools(self, modules: Sequence[str] = (), classes: Sequence[str] = ()) -> None:
        """Start a worker and look; ValueError where a tool is missing, SandboxUnavailable where an import fails."""
        result = self.sandbox.submit(_CHECK, {"modules": list(modules), "classes": list(classes)}).result()
        if result.status is not TaskStatus.OK:
            raise ValueError(f"{self._owner}: {result.detail or result.status.value}")

    @abstractmethod
    def begin(self, rollout: Rollout) -> Outcome | Trial:
        """Start both tasks, or say at once what the response is worth; ValueError for a bad ground truth."""

    def trial(
        self,
        response: tuple[str, Any],
        expected: Future[TaskResult],
        fits: Callable[[Any], bool],
        judge: Judge,
    ) -> Outcome | Trial:
        """Start the response's task, given as job and payload."""
        try:
            return Trial(self.sandbox.submit(*response), expected, fits, judge)
        except PayloadTooLarge:
            return Outcome(0.0, 0.0, TOO_LARGE, reasons=(TOO_LARGE,))

    def expected_task(self, key: str, job: str, payload: Any) -> Future[TaskResult]:
        """The row's own task, the same one for all rollouts of the row: `key` stands for the payload."""
        with self._lock:
            known = self._expected.get(key)
            if known is None or _is_void(known):
                known = self._expected[key] = self.sandbox.submit(job, payload)
            self._expected.move_to_end(key)
            if len(self._expected) > CACHED_ROWS:
                self._expected.popitem(last=False)
        return known

    def close(self) -> None:
        """End the sandbox's processes; they also end with the verifier and with the program."""
        self.sandbox.close()

    def _judge(self, trial: Trial, response: TaskResult, expected: TaskResult) -> Outcome:
        if expected.status is TaskStatus.TIMEOUT:
            raise SandboxUnavailable(f"{self._owner}: the calls of the ground truth ran out of time")
        if expected.status is not TaskStatus.OK:
            raise ValueError(f"{self._owner}: the calls of the ground truth: {expected.status.value} {expected.detail}")
        if response.status is not TaskStatus.OK:
            return Outcome(0.0, 0.0, response.status.value, reasons=(response.status.value,))
        if not trial.fits(response.value):
            return Outcome(0.0, 0.0, TaskStatus.CRASHED.value, reasons=(TaskStatus.CRASHED.value,))
        return trial.judge(response.value, expected.value)


def _is_void(future: Future[TaskResult]) -> bool:
    """Whether it failed for a reason that may be gone the next time."""
    if not future.done():
        return False
    return future.cancelled() or future.exception() is not None or future.result().status is TaskStatus.TIMEOUT
