"""The steps of a job: what processes report, what the trainer collects, and the deadline of a step."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp")

from reward_models.llm_client import ChatAnswer
from reward_models.llm_client import step_stats as job_steps
from reward_models.llm_client.step_stats import StepActor, StepClock, StepReporter, steps_file
from reward_models.llm_client.totals import Entry, Totals
from tests.paths import ROOT
from tests.reward_models.llm_client.calls import client_at, question, questions, reasons
from tests.reward_models.llm_client.faulty_server import FaultyServer

ENTRIES = st.builds(
    Entry,
    result=st.sampled_from(["answer", "timeout", "budget", "cancelled"]),
    source=st.sampled_from(["server", "cache", "shared"]),
    attempts=st.integers(0, 5),
    failures=st.dictionaries(st.sampled_from(["timeout", "rate_limited"]), st.integers(1, 3)),
    prompt_tokens=st.integers(0, 1000),
    completion_tokens=st.integers(0, 1000),
    cost=st.sampled_from([0.0, 0.25, 0.5]),
    latency_s=st.floats(0, 10),
    queue_s=st.floats(0, 10),
)


@given(st.lists(st.lists(ENTRIES, max_size=6), max_size=5))
def test_merged_reports_are_the_totals_of_all(parts):
    whole, merged, part = Totals(), Totals(), Totals()
    for entries in parts:
        for entry in entries:
            whole.add(entry)
            part.add(entry)
        report = part.drain()
        assert bool(report) == bool(entries) and not part.drain()
        merged.merge(report)
    assert merged.summary() == whole.summary()


class Local:
    """An actor without Ray: `local.method.remote(...)` gives a task; None for `actor` is one that died."""

    def __init__(self, actor):
        self.actor, self.calls = actor, 0

    def __getattr__(self, name):
        method = getattr(self.actor, name)  # AttributeError for None

        class Remote:
            @staticmethod
            def remote(*arguments):
                self.calls += 1
                return asyncio.ensure_future(method(*arguments))

        return Remote


@pytest.fixture
def actor(monkeypatch):
    local = Local(StepActor())
    monkeypatch.setattr(job_steps._Way, "actor", lambda self: local)
    return local


def test_entries_go_in_batches_and_none_is_lost(actor, monkeypatch):
    monkeypatch.setattr(job_steps, "REPORT_S", 0.02)

    async def main():
        reporter = StepReporter(Path("a/ledger.jsonl"))
        for i in range(500):
            reporter.add(Entry("answer", "server", prompt_tokens=i))
            if i % 100 == 0:
                await asyncio.sleep(0.05)
        reporter.send()
        reporter.send()
        await asyncio.sleep(0)
        report, ledger = await actor.actor.take()
        assert (report.sums["calls"], report.sums["prompt_tokens"]) == (500, sum(range(500)))
        assert actor.calls <= 8 and ledger == "a/ledger.jsonl"
        assert not (await actor.actor.take())[0]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_what_a_closed_loop_did_not_send_goes_with_the_next(actor, monkeypatch):
    monkeypatch.setattr(job_steps, "REPORT_S", 0.01)
    reporter = StepReporter(None)

    async def one(seconds):
        reporter.add(Entry("answer", "server"))
        await asyncio.sleep(seconds)

    asyncio.run(one(0))
    time.sleep(0.03)
    asyncio.run(one(0.05))
    assert asyncio.run(actor.actor.take())[0].sums["calls"] == 2


def test_a_lost_actor_costs_no_call(actor, caplog):
    actor.actor = None

    async def main():
        reporter, clock = StepReporter(None), StepClock(1.0)
        reporter.add(Entry("answer", "server"))
        reporter.send()
        assert await clock.ends_at() is None
        await clock.aclose()

    asyncio.run(main())
    assert "AttributeError" in caplog.text


def test_the_clock_of_a_step_starts_with_its_first_call(actor):
    async def main():
        clocks = [StepClock(10.0) for _ in range(2)]
        assert [await clock.ends_at() for clock in clocks] == [None, None]  # no trainer says what a step is
        await actor.actor.begin()
        await asyncio.sleep(0.3)
        started = time.monotonic()
        ends = [await clock.ends_at() for clock in clocks]
        assert all(end == pytest.approx(started + 10, abs=0.25) for end in ends)
        before = actor.calls
        await asyncio.gather(*(clock.ends_at() for clock in clocks for _ in range(100)))
        assert actor.calls == before  # asked just now
        for clock in clocks:
            await clock.aclose()

    asyncio.run(main())


def test_calls_after_the_steps_time_are_budget_and_those_under_way_timeout(actor, tmp_path):
    async def main(server):
        client = client_at(server, step_deadline_s=0.6, cache_dir=tmp_path)
        await actor.actor.begin()
        assert isinstance(await client.ask(question("in time")), ChatAnswer)
        server.latency_s = 30
        assert reasons([await client.ask(question("cut"))]) == ["timeout"]
        late = [await client.ask(one) for one in (question("late"), question("later"))]
        assert reasons(late) == ["budget"] * 2 and "step_deadline_s=0.6" in late[0].detail
        cached = await client.ask(question("in time"))  # costs no time
        assert isinstance(cached, ChatAnswer) and cached.cached
        server.latency_s = 0.0
        await actor.actor.begin()  # the next step
        assert reasons(await asyncio.gather(*(client.ask(one) for one in questions(5)))) == [None] * 5
        await client.aclose()
        await asyncio.sleep(0)
        report, _ = await actor.actor.take()
        assert (report.sums["calls"], report.sums["unscored_budget"], report.sums["unscored_timeout"]) == (10, 2, 1)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with FaultyServer() as server:
        asyncio.run(main(server))
        assert len(server.requests) == 7


def test_without_a_trainer_that_announces_steps_there_is_no_deadline(actor):
    async def main(server):
        client = client_at(server, step_deadline_s=0.01)
        assert reasons([await client.ask(one) for one in questions(3)]) == [None] * 3
        await client.aclose()

    with FaultyServer(latency_s=0.02) as server:
        asyncio.run(main(server))


def test_the_steps_are_beside_the_ledger():
    assert steps_file("runs/ledger.jsonl") == Path("runs/ledger.steps.jsonl")
    assert steps_file("ledger") == Path("ledger.steps.jsonl")


JOB = """
import asyncio, json, sys, time
import ray
from reward_models.llm_client.step_stats import StepCollector

@ray.remote(num_cpus=0.1)
class Worker:
    async def work(self, url, ledger, questions):
        from reward_models.llm_client import ChatAnswer, ChatClient, ChatRequest, ClientConfig
        if not hasattr(self, "client"):
            self.client = ChatClient(ClientConfig(url, "grader", ledger=ledger, step_deadline_s=20, max_concurrency=8))
        requests = [ChatRequest(({"role": "user", "content": text},), 8) for text in questions]
        await asyncio.gather(*map(self.client.ask, requests))

@ray.remote(num_cpus=0.1)
class Trainer:
    def __init__(self):
        self.collector = StepCollector()
    def step(self, number, workers, url, ledger):
        self.collector.begin()
        ray.get([w.work.remote(url, ledger, [f"{number} {i} {j}" for j in range(5)]) for i, w in enumerate(workers)])
        time.sleep(0.5)
        return [part["prompt_tokens"] for part in self.collector.collect(number, kind="test")]
    def slow(self):
        # Holds the actor's loop up for longer than the trainer has patience.
        self.collector._patience_s = 0.2
        self.collector._actor.__ray_call__.remote(lambda actor: time.sleep(1.5))
        started = time.monotonic()
        first = self.collector.collect(8)[0]["calls"]
        waited = time.monotonic() - started
        time.sleep(2)
        return first, waited < 1.0, self.collector.collect(9)[0]["calls"]

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
trainer, workers = Trainer.remote(), [Worker.remote() for _ in range(3)]
print("steps", [ray.get(trainer.step.remote(n, workers, *sys.argv[1:])) for n in (1, 2)])
print("slow", ray.get(trainer.slow.remote()))
"""


def test_a_ray_job_gathers_the_steps_of_three_processes(tmp_path):
    pytest.importorskip("ray")
    ledger = tmp_path / "ledger.jsonl"
    with FaultyServer() as server:
        root = ROOT
        command = [sys.executable, "-c", JOB, server.base_url, str(ledger)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, cwd=root)
        assert "steps [[1500.0, 1500.0], [1500.0, 3000.0]]" in done.stdout, done.stderr[-2000:]
        assert "slow (0.0, True, 0.0)" in done.stdout
        assert server.tokens["prompt_tokens"] == 3000
    calls = [json.loads(line) for line in ledger.read_text().splitlines()]
    steps = [json.loads(line) for line in steps_file(ledger).read_text().splitlines()]
    assert sum(call["prompt_tokens"] for call in calls) == sum(step["prompt_tokens"] for step in steps) == 3000
    assert [(step["step"], step["calls"], step["run"]["calls"]) for step in steps[:2]] == [(1, 15, 15), (2, 15, 30)]
    assert steps[0]["kind"] == "test" and steps[0]["latency_p50_s"] > 0
