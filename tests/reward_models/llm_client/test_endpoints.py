"""Servers that are down, come back or are slow: the circuit of each endpoint, and the choice among several."""

import asyncio
import socket
import time

import pytest

pytest.importorskip("aiohttp")

from reward_models.llm_client import ChatClient, ClientConfig, endpoints
from reward_models.llm_client.endpoints import Endpoints
from tests.reward_models.llm_client.calls import ask, client_at, question, questions, reasons
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer

pytestmark = pytest.mark.usefixtures("short_waits")


def unreachable():
    """A port that is bound and not listening, so that nobody else listens there."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken, f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def test_a_server_that_is_not_there_fails_fast_once_that_is_known(monkeypatch):
    monkeypatch.setattr(endpoints, "_OPEN_S", 0.1)
    taken, url = unreachable()

    async def main():
        client = ChatClient(ClientConfig(url, MODEL))
        first = await asyncio.gather(*(client.ask(request) for request in questions(20)))
        await asyncio.sleep(0.3)
        await client.ask(question("the probe"))
        attempts, started = client.summary()["attempts"], time.monotonic()
        later = await asyncio.gather(*(client.ask(question(f"later {i}")) for i in range(200)))
        assert time.monotonic() - started < 5
        assert client.summary()["attempts"] - attempts <= 2
        await client.aclose()
        return first, later

    with taken:
        first, later = asyncio.run(asyncio.wait_for(main(), 30))
    assert reasons(first) == ["error"] * 20 and reasons(later) == ["error"] * 200
    assert {result.detail for result in later[2:]} == {"every endpoint of the judge is down"}


def test_a_server_that_comes_back_is_used_again(monkeypatch, caplog):
    monkeypatch.setattr(endpoints, "_OPEN_S", 0.1)
    with FaultyServer(faults={"500": 1.0}) as server:

        async def main():
            client = client_at(server)
            while client.summary()["unscored_error"] < 3:
                await client.ask(question(f"{time.monotonic()}"))
                await asyncio.sleep(0.05)
            server.faults = {}
            await asyncio.sleep(2.5)
            results = [await client.ask(request) for request in questions(5)]
            await client.aclose()
            return results

        assert reasons(asyncio.run(asyncio.wait_for(main(), 30))) == [None] * 5
    lines = [record.getMessage() for record in caplog.records]
    assert sum("is down" in line for line in lines) == 1 and "answers again" in lines[-1]


def test_the_circuit_step_by_step(monkeypatch):
    monkeypatch.setattr(endpoints.random, "uniform", lambda low, high: 1.0)
    now = [100.0]
    circuit = Endpoints(["http://a"], clock=lambda: now[0])

    def attempt(at_fault):
        turn = circuit.take()
        circuit.end(turn, at_fault)
        return turn

    for _ in range(9):
        attempt(True)
    attempt(False)  # in a row, so the count starts again
    late = circuit.take()
    for _ in range(10):
        assert not attempt(True).probe
    assert circuit.take() is None and circuit.wait_s() == 1.0  # open for the first time: waited for
    circuit.end(late, True)  # sent before it opened: it changes nothing
    now[0] += 1
    probe = circuit.take()
    assert probe.probe and circuit.take() is None and circuit.wait_s() == 0.5
    circuit.end(probe, None)  # cancelled: somebody else may probe
    assert attempt(True).probe
    assert circuit.wait_s() is None  # down
    now[0] += 2
    assert circuit.wait_s() == 0.0 and attempt(True).probe
    now[0] += 3.9
    assert circuit.wait_s() is None  # for four seconds now
    now[0] += 0.1
    assert attempt(False).probe and not attempt(False).probe  # closed


def test_the_least_loaded_endpoint_is_chosen_and_a_failed_one_avoided():
    circuit = Endpoints(["http://a", "http://b", "http://c"])
    turns = [circuit.take() for _ in range(6)]
    assert sorted(turn.endpoint.url for turn in turns) == [
        "http://a",
        "http://a",
        "http://b",
        "http://b",
        "http://c",
        "http://c",
    ]
    circuit.end(turns[0], True)
    assert circuit.take(avoid=turns[0].endpoint).endpoint is not turns[0].endpoint
    assert circuit.take().endpoint is turns[0].endpoint


def test_an_endpoint_that_fails_is_replaced_by_the_others(server):
    taken, url = unreachable()
    with taken, FaultyServer() as second:
        client = ChatClient(ClientConfig([url, server.base_url, second.base_url], MODEL))
        assert reasons(ask(client, *questions(60))) == [None] * 60
    assert min(len(server.requests), len(second.requests)) >= 15


def test_load_goes_to_the_faster_endpoint():
    with FaultyServer(latency_s=0.02) as fast, FaultyServer(latency_s=0.2) as slow:
        assert reasons(ask(client_at(fast, slow, max_concurrency=8), *questions(120))) == [None] * 120
    assert len(fast.requests) > 2 * len(slow.requests)
