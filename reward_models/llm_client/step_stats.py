"""What the judge did in each step of a training run: gathered by one Ray actor over all processes of the job.

The reward function runs in several processes, and the trainer, which knows the steps, is another. So the trainer makes
the actor (`StepCollector`), each process adds what its calls came to, several times a second at most (`StepReporter`),
and the trainer takes the sums once a step. The same actor has the clock of `step_deadline_s` (`StepClock`).

A step is the time from one `collect` of the trainer to the next, so the steps add up to the run. A call counts in the
step in which its end becomes known to the actor. In verl's sync mode that is the step that trains on the rollout. In the
asynchronous modes judging goes on while the trainer trains: there a step has what was judged during it, and some of that
is trained on later.

Without Ray, or with a trainer that makes no such actor, nothing is gathered and no step has a deadline. Nothing here
raises, or holds up a call: what cannot be reported is missing from the step's sums, and still in the ledger's lines.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any

from reward_models.llm_client.totals import Entry, Report, Totals
from reward_models.private_files import open_private
from reward_models.ray_job import find_actor, find_or_make_actor, in_job, job_name

logger = logging.getLogger(__name__)

_ACTOR = "awpo_judge_steps"

REPORT_S = 0.2
_FRESH_S = 0.25
_LOOK_AGAIN_S = 5.0
_PATIENCE_S = 2.0


class StepActor:
    """The sums of the step under way, and since when it has been judged; runs as an asynchronous Ray actor."""

    def __init__(self) -> None:
        self._totals = Totals()
        self._ledger: str | None = None
        self._announced = False
        self._judging_since: float | None = None

    async def add(self, report: Report, ledger: str | None) -> None:
        self._totals.merge(report)
        self._ledger = ledger or self._ledger

    async def begin(self) -> None:
        """A step, or a validation, begins: its clock starts with its first call."""
        self._announced, self._judging_since = True, None

    async def judging_s(self) -> float | None:
        """Seconds since this was first asked after `begin`; None where nobody says when steps begin."""
        if not self._announced:
            return None
        now = time.monotonic()
        if self._judging_since is None:
            self._judging_since = now
        return now - self._judging_since

    async def take(self) -> tuple[Report, str | None]:
        """What was added since the last time, and the path of the ledger that its calls are in."""
        return self._totals.drain(), self._ledger


class _Way:
    """This process' way to the actor, which the trainer makes before or after this process starts."""

    def __init__(self) -> None:
        self._actor: Any = None
        self._look_at = 0.0

    def actor(self) -> Any:
        """The actor's handle; None where there is none (yet)."""
        if not in_job():
            return None
        if self._actor is None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_AGAIN_S
            self._actor = find_actor(job_name(_ACTOR))
        return self._actor

    def lost(self) -> None:
        self._actor = None


class StepReporter:
    """Sends what a client's calls came to. Usable from several loops and threads."""

    def __init__(self, ledger: Path | None) -> None:
        self._ledger = None if ledger is None else str(ledger)
        self._pending = Totals()
        self._way = _Way()
        self._sending: asyncio.TimerHandle | None = None

    def add(self, entry: Entry) -> None:
        """Count, and send soon; called in a running loop."""
        if self._way.actor() is None:
            return
        self._pending.add(entry)
        sending = self._sending
        # One of a loop that is closed never fires.
        if sending is None or sending.when() < asyncio.get_running_loop().time() - REPORT_S:
            self._sending = asyncio.get_running_loop().call_later(REPORT_S, self.send)

    def send(self) -> None:
        """Send now what was not sent yet."""
        self._sending = None
        report, actor = self._pending.drain(), self._way.actor()
        if report and actor is not None:
            try:
                actor.add.remote(report, self._ledger)
            except Exception as error:
                self._way.lost()
                logger.warning("The judge's step totals lack some calls: %s", type(error).__name__)


class StepClock:
    """How much of a step's time for judging is left, for the calls of one event loop."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._way = _Way()
        self._asked_at = float("-inf")
        self._ends_at: float | None = None
        self._asking: asyncio.Future | None = None

    async def ends_at(self) -> float | None:
        """When the step's time is over, of `time.monotonic`; None where steps are not known."""
        now = time.monotonic()
        over = self._ends_at is not None and self._ends_at <= now  # then the next step may have begun
        if now - self._asked_at > _FRESH_S or over:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.ensure_future(self._ask())
            await asyncio.shield(self._asking)
        return self._ends_at

    async def aclose(self) -> None:
        if self._asking is not None:
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        judging_s = None
        actor = self._way.actor()
        if actor is not None:
            try:
                judging_s = await asyncio.wait_for(_wrap(actor.judging_s.remote()), _PATIENCE_S)
            except Exception:  # it died or is slow: a step without a deadline is better than one without a judge
                self._way.lost()
        self._asked_at = time.monotonic()
        self._ends_at = None if judging_s is None else self._asked_at + self._deadline_s - judging_s


class StepCollector:
    """The trainer's end: makes the actor, says when a step begins, takes its sums."""

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        import ray

        self._ray = ray
        self._patience_s = patience_s
        self._actor = find_or_make_actor(job_name(_ACTOR), StepActor, max_restarts=-1)
        self._asked: list[Any] = []
        self._run = Totals()
        self._said = False

    def begin(self) -> None:
        """A step, or a validation, begins. Waits for nothing."""
        self._actor.begin.remote()

    def collect(self, step: int, **extra: Any) -> tuple[dict[str, float], dict[str, float]]:
        """What was judged since the last time, and in the run so far: two of `Totals.summary`.

        Waits `patience_s` at most; what comes later is in the next step's sums. Where a ledger is written, a line with
        both, and with `extra`, goes to `<ledger>.steps.jsonl` beside it.
        """
        self._asked.append(self._actor.take.remote())
        here, self._asked = self._ray.wait(self._asked, num_returns=len(self._asked), timeout=self._patience_s)
        if self._asked and not self._said:
            self._said = True
            logger.warning("The judge's totals of step %d come with a later step's: their actor is slow", step)
        totals, ledger = Totals(), None
        for found in here:
            try:
                report, ledger = self._ray.get(found)
            except Exception as error:
                logger.warning("The judge's totals lack what came before step %d: %s", step, type(error).__name__)
                continue
            totals.merge(report)
            self._run.merge(report)
        of_step, of_run = totals.summary(), self._run.summary()
        if ledger is not None:
            self._write(
                steps_file(ledger), {"time": round(time.time(), 3), "step": step, **extra, **of_step, "run": of_run}
            )
        return of_step, of_run

    def _write(self, path: Path, line: dict[str, Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open_private(path) as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            logger.error("The judge's steps cannot be written to %s: %s", path, error)


def steps_file(ledger: str | Path) -> Path:
    """Where a ledger's steps are: not in the ledger itself, whose lines are calls and add up."""
    return Path(ledger).with_suffix(".steps.jsonl")


async def _wrap(awaitable: Any) -> Any:
    return await awaitable
