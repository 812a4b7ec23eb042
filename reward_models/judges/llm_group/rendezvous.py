"""Where the rollouts of a prompt meet: gathers a group's members, lets one of those present rank them, answers all.

It knows nothing of judges, models or Ray. A job has one rendezvous, so that siblings meet whatever process scores them; see
participant.py for how it is reached. It keeps texts of groups that are still open or being ranked, and of ended ones only
the results.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reward_models.types import Unscored, UnscoredReason, Verdict

# Of the 1000 calls that a reward worker of verl has at once: the others are for siblings, and for calls that do not wait.
MAX_WAITING = 800
_ENDED_KEPT = 20_000  # groups whose results are remembered, for members that come late or twice
_SILENT_S = 300.0  # a holder silent for longer is gone


@dataclass(frozen=True)
class Member:
    """One rollout of the group `key`: `session` is its name there, `size` how many the group should have.

    `content` is what the one who ranks needs of it, `task` what the group shares; the rendezvous looks into neither.
    """

    key: str
    session: str
    size: int
    content: Any
    task: Any = None


@dataclass(frozen=True)
class Call:
    """To one holder: rank this group, members in the order of their sessions, and `settle` it."""

    key: str
    task: Any
    members: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """To each holder with a member: its verdict."""

    key: str
    session: str
    verdict: Verdict


@dataclass(eq=False)
class _Group:
    size: int
    task: Any
    ends: float  # when those present are ranked, or, being ranked, when it is given up
    contents: dict[str, Any] = field(default_factory=dict)
    holders: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # session -> who waits for it


class Rendezvous:
    """Safe between threads and event loops. No method waits but `poll`, and that at most `patience_s`.

    wait_s: from a group's first member on; then those that came are ranked.
    rank_s: for ranking; then all members are Unscored(timeout).
    max_waiting: members of one holder in open groups; with more, the oldest group it has a member in is ranked as it is.
        verl's reward workers hold a place for each call that waits, and siblings may wait behind them for a place.
    """

    def __init__(
        self, wait_s: float, rank_s: float, max_waiting: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wait_s, self._rank_s, self._max_waiting, self._clock = wait_s, rank_s, max_waiting, clock
        self._lock = threading.RLock()
        self._open: OrderedDict[str, _Group] = OrderedDict()  # oldest first
        self._ranking: OrderedDict[str, _Group] = OrderedDict()
        self._ended: OrderedDict[str, dict[str, Verdict]] = OrderedDict()
        self._outboxes: dict[str, list[Call | Answer]] = defaultdict(list)
        self._seen: dict[str, float] = {}
        self._waiting: dict[str, int] = defaultdict(int)  # holder -> its members in open groups
        self._listeners: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    async def join(self, holder: str, member: Member) -> None:
        """Add a member; its Answer comes by `poll`. One that has joined before waits for the same answer."""
        with self._lock:
            self._arrive(holder)
            if (results := self._ended.get(member.key)) is not None:
                self._send(holder, Answer(member.key, member.session, results.get(member.session, _late())))
                return
            if (group := self._ranking.get(member.key)) is not None:
                if member.session in group.contents:
                    group.holders[member.session].add(holder)
                else:
                    self._send(holder, Answer(member.key, member.session, _late()))
                return
            group = self._open.get(member.key)
            if group is None:
                group = _Group(member.size, member.task, self._clock() + self._wait_s)
                self._open[member.key] = group
                self._ring(holder)  # its poll has to end when the group does
            group.task = member.task if group.task is None else group.task
            group.contents.setdefault(member.session, member.content)
            if holder not in group.holders[member.session]:
                group.holders[member.session].add(holder)
                self._waiting[holder] += 1
            if len(group.contents) >= group.size:
                self._close(member.key)
            elif self._waiting[holder] > self._max_waiting:
                self._close(self._oldest(holder))

    async def poll(self, holder: str, patience_s: float) -> list[Call | Answer]:
        """What there is for `holder`, as soon as there is something; [] where nothing came within `patience_s`."""
        listener = asyncio.Event()
        with self._lock:
            self._arrive(holder)
            if found := self._outboxes.pop(holder, []):
                return found
            self._listeners[holder] = (asyncio.get_running_loop(), listener)
            pause = min(
                [patience_s, *(next(iter(groups.values())).ends - self._clock() for groups in self._under_way())]
            )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(listener.wait(), max(0.0, pause))
        with self._lock:
            if self._listeners.get(holder, (None, None))[1] is listener:
                del self._listeners[holder]
            self._arrive(holder)
            return self._outboxes.pop(holder, [])

    async def settle(self, key: str, verdicts: Mapping[str, Verdict]) -> None:
        """The ranking of a group that a Call asked for, by session; a member without a verdict is Unscored(error)."""
        with self._lock:
            self._end(key, dict(verdicts), Unscored(UnscoredReason.ERROR, "the ranking left this rollout out"))

    async def leave(self, holder: str) -> None:
        """The holder waits for nothing any more; its members stay, for the ranks of the others."""
        with self._lock:
            self._forget(holder)

    async def counts(self) -> dict[str, int]:
        """How much the rendezvous holds now."""
        with self._lock:
            groups = [*self._open.values(), *self._ranking.values()]
            return {
                "open": len(self._open),
                "ranking": len(self._ranking),
                "members": sum(len(group.contents) for group in groups),
                "holders": len(self._seen),
                "undelivered": sum(len(outbox) for outbox in self._outboxes.values()),
            }

    def _under_way(self) -> list[OrderedDict[str, _Group]]:
        return [groups for groups in (self._open, self._ranking) if groups]

    def _arrive(self, holder: str) -> None:
        """Note that `holder` lives, and do what is due. Whoever waits polls, so what is due is done on time."""
        now = self._clock()
        self._seen[holder] = now
        for silent in [other for other, seen in self._seen.items() if now - seen > _SILENT_S]:
            self._forget(silent)
        while self._open and next(iter(self._open.values())).ends <= now:
            self._close(next(iter(self._open)))
        while self._ranking and next(iter(self._ranking.values())).ends <= now:
            detail = f"the group was not ranked within {self._rank_s:g} s: the process that did it may be gone"
            self._end(next(iter(self._ranking)), {}, Unscored(UnscoredReason.TIMEOUT, detail))

    def _close(self, key: str) -> None:
        """No more members: those that came are ranked, by a holder that listens, or was heard of last."""
        group = self._open.pop(key)
        for holders in group.holders.values():
            for holder in holders:
                self._waiting[holder] -= 1
        group.ends = self._clock() + self._rank_s
        self._ranking[key] = group
        present = {holder for holders in group.holders.values() for holder in holders if holder in self._seen}
        if len(group.contents) < 2:
            detail = f"none of its {group.size - 1} siblings came in time (wait_s={self._wait_s:g}): nothing to rank"
            self._end(key, {}, Unscored(UnscoredReason.NO_EVIDENCE, detail))
        elif present:
            members = dict(sorted(group.contents.items(), key=lambda item: (len(item[0]), item[0])))
            ranker = max(present, key=lambda holder: (holder in self._listeners, self._seen[holder]))
            self._send(ranker, Call(key, group.task, members))
        else:
            self._end(key, {}, Unscored(UnscoredReason.ERROR, "no process is left to rank the group"))

    def _oldest(self, holder: str) -> str:
        """The holder's oldest open group, of those with two members or more where there is one."""
        keys = [key for key, group in self._open.items() if _has(group, holder)]
        return next((key for key in keys if len(self._open[key].contents) > 1), keys[0])

    def _end(self, key: str, verdicts: dict[str, Verdict], otherwise: Unscored) -> None:
        group = self._ranking.pop(key, None)
        if group is None:  # it was given up, or settled twice
            return
        results = {session: verdicts.get(session, otherwise) for session in group.contents}
        self._ended[key] = results
        while len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)
        for session, holders in group.holders.items():
            for holder in holders:
                if holder in self._seen:
                    self._send(holder, Answer(key, session, results[session]))

    def _send(self, holder: str, message: Call | Answer) -> None:
        self._outboxes[holder].append(message)
        self._ring(holder)

    def _ring(self, holder: str) -> None:
        if (listener := self._listeners.get(holder)) is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                listener[0].call_soon_threadsafe(listener[1].set)

    def _forget(self, holder: str) -> None:
        for box in (self._seen, self._outboxes, self._waiting, self._listeners):
            box.pop(holder, None)
        for groups in (self._open, self._ranking):
            for group in groups.values():
                for holders in group.holders.values():
                    holders.discard(holder)


def _has(group: _Group, holder: str) -> bool:
    return any(holder in holders for holders in group.holders.values())


def _late() -> Unscored:
    return Unscored(
        UnscoredReason.TIMEOUT, "the group was ranked before this rollout came; judge_kwargs.wait_s is the wait"
    )
