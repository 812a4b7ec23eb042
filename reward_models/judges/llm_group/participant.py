"""How one event loop takes part in the job's rendezvous: its rollouts join, one poll listens for all of them.

Where Ray is initialised the rendezvous is a named actor, found by every process of the job's namespace. It ends with the job,
or with the process that made it. Elsewhere it is an object of this process. The actor never holds a call for each
rollout that waits, only one poll for each process, so no number of rollouts fills it.

Where the actor dies, those that wait are Unscored(error), and the next rollout makes a new one. Whatever happens to the
rendezvous, no rollout waits longer than `wait_s + rank_s` and a margin.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reward_models.judges.llm_group.rendezvous import Answer, Call, Member, Rendezvous
from reward_models.ray_job import find_or_make_actor, in_job
from reward_models.types import Unscored, UnscoredReason, Verdict

_PATIENCE_S = 10.0  # of one poll
_MARGIN_S = 30.0
_FAREWELL_S = 2.0

Rank = Callable[[Any, Mapping[str, Any]], Awaitable[Mapping[str, Verdict]]]

_meetings: dict[str, Rendezvous] = {}


@dataclass(frozen=True)
class RendezvousPlan:
    """Which rendezvous, and its settings; processes with equal plans share it."""

    name: str
    wait_s: float
    rank_s: float
    max_waiting: int


class _RemoteRendezvous:
    """The rendezvous's methods, in the actor."""

    def __init__(self, plan: RendezvousPlan) -> None:
        self._actor = find_or_make_actor(plan.name, Rendezvous, plan.wait_s, plan.rank_s, plan.max_waiting)

    async def join(self, holder: str, member: Member) -> None:
        await self._actor.join.remote(holder, member)

    async def poll(self, holder: str, patience_s: float) -> list[Call | Answer]:
        return await self._actor.poll.remote(holder, patience_s)

    async def settle(self, key: str, verdicts: Mapping[str, Verdict]) -> None:
        await self._actor.settle.remote(key, verdicts)

    async def leave(self, holder: str) -> None:
        await self._actor.leave.remote(holder)


def reach_rendezvous(plan: RendezvousPlan) -> Rendezvous | _RemoteRendezvous:
    """The job's rendezvous where Ray is initialised, otherwise this process' one."""
    if in_job():
        return _RemoteRendezvous(plan)
    return _meetings.setdefault(plan.name, Rendezvous(plan.wait_s, plan.rank_s, plan.max_waiting))


class Participant:
    """For use in the loop it was made in only. `rank(task, members)` gives a verdict by session, for any group."""

    def __init__(self, plan: RendezvousPlan, rank: Rank) -> None:
        self._plan, self._rank = plan, rank
        self._holder = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._rendezvous: Rendezvous | _RemoteRendezvous | None = None
        self._waiting: dict[tuple[str, str], list[asyncio.Future[Verdict]]] = defaultdict(list)
        self._listening: asyncio.Task | None = None
        self._rankings: set[asyncio.Task] = set()
        self._closed = False

    async def meet(self, member: Member) -> Verdict:
        """The member's verdict, once its group is ranked. Raises nothing but cancellation."""
        place = (member.key, member.session)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[place].append(answer)
        limit_s = self._plan.wait_s + self._plan.rank_s + _MARGIN_S
        try:
            return await asyncio.wait_for(self._join(member, answer), limit_s)
        except asyncio.TimeoutError:
            return Unscored(UnscoredReason.TIMEOUT, f"the group gave no answer within {limit_s:g} s")
        except Exception as error:
            self._lose(error)
            return _lost(error)
        finally:
            waiting = self._waiting.get(place, [])
            if answer in waiting:
                waiting.remove(answer)
            if not waiting:
                self._waiting.pop(place, None)

    async def _join(self, member: Member, answer: asyncio.Future[Verdict]) -> Verdict:
        if self._closed:
            return Unscored(UnscoredReason.ERROR, "the judge is closed")
        if self._rendezvous is None or self._listening is None or self._listening.done():
            # Anew after each pause: the actor may have died meanwhile.
            self._rendezvous = reach_rendezvous(self._plan)
            self._listening = asyncio.create_task(self._listen())
        await self._rendezvous.join(self._holder, member)
        return await answer

    async def aclose(self) -> None:
        """Those that wait become Unscored(error); nothing of this loop is left behind."""
        self._closed = True
        self._answer_all(Unscored(UnscoredReason.ERROR, "the judge is closed"))
        tasks = [*self._rankings, *([self._listening] if self._listening else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        rendezvous, self._rendezvous = self._rendezvous, None
        if rendezvous is not None:
            with contextlib.suppress(Exception):  # it may be gone, which is as good
                await asyncio.wait_for(rendezvous.leave(self._holder), _FAREWELL_S)

    async def _listen(self) -> None:
        """Poll while anyone here waits, or ranks."""
        try:
            while self._rendezvous is not None and (self._waiting or self._rankings):
                patience_s = _PATIENCE_S + _MARGIN_S  # a dead actor raises, but a lost one may say nothing
                messages = await asyncio.wait_for(self._rendezvous.poll(self._holder, _PATIENCE_S), patience_s)
                for message in messages:
                    self._read(message)
        except Exception as error:
            self._lose(error)

    def _read(self, message: Call | Answer) -> None:
        if isinstance(message, Call):
            task = asyncio.create_task(self._rank_and_settle(message))
            self._rankings.add(task)
            task.add_done_callback(self._rankings.discard)
            return
        for answer in self._waiting.get((message.key, message.session), ()):
            if not answer.done():
                answer.set_result(message.verdict)

    async def _rank_and_settle(self, call: Call) -> None:
        try:
            verdicts = await asyncio.wait_for(self._rank(call.task, call.members), self._plan.rank_s)
        except asyncio.TimeoutError:
            late = Unscored(UnscoredReason.TIMEOUT, f"the group was not ranked within {self._plan.rank_s:g} s")
            verdicts = dict.fromkeys(call.members, late)
        except Exception as error:
            failed = Unscored(UnscoredReason.ERROR, f"the ranking failed: {type(error).__name__}")
            verdicts = dict.fromkeys(call.members, failed)
        try:
            if self._rendezvous is not None:
                await self._rendezvous.settle(call.key, verdicts)
        except Exception as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """The rendezvous is gone: everyone who waits for it here is answered, the next one looks for a new rendezvous."""
        listening, self._listening, self._rendezvous = self._listening, None, None
        if listening is not None and listening is not asyncio.current_task():
            listening.cancel()  # its poll may never end
        self._answer_all(_lost(error))

    def _answer_all(self, verdict: Unscored) -> None:
        for answers in self._waiting.values():
            for answer in answers:
                if not answer.done():
                    answer.set_result(verdict)


def _lost(error: Exception) -> Unscored:
    return Unscored(UnscoredReason.ERROR, f"the group's meeting place cannot be reached: {type(error).__name__}")
