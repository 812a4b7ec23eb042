"""Participants of a rendezvous: everyone who waits is answered, in one process with several loops."""

import asyncio
import gc
import threading
from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from reward_models import Scored, UnscoredReason
from reward_models.judges.llm_group import participant as participant_module
from reward_models.judges.llm_group.participant import Participant, RendezvousPlan
from reward_models.judges.llm_group.rendezvous import Rendezvous
from tests.reward_models.judges.llm_group.group_calls import member

PLAN = RendezvousPlan("test", 5.0, 5.0, 100)


def by_session(log):
    async def rank(task, members):
        await asyncio.sleep(0.001)
        log.append((task, tuple(members)))
        return {session: Scored(int(session) / 100) for session in members}

    return rank


async def attend(participant, members):
    try:
        return await asyncio.gather(*(participant.meet(one) for one in members))
    finally:
        await participant.aclose()


def in_threads(*works):
    """Each in a thread and loop of its own; their results, in order."""
    results = [None] * len(works)

    def run(i):
        results[i] = asyncio.run(asyncio.wait_for(works[i](), 30))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    return results


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(2, 5), min_size=1, max_size=12),
    loops=st.integers(1, 4),
    random=st.randoms(use_true_random=False),
)
def test_groups_spread_over_loops_are_each_ranked_once(sizes, loops, random):
    participant_module._meetings.clear()
    shares, log = defaultdict(list), []
    members = [member(str(key), session, size) for key, size in enumerate(sizes) for session in range(size)]
    members += random.sample(members, len(members) // 4)  # some come twice
    random.shuffle(members)
    for one in members:
        shares[random.randrange(loops)].append(one)
    works = [lambda share=share: attend(Participant(PLAN, by_session(log)), share) for share in shares.values()]
    for share, verdicts in zip(shares.values(), in_threads(*works), strict=True):
        assert verdicts == [Scored(int(one.session) / 100) for one in share]
    ranked = Counter(key for key, _ in log)
    assert ranked == Counter(f"task of {key}" for key in range(len(sizes)))
    assert asyncio.run(participant_module._meetings["test"].counts())["members"] == 0


def test_members_that_fail_never_come_and_the_others_are_ranked_after_the_wait():
    participant_module._meetings.clear()
    log = []
    plan = RendezvousPlan("short", 0.2, 5.0, 100)
    works = [
        lambda: attend(Participant(plan, by_session(log)), [member("a", 0), member("b", 0)]),
        lambda: attend(Participant(plan, by_session(log)), [member("a", 2)]),
    ]
    (first, alone), (other,) = in_threads(*works)
    assert (first, other) == (Scored(0.0), Scored(0.02)) and log == [("task of a", ("0", "2"))]
    assert alone.reason is UnscoredReason.NO_EVIDENCE


def test_a_ranking_that_raises_or_hangs_is_unscored_for_all():
    participant_module._meetings.clear()

    async def raises(task, members):
        raise KeyError("a secret")

    async def hangs(task, members):
        await asyncio.sleep(60)

    members = [member("a", session) for session in range(3)]
    for rank, code, plan in [
        (raises, UnscoredReason.ERROR, PLAN),
        (hangs, UnscoredReason.TIMEOUT, RendezvousPlan("hanging", 5.0, 0.1, 100)),
    ]:
        verdicts = asyncio.run(attend(Participant(plan, rank), members))
        assert {verdict.reason for verdict in verdicts} == {code}
        assert "secret" not in repr(verdicts)


class LostRendezvous:
    """Takes members in, and then is gone."""

    def __init__(self, silent=False):
        self.silent = silent

    async def join(self, holder, member):
        pass

    async def poll(self, holder, patience_s):
        await asyncio.sleep(60 if self.silent else 0.01)
        raise ConnectionError("gone")

    async def leave(self, holder):
        raise ConnectionError("gone")


def test_a_rendezvous_that_dies_or_falls_silent_leaves_nobody_waiting(monkeypatch):
    participant_module._meetings.clear()
    monkeypatch.setattr(participant_module, "_MARGIN_S", 0.1)
    rendezvous = [LostRendezvous(), LostRendezvous(silent=True), Rendezvous(5.0, 5.0, 100)]
    monkeypatch.setattr(participant_module, "reach_rendezvous", lambda plan: rendezvous.pop(0))

    async def main():
        participant = Participant(RendezvousPlan("lost", 0.1, 0.1, 100), by_session([]))
        lost = await asyncio.gather(*(participant.meet(member("a", session)) for session in range(2)))
        assert {verdict.reason for verdict in lost} == {UnscoredReason.ERROR}
        silent = await participant.meet(member("b", 0))
        assert silent.reason is UnscoredReason.TIMEOUT
        participant._lose(ConnectionError())
        found = await asyncio.gather(*(participant.meet(member("c", session, 2)) for session in range(2)))
        await participant.aclose()
        return found

    assert asyncio.run(asyncio.wait_for(main(), 20)) == [Scored(0.0), Scored(0.01)]


def test_closing_answers_those_who_wait_and_leaves_nothing_behind():
    participant_module._meetings.clear()

    async def main():
        before = asyncio.all_tasks()
        participant = Participant(PLAN, by_session([]))
        waiting = asyncio.create_task(participant.meet(member("a", 0)))
        await asyncio.sleep(0.05)
        await participant.aclose()
        verdict = await waiting
        assert (await participant.meet(member("a", 1))).reason is UnscoredReason.ERROR
        assert asyncio.all_tasks() == before and not participant._waiting
        await participant.aclose()
        return verdict

    assert asyncio.run(main()).reason is UnscoredReason.ERROR
    gc.collect()


def test_one_who_is_cancelled_leaves_the_others_their_answer():
    participant_module._meetings.clear()

    async def main():
        participant = Participant(PLAN, by_session([]))
        gone = asyncio.create_task(participant.meet(member("a", 0)))
        await asyncio.sleep(0.02)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert gone.cancelled() and not participant._waiting
        return await attend(participant, [member("a", 1), member("a", 2)])

    assert asyncio.run(main()) == [Scored(0.01), Scored(0.02)]
