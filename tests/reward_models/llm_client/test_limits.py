"""The limits of one process with several loops: rates, slots, and what the clients share."""

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp")

from reward_models.llm_client.limits import Limits, Permits, ProcessLimiter, Rate, process_limiter
from tests.reward_models.llm_client.calls import ask, client_at, config_at, question, questions, reasons
from tests.reward_models.llm_client.faulty_server import FaultyServer


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@given(
    per_minute=st.sampled_from([1, 7, 60, 600, 12_345]),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 40)), min_size=1, max_size=30),
)
def test_any_minute_has_at_most_the_rate_and_one_burst(per_minute, steps):
    clock = Clock()
    rate = Rate(per_minute, clock)
    sent = []
    for pause, amount in steps:
        clock.now += pause
        sent.append((clock.now + rate.reserve(amount), amount))
    assert sent == sorted(sent, key=lambda one: one[0])  # first come first served
    for begin, _ in sent:
        window = [amount for at, amount in sent if begin <= at < begin + 60]
        # What is not split, the last reservation, may go beyond.
        assert sum(window[:-1]) <= per_minute * (1 + 1 / 60) + 1 + 1e-6


def test_a_rate_is_used_in_full():
    clock = Clock()
    rate = Rate(600, clock)
    assert rate.reserve(1) == 0.0
    waits = [rate.reserve(1) for _ in range(600)]
    assert waits[-1] == pytest.approx(59.1)  # a second's worth at once, then ten a second
    rate.give_back(100)
    assert rate.reserve(1) == pytest.approx(49.2)


def test_permits_without_rates_are_slots_only():
    permits = Permits(Limits("", 2, None, None))
    assert [permits.take(10**6) for _ in range(3)] == [0.0, 0.0, None]
    permits.give_back(1, 0, 0)
    assert permits.take(1) == 0.0


def test_clients_of_the_same_endpoints_and_limits_share_them():
    with FaultyServer() as server, FaultyServer() as other:
        limits = [Limits.of(config_at(server, other, model=model)) for model in ("a", "b")]
        limits += [
            Limits.of(config_at(other, server)),
            Limits.of(config_at(server)),
            Limits.of(config_at(server, other, max_concurrency=3)),
        ]
    first, *others = [process_limiter(one) for one in limits]
    assert [one is first for one in others] == [True, True, False, False]


def test_the_rate_of_requests_holds():
    with FaultyServer() as server:
        started = time.monotonic()
        assert reasons(ask(client_at(server, requests_per_minute=600), *questions(25))) == [None] * 25
    # Ten at once, then one each 0.1 s
    assert 1.4 < time.monotonic() - started < 4
    assert sum(at - server.arrivals[0] < 0.05 for at in server.arrivals) <= 12


def test_the_rate_of_tokens_holds_and_is_put_right_by_what_was_used():
    with FaultyServer() as server:  # 110 tokens each; asked for with up to 1000
        started = time.monotonic()
        client = client_at(server, tokens_per_minute=60_000, max_concurrency=1)
        results = ask(client, *(question(f"{i}", max_tokens=1000) for i in range(20)))
    assert reasons(results) == [None] * 20
    assert 0.9 < time.monotonic() - started < 5  # 2200 tokens at 1000 a second; 20 s without the correction


def test_a_wait_beyond_the_deadline_is_refused_at_once():
    with FaultyServer() as server:
        client = client_at(server, requests_per_minute=1, deadline_s=20)
        started = time.monotonic()
        assert sorted(reasons(ask(client, *questions(5))), key=str) == [None, *["budget"] * 4]
        assert time.monotonic() - started < 5
        assert client.summary()["unscored_budget"] == 4 and len(server.requests) == 1


def test_a_slot_is_lost_by_no_timeout_cancellation_or_dead_loop():
    limiter = ProcessLimiter(Limits("", 2, None, None))

    async def crowd():
        async def one(i):
            if await limiter.enter(1, 0.001 * (i % 7)) is not None:
                try:
                    await asyncio.sleep(0.001 * (i % 3))
                finally:
                    limiter.leave()

        tasks = [asyncio.create_task(one(i)) for i in range(300)]
        for task in tasks[::5]:
            asyncio.get_running_loop().call_later(0.003, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)

    threads = [threading.Thread(target=asyncio.run, args=(crowd(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    async def both():
        return [await limiter.enter(1, 1.0) for _ in range(3)]

    assert asyncio.run(both()) == [0.0, 0.0, None]
