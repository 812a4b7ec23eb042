"""The rendezvous of siblings: each is answered once, by one ranking, whatever the order, the time and the losses."""

import asyncio

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judges.llm_group.rendezvous import Answer, Call, Rendezvous
from tests.reward_models.judges.llm_group.group_calls import member


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1e-9  # no two moments are equal
        return self.now


def make_rendezvous(wait_s=10.0, rank_s=5.0, max_waiting=100):
    clock = Clock()
    return Rendezvous(wait_s, rank_s, max_waiting, clock), clock


async def messages(rendezvous, holder):
    """What there is for the holder, without waiting."""
    return await rendezvous.poll(holder, 0.0)


def reason(message):
    assert isinstance(message, Answer) and isinstance(message.verdict, Unscored), message
    return message.verdict.reason


def test_a_whole_group_is_ranked_by_the_one_who_came_last():
    async def main():
        rendezvous, clock = make_rendezvous()
        for session, holder in enumerate(("x", "y", "z")):
            clock.now += 1
            await rendezvous.join(holder, member("a", session))
        assert await messages(rendezvous, "x") == await messages(rendezvous, "y") == []
        (call,) = await messages(rendezvous, "z")
        assert call == Call("a", "task of a", {"0": "a0", "1": "a1", "2": "a2"})
        await rendezvous.settle("a", {str(session): Scored(session / 2) for session in range(3)})
        for session, holder in enumerate(("x", "y", "z")):
            assert await messages(rendezvous, holder) == [Answer("a", str(session), Scored(session / 2))]
        counts = await rendezvous.counts()
        assert (counts["open"], counts["ranking"], counts["members"], counts["undelivered"]) == (0, 0, 0, 0)

    asyncio.run(main())


def test_members_are_shown_in_the_order_of_their_sessions():
    async def main():
        rendezvous, _ = make_rendezvous()
        for session in (10, 2, 1, 0):
            await rendezvous.join("x", member("a", session, size=4))
        ((call),) = await messages(rendezvous, "x")
        assert list(call.members) == ["0", "1", "2", "10"]

    asyncio.run(main())


def test_after_the_wait_those_that_came_are_ranked_and_late_ones_are_unscored():
    async def main():
        rendezvous, clock = make_rendezvous(wait_s=10)
        await rendezvous.join("x", member("a", 0))
        clock.now = 9.9
        await rendezvous.join("y", member("a", 2))
        assert await messages(rendezvous, "y") == []
        clock.now = 10.0
        (call,) = [*await messages(rendezvous, "x"), *await messages(rendezvous, "y")]
        assert list(call.members) == ["0", "2"]
        await rendezvous.join("z", member("a", 1))  # while the others are ranked
        assert reason((await messages(rendezvous, "z"))[0]) is UnscoredReason.TIMEOUT
        await rendezvous.settle("a", {"0": Scored(1.0), "2": Scored(0.0)})
        await rendezvous.join("z", member("a", 1))  # and after
        assert reason((await messages(rendezvous, "z"))[0]) is UnscoredReason.TIMEOUT

    asyncio.run(main())


def test_one_whose_siblings_never_come_has_nothing_to_be_ranked_with():
    async def main():
        rendezvous, clock = make_rendezvous(wait_s=10)
        await rendezvous.join("x", member("a", 0))
        clock.now = 11
        (answer,) = await messages(rendezvous, "x")
        assert reason(answer) is UnscoredReason.NO_EVIDENCE and "none of its 2 siblings" in answer.verdict.detail

    asyncio.run(main())


def test_one_that_comes_twice_counts_once_and_is_answered_wherever_it_waits():
    async def main():
        rendezvous, _ = make_rendezvous()
        for holder in ("x", "x", "y"):
            await rendezvous.join(holder, member("a", 0))
        await rendezvous.join("z", member("a", 1))
        assert (await rendezvous.counts())["open"] == 1
        await rendezvous.join("z", member("a", 2))
        (call,) = await messages(rendezvous, "z")
        await rendezvous.join("w", member("a", 0))  # while it is ranked
        assert list(call.members) == ["0", "1", "2"]
        await rendezvous.settle("a", {session: Scored(0.5) for session in "012"})
        for holder in ("x", "y", "w"):
            assert await messages(rendezvous, holder) == [Answer("a", "0", Scored(0.5))]
        await rendezvous.join("v", member("a", 0))  # and after
        assert await messages(rendezvous, "v") == [Answer("a", "0", Scored(0.5))]

    asyncio.run(main())


def test_a_ranking_that_never_comes_is_given_up_and_one_that_comes_then_changes_nothing():
    async def main():
        rendezvous, clock = make_rendezvous(rank_s=5)
        for session, holder in enumerate("xyz"):
            await rendezvous.join(holder, member("a", session))
        assert isinstance((await messages(rendezvous, "z"))[0], Call)  # z dies here
        clock.now = 6
        for holder in "xy":
            (answer,) = await messages(rendezvous, holder)
            assert reason(answer) is UnscoredReason.TIMEOUT and "not ranked within 5 s" in answer.verdict.detail
        await rendezvous.settle("a", {"0": Scored(1.0)})
        assert await messages(rendezvous, "x") == []

    asyncio.run(main())


def test_a_member_left_out_of_the_ranking_is_unscored():
    async def main():
        rendezvous, _ = make_rendezvous()
        for session in range(3):
            await rendezvous.join("x", member("a", session))
        await rendezvous.settle("a", {"0": Scored(1.0)})
        answers = {
            message.session: message for message in await messages(rendezvous, "x") if isinstance(message, Answer)
        }
        assert answers["0"].verdict == Scored(1.0)
        assert {reason(answers[session]) for session in "12"} == {UnscoredReason.ERROR}

    asyncio.run(main())


def test_a_worker_with_too_many_waiting_has_its_oldest_group_ranked_as_it_is():
    async def main():
        rendezvous, _ = make_rendezvous(max_waiting=6)
        await rendezvous.join("x", member("lonely", 0, size=4))
        for key in ("a", "b", "c"):
            await rendezvous.join("x", member(key, 0, size=4))
            await rendezvous.join("y", member(key, 1, size=4))
        await rendezvous.join("x", member("d", 0, size=4))
        await rendezvous.join("x", member("e", 0, size=4))
        assert await messages(rendezvous, "x") == []
        await rendezvous.join("x", member("f", 0, size=4))
        called = [message for holder in "xy" for message in await messages(rendezvous, holder)]
        assert [(message.key, list(message.members)) for message in called] == [("a", ["0", "1"])]
        assert (await rendezvous.counts())["open"] == 6

    asyncio.run(main())


def test_the_results_of_old_groups_are_forgotten_and_silent_holders_too(monkeypatch):
    monkeypatch.setattr("reward_models.judges.llm_group.rendezvous._ENDED_KEPT", 10)

    async def main():
        rendezvous, clock = make_rendezvous(wait_s=10)
        for number in range(50):
            await rendezvous.join(f"holder {number}", member(str(number), 0))
            clock.now += 11
        counts = await rendezvous.counts()
        assert counts["open"] + counts["ranking"] <= 1 and counts["members"] <= 1
        assert len(rendezvous._ended) == 10
        assert counts["holders"] < 40 and counts["undelivered"] < 40  # those heard of in the last 300 s

    asyncio.run(main())
