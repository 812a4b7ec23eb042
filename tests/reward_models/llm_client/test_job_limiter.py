"""The limits of a job with several processes: the actor's leases, permits in batches, and a real Ray job."""

import asyncio
import subprocess
import sys
import time

import pytest

pytest.importorskip("aiohttp")

from reward_models.llm_client import job_limiter as job_limits
from reward_models.llm_client.job_limiter import PermitActor, make_limiter
from reward_models.llm_client.limits import Limits, ProcessLimiter
from tests.paths import ROOT
from tests.reward_models.llm_client.faulty_server import FaultyServer


def test_a_lease_of_a_process_that_died_runs_out():
    async def main():
        actor = PermitActor(Limits("", 2, None, None), lease_s=0.3)
        assert await actor.take("dead", [1, 1, 1], (0, 0, 0)) == [0.0, 0.0]
        started = time.monotonic()
        assert await asyncio.wait_for(actor.take("alive", [1], (0, 0, 0)), 5) == [0.0]
        assert 0.2 < time.monotonic() - started < 2
        # What comes back late is not counted twice.
        await actor.give_back("dead", (2, 0, 0))
        assert await actor.take("alive", [1, 1], (0, 0, 0)) == [0.0]

    asyncio.run(main())


def test_a_process_that_goes_on_asking_keeps_its_leases():
    async def main():
        actor = PermitActor(Limits("", 2, None, None), lease_s=0.4)
        assert await actor.take("busy", [1, 1], (0, 0, 0)) == [0.0, 0.0]
        for _ in range(4):  # it is alone, and is told so each time
            assert await asyncio.wait_for(actor.take("busy", [1], (0, 0, 0)), 5) == []
        other = asyncio.create_task(actor.take("other", [1], (0, 0, 0)))
        await asyncio.sleep(0.1)
        assert not other.done()
        await actor.give_back("busy", (1, 0, 0))
        assert await asyncio.wait_for(other, 5) == [0.0]

    asyncio.run(main())


def test_a_process_that_closes_is_forgotten():
    async def main():
        actor = PermitActor(Limits("", 1, None, None), lease_s=60)
        assert await actor.take("a", [1], (0, 0, 0)) == [0.0]
        waiting = asyncio.create_task(actor.take("b", [1], (0, 0, 0)))
        behind = asyncio.create_task(actor.take("c", [1], (0, 0, 0)))
        await asyncio.sleep(0)
        await actor.forget("b")
        assert await asyncio.wait_for(waiting, 5) == []
        await actor.forget("a")
        assert await asyncio.wait_for(behind, 5) == [0.0]

    asyncio.run(main())


def test_without_ray_the_process_is_the_job(monkeypatch):
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    assert isinstance(make_limiter(Limits("x", 1, None, None), 1.0), ProcessLimiter)


class LocalActor:
    """A PermitActor without Ray: `actor.method.remote(...)` gives a task."""

    def __init__(self, actor):
        self._actor = actor
        self.calls = []

    def __getattr__(self, name):
        method = getattr(self._actor, name)

        class Remote:
            @staticmethod
            def remote(*arguments):
                self.calls.append(name)
                return asyncio.ensure_future(method(*arguments))

        return Remote


def test_permits_are_fetched_in_batches_and_none_is_lost(monkeypatch):
    async def main():
        limits = Limits("", 8, None, None)
        actor = LocalActor(PermitActor(limits, 60))
        monkeypatch.setattr(job_limits, "find_or_make_actor", lambda *args: actor)
        limiter = job_limits.JobLimiter(limits, 60)
        under_way = peak = 0

        async def one(i):
            nonlocal under_way, peak
            if await limiter.enter(1, 0.2 if i % 10 == 0 else 30) is None:
                return
            under_way += 1
            peak = max(peak, under_way)
            try:
                await asyncio.sleep(0.02)
            finally:
                under_way -= 1
                limiter.leave()

        tasks = [asyncio.create_task(one(i)) for i in range(200)]
        for task in tasks[3::10]:
            asyncio.get_running_loop().call_later(0.1, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert peak == 8
        assert len(actor.calls) < 150
        assert await limiter.enter(1, 1.0) == 0.0
        limiter.leave()
        await asyncio.sleep(0.05)
        assert await actor._actor.take("other", [1] * 9, (0, 0, 0)) == [0.0] * 8
        await limiter.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_process_that_is_alone_hands_on_its_slots_however_slow_the_judge_is(monkeypatch):
    monkeypatch.setattr(job_limits, "_TURN_S", 0.1)
    monkeypatch.setattr(job_limits, "_ALONE_S", 0.02)

    async def main():
        limits = Limits("", 4, None, None)
        actor = LocalActor(PermitActor(limits, 60))
        monkeypatch.setattr(job_limits, "find_or_make_actor", lambda *args: actor)
        limiter = job_limits.JobLimiter(limits, 60)
        granted, left = [], []

        async def one():
            assert await limiter.enter(1, 30) == 0.0
            granted.append(time.monotonic())
            await asyncio.sleep(0.4)  # four turns
            left.append(time.monotonic())
            limiter.leave()

        await asyncio.gather(*(one() for _ in range(12)))
        # The slots of each wave are the next one's at once: in the loop's same round, not after the actor's answer.
        assert all(now - before < 0.02 for now, before in zip(granted[4:], left[:8], strict=True))
        await limiter.aclose()
        assert await actor._actor.take("other", [1] * 5, (0, 0, 0)) == [0.0] * 4

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_process_that_always_has_work_does_not_keep_its_slots(monkeypatch):
    monkeypatch.setattr(job_limits, "_TURN_S", 0.05)

    async def main():
        limits = Limits("", 2, None, None)
        actor = LocalActor(PermitActor(limits, 60))
        monkeypatch.setattr(job_limits, "find_or_make_actor", lambda *args: actor)
        greedy, modest = (job_limits.JobLimiter(limits, 60) for _ in range(2))
        served = []

        async def one(limiter):
            assert await limiter.enter(1, 30) == 0.0
            await asyncio.sleep(0.005)
            served.append(limiter)
            limiter.leave()

        crowd = [asyncio.create_task(one(greedy)) for _ in range(400)]
        await asyncio.sleep(0.02)
        await asyncio.gather(*(one(modest) for _ in range(3)))
        assert len(served) < 150
        await asyncio.gather(*crowd)
        await greedy.aclose()
        await modest.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_lost_actor_fails_the_waiting_calls_and_is_made_anew(monkeypatch):
    class Gone:
        def __getattr__(self, name):
            raise ConnectionError("the actor died")

    async def main():
        limits = Limits("", 1, None, None)
        actors = [Gone(), LocalActor(PermitActor(limits, 60))]
        monkeypatch.setattr(job_limits, "find_or_make_actor", lambda *args: actors.pop(0))
        limiter = job_limits.JobLimiter(limits, 60)
        with pytest.raises(job_limits.LimiterLostError, match="ConnectionError"):
            await limiter.enter(1, 5)
        assert await limiter.enter(1, 5) == 0.0
        limiter.leave()
        await limiter.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))


JOB = """
import asyncio, sys, time
import ray

@ray.remote(num_cpus=0.1)
class Worker:
    async def work(self, url, number):
        from reward_models.llm_client import ChatAnswer, ChatClient, ChatRequest, ClientConfig
        client = ChatClient(ClientConfig(url, "grader", max_concurrency=6, requests_per_minute=1200))
        requests = [ChatRequest(({"role": "user", "content": f"{number} {i}"},), 8) for i in range(20)]
        answers = await asyncio.gather(*map(client.ask, requests))
        await client.aclose()
        return sum(isinstance(answer, ChatAnswer) for answer in answers)

async def two_clients(url):
    from reward_models.llm_client import ChatClient, ChatRequest, ClientConfig
    lost = []
    for i in range(2):
        client = ChatClient(ClientConfig(url, "grader", max_concurrency=5))
        await client.ask(ChatRequest(({"role": "user", "content": f"mine {i}"},), 8))
        await client.aclose()
        lost.append(int(client.summary()["failed_limiter"]))
    return lost

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
print("lost", asyncio.run(two_clients(sys.argv[1])))
workers = [Worker.remote() for _ in range(3)]
print("answers", ray.get([worker.work.remote(sys.argv[1], i) for i, worker in enumerate(workers)]))
print("actors", [name.startswith("awpo_judge_limits_") for name in ray.util.list_named_actors()])
"""


def test_the_limits_hold_for_three_processes_of_a_ray_job():
    pytest.importorskip("ray")
    with FaultyServer(latency_s=0.2) as server:
        root = ROOT
        done = subprocess.run(
            [sys.executable, "-c", JOB, server.base_url], capture_output=True, text=True, timeout=150, cwd=root
        )
        assert "answers [20, 20, 20]" in done.stdout, done.stderr[-2000:]
        assert "actors [True, True]" in done.stdout  # the driver's has another limit
        # The maker's second client finds the actor of its first one alive.
        assert "lost [0, 0]" in done.stdout
    assert server.peak == 6
    # Twenty at once and twenty a second would be 2 s; six at once with 0.2 s each are 2 s too.
    assert server.arrivals[-1] - server.arrivals[2] > 1.5
