"""The judge's client against a real server on 127.0.0.1: requests, secrets, sharing, loops, cancellation, closing."""

import asyncio
import gc
import logging
import pickle
import sys
import threading
import time
import tracemalloc

import pytest

pytest.importorskip("aiohttp")

from reward_models import Unscored, UnscoredReason
from reward_models.judges import JudgeNotReadyError
from reward_models.llm_client import ChatAnswer, ChatClient, ClientConfig
from tests.reward_models.llm_client.calls import (
    KEY,
    ask,
    ask_one,
    client_at,
    question,
    questions,
    quick_retries,
    reasons,
)
from tests.reward_models.llm_client.faulty_server import MODEL, VERDICT, FaultyServer


@pytest.fixture
def server(server_with_key):
    return server_with_key


def test_a_request_and_its_answer(server):
    schema = {"type": "json_schema", "json_schema": {"schema": {"properties": {"reasons": {}, "a": {}}}}}
    answer = ask_one(client_at(server), question("Hm?", max_tokens=99, temperature=0.5, seed=3, response_format=schema))
    assert (answer.text, answer.finish_reason) == (VERDICT, "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (100, 10)
    assert answer.endpoint == server.base_url and not answer.cached
    assert 0 < answer.latency_s < 5 and 0 <= answer.queue_s < 5
    (sent,) = server.requests
    assert sent == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hm?"}],
        "max_tokens": 99,
        "temperature": 0.5,
        "seed": 3,
        "response_format": schema,
    }
    # Servers generate a schema's properties in the order that they get.
    assert list(sent["response_format"]["json_schema"]["schema"]["properties"]) == ["reasons", "a"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_what_is_not_given_is_not_sent(server):
    ask_one(client_at(server))
    assert set(server.requests[0]) == {"model", "messages", "max_tokens", "temperature"}


def test_without_a_key_no_header_is_sent(monkeypatch):
    monkeypatch.setenv("OTHER_KEY", " ")
    with FaultyServer() as server:
        assert isinstance(ask_one(client_at(server, api_key_env="OTHER_KEY")), ChatAnswer)
        assert "Authorization" not in server.headers[0]


def test_equal_requests_under_way_share_one_call_and_votes_do_not(server):
    server.latency_s = 0.1
    client = client_at(server)
    same = [question()] * 5
    votes = [question(vote=vote) for vote in range(1, 4)]
    others = [question(seed=1), question(temperature=1.0), question(max_tokens=31), question("other")]
    results = ask(client, *same, *votes, *others)
    assert len(server.requests) == 1 + 3 + 4
    assert [result.cached for result in results] == [False, True, True, True, True] + [False] * 7
    found = client.summary()
    assert (found["calls"], found["answers"], found["shared"], found["attempts"]) == (12, 12, 4, 8)
    assert found["prompt_tokens"] == 800  # the shared ones cost nothing


def test_equal_requests_one_after_the_other_are_asked_again_without_a_cache(server):
    async def main():
        client = client_at(server)
        await client.ask(question())
        await client.ask(question())
        await client.aclose()

    asyncio.run(main())
    assert len(server.requests) == 2


def test_a_failure_is_shared_too(server):
    server.latency_s, server.script = 0.1, type(server.script)(["400"])
    client = client_at(server)
    assert reasons(ask(client, *[question()] * 3)) == ["refused"] * 3
    assert client.summary()["unscored_refused"] == 3 and len(server.requests) == 1


def test_a_cancelled_caller_leaves_the_call_to_the_others(server):
    server.latency_s = 0.3

    async def main():
        client = client_at(server)
        first, second = (asyncio.create_task(client.ask(question())) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        answer = await second
        assert first.cancelled() and isinstance(answer, ChatAnswer)
        await client.aclose()

    asyncio.run(main())
    assert len(server.requests) == 1


def test_the_last_caller_to_be_cancelled_ends_the_call_and_frees_its_slot(server):
    server.latency_s = 30

    async def main():
        client = client_at(server, max_concurrency=1)
        tasks = [asyncio.create_task(client.ask(question())) for _ in range(2)]
        waiting = asyncio.create_task(client.ask(question("waits for the slot")))
        await asyncio.sleep(0.2)
        for task in (*tasks, waiting):
            task.cancel()
        assert all(
            isinstance(result, asyncio.CancelledError)
            for result in await asyncio.gather(*tasks, waiting, return_exceptions=True)
        )
        server.latency_s = 0
        # The same question again: it must not join the call that is ending.
        assert isinstance(await asyncio.wait_for(client.ask(question()), 5), ChatAnswer)
        assert client.summary()["unscored_cancelled"] == 2
        await client.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert server.wait_for_sockets(0) and server.in_flight == 0


@pytest.mark.parametrize("stage", ["sending", "waiting for a slot", "waiting to try again", "just started"])
def test_aclose_leaves_no_task_and_no_socket_and_answers_every_caller(server, stage, tmp_path):
    if stage == "waiting to try again":
        server.faults = {"500": 1.0}
    else:
        server.latency_s = 30

    async def main():
        options = {"cache_dir": tmp_path / "cache", "ledger": tmp_path / "ledger.jsonl"}
        client = client_at(server, max_concurrency=2 if stage == "waiting for a slot" else 8, **options)
        callers = [asyncio.create_task(client.ask(request)) for request in questions(6)]
        await asyncio.sleep(0 if stage == "just started" else 0.3)
        await asyncio.wait_for(client.aclose(), 3)
        results = await asyncio.gather(*callers)
        assert results == [Unscored(UnscoredReason.ERROR, "the client is closed")] * 6
        await client.aclose()
        assert (await client.ask(question())).detail == "the client is closed"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    threads = threading.active_count()
    asyncio.run(main())
    assert server.wait_for_sockets(0)
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_an_unused_client_closes(tmp_path):
    client = ChatClient(ClientConfig("http://127.0.0.1:9/v1", MODEL, cache_dir=str(tmp_path)))
    asyncio.run(client.aclose())
    asyncio.run(client.aclose())


def test_several_loops_in_several_threads_at_once(server, tmp_path):
    server.latency_s = 0.05
    client = client_at(server, max_concurrency=5, cache_dir=tmp_path)
    results, finished = [], threading.Barrier(4)

    def work(number):
        async def main():
            results.extend(await asyncio.gather(*(client.ask(question(f"{number} {i}")) for i in range(20))))
            await asyncio.to_thread(finished.wait, 30)
            await client.aclose()

        asyncio.run(main())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert reasons(results) == [None] * 80
    assert server.peak == 5  # one limit for all loops
    assert server.wait_for_sockets(0)
    assert client.summary()["answers"] == 80


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the first loop ends without aclose, on purpose
def test_one_loop_after_the_other(server):
    client = client_at(server)
    assert isinstance(asyncio.run(client.ask(question())), ChatAnswer)
    assert isinstance(ask_one(client), ChatAnswer)
    gc.collect()  # what the first loop left is reported here


def test_connections_are_used_again_and_bounded(server):
    server.latency_s = 0.01
    assert reasons(ask(client_at(server, max_concurrency=4), *questions(60))) == [None] * 60
    assert server.peak_sockets <= 4


@pytest.mark.parametrize("fault", ["ok", "400", "401", "429", "500", "html", "reset", "redirect", "truncated"])
def test_the_key_is_nowhere_but_in_the_header(server, fault, caplog, tmp_path, monkeypatch):
    quick_retries(monkeypatch)
    server.faults = {fault: 1.0}
    client = client_at(server, retries=1, cache_dir=tmp_path / "cache", ledger=tmp_path / "ledger.jsonl")
    with caplog.at_level(logging.DEBUG):
        result = ask_one(client)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    shown = [caplog.text, repr(result), repr(client), repr(client.config), repr(vars(client)), str(client.summary())]
    shown += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(KEY in text for text in shown)
    assert KEY.encode() not in pickle.dumps(client.config)


@pytest.mark.parametrize("key", [f"{KEY}\nX-Injected: 1", f"{KEY}\udcff", f"two {KEY}"])
def test_a_key_that_cannot_be_a_header_is_not_sent_and_not_shown(server, monkeypatch, caplog, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    client = client_at(server)
    result = ask_one(client)
    assert result.reason is UnscoredReason.LOAD_FAILED and "OPENAI_API_KEY" in result.detail
    with pytest.raises(JudgeNotReadyError, match="OPENAI_API_KEY") as refusal:
        asyncio.run(client.preflight())
    assert KEY not in caplog.text + str(refusal.value) + repr(result)
    assert server.requests == []


def test_the_key_goes_to_no_other_address(server):
    with FaultyServer() as elsewhere:
        server.faults = {"redirect": 1.0}
        server.base_url = elsewhere.base_url  # where the redirect points
        client = ChatClient(ClientConfig(f"http://127.0.0.1:{server.port}/v1", MODEL))
        assert reasons([ask_one(client)]) == ["error"]
        assert len(server.requests) == 1 and elsewhere.requests == []


def test_no_aiohttp_is_a_failed_load(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    result = ask_one(client_at(server))
    assert result.reason is UnscoredReason.LOAD_FAILED and "pip install aiohttp" in result.detail


def test_a_defect_of_ours_is_an_error_and_not_an_exception(server, monkeypatch):
    client = client_at(server)
    monkeypatch.setattr("reward_models.llm_client.attempts.failures.of_body", None)
    server.faults = {"empty": 1.0}
    assert reasons([ask_one(client)]) == ["error"]


def test_memory_stays_bounded_by_what_is_under_way(server):
    server.faults = {"huge": 1.0}  # 8 MiB each
    tracemalloc.start()
    try:
        results = ask(client_at(server, max_concurrency=2), *questions(12))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reasons(results) == ["bad_verdict"] * 12
    # The server's own copies (8 MiB of text, its JSON, its bytes) are measured too: it lives in this process.
    assert peak < 2 * 4 * 8.5 * 1024**2
    assert server.wait_for_sockets(0)
