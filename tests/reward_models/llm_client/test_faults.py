"""Every way in which a server fails, and what becomes of the call: the reason, the attempts, the time."""

import asyncio
import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp")

from reward_models.llm_client import ChatAnswer
from reward_models.llm_client.answer import Completion, NoCompletion, read_completion
from reward_models.llm_client.failures import KINDS, backoff_s, read_retry_after
from tests.reward_models.llm_client.calls import ask, ask_one, client_at, question, questions, quick_retries, reasons
from tests.reward_models.llm_client.faulty_server import completion, mixed

pytestmark = pytest.mark.usefixtures("short_waits")


PASSING = {
    "timeout": ("timeout", "timeout"),
    "drip": ("timeout", "timeout"),
    "reset": ("error", "connection"),
    "truncated": ("error", "connection"),
    "408": ("error", "server_error"),
    "500": ("error", "server_error"),
    "502": ("error", "server_error"),
    "529": ("error", "server_error"),
    "429": ("rate_limited", "rate_limited"),
    "html": ("bad_verdict", "malformed"),
    "schema": ("bad_verdict", "malformed"),
    "empty": ("bad_verdict", "malformed"),
    "number": ("bad_verdict", "malformed"),
    "null": ("bad_verdict", "malformed"),
}
LASTING = {
    "400": ("refused", "client_error"),
    "401": ("refused", "client_error"),
    "403": ("refused", "client_error"),
    "404": ("refused", "client_error"),
    "422": ("refused", "client_error"),
    "quota": ("refused", "quota"),
    "redirect": ("error", "redirect"),
    "501": ("error", "server_error"),
    "204": ("error", "server_error"),
    "huge": ("bad_verdict", "too_long"),
    "endless": ("bad_verdict", "too_long"),
    "thinking": ("bad_verdict", "no_text"),
    "refusal": ("refused", "no_text"),
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_tried_again_and_may_fare_better(server, fault):
    server.script.extend([fault] * 2)
    client = client_at(server, timeout_s=0.3, retries=2)
    assert isinstance(ask_one(client), ChatAnswer)
    reason, kind = PASSING[fault]
    assert client.summary()["attempts"] == 3 and client.summary()[f"failed_{kind}"] == 2
    server.faults = {fault: 1.0}
    client = client_at(server, timeout_s=0.3, retries=1)
    assert reasons([ask_one(client)]) == [reason]
    assert client.summary()["attempts"] == 2 and client.summary()[f"unscored_{reason}"] == 1
    assert server.wait_for_sockets(0)


@pytest.mark.parametrize("fault", LASTING)
def test_what_lasts_is_not_tried_again(server, fault):
    server.faults = {fault: 1.0}
    client = client_at(server)
    reason, kind = LASTING[fault]
    assert reasons([ask_one(client)]) == [reason]
    assert client.summary()["attempts"] == 1 and client.summary()[f"failed_{kind}"] == 1
    assert server.wait_for_sockets(0)


def test_the_tables_know_every_kind():
    assert {kind for _, kind in (*PASSING.values(), *LASTING.values())} == set(KINDS) - {"limiter"}


def test_a_cut_answer_is_an_answer_that_says_so(server):
    server.script.append("cut")
    answer = ask_one(client_at(server))
    assert (answer.text, answer.finish_reason) == ('{"reasons": "be', "length")


@pytest.mark.parametrize("fault", ["no_usage", "bad_usage"])
def test_an_answer_without_usage_is_an_answer(server, fault):
    server.script.append(fault)
    client = client_at(server)
    answer = ask_one(client)
    assert (answer.prompt_tokens, answer.completion_tokens) == (0, 0)
    assert client.summary()["answers_without_usage"] == 1


@pytest.mark.parametrize("fault", ["429_after", "429_date", "503_after"])
def test_retry_after_is_honoured(server, fault):
    server.retry_after_s = 2 if fault == "429_date" else 1  # a date has whole seconds
    server.script.append(fault)
    assert isinstance(ask_one(client_at(server)), ChatAnswer)
    first, second = server.arrivals
    assert 0.9 <= second - first < 4


def test_after_a_429_the_other_calls_wait_too(server):
    server.script.append("429_after")

    async def main():
        client = client_at(server)
        first = asyncio.create_task(client.ask(question("first")))
        await asyncio.sleep(0.3)
        await asyncio.gather(first, *(client.ask(request) for request in questions(5)))
        await client.aclose()

    asyncio.run(main())
    assert len(server.requests) == 7
    assert min(server.arrivals[1:]) - server.arrivals[0] >= 0.9


def test_where_retry_after_leaves_no_time_the_call_ends_at_once(server):
    server.retry_after_s = 50
    server.script.append("429_after")
    started = time.monotonic()
    result = ask_one(client_at(server, deadline_s=5))
    assert reasons([result]) == ["rate_limited"] and "no time for another attempt" in result.detail
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("100000", 60.0),
        ("inf", 60.0),
        *((value, None) for value in (None, "", "nan", "soon", "9" * 100, "Mon, 99 Foo 2020")),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_and_capped(value, seconds):
    assert read_retry_after(value) == seconds


@given(value=st.text(max_size=80))
def test_any_retry_after_is_survived(value):
    seconds = read_retry_after(value)
    assert seconds is None or 0 <= seconds <= 60


def test_a_date_is_read_as_seconds_from_now():
    assert 8 < read_retry_after(formatdate(time.time() + 10, usegmt=True)) <= 10


def test_the_backoff_grows_has_full_jitter_and_a_cap(monkeypatch):
    quick_retries(monkeypatch, 0.5)
    for attempt, most in enumerate((0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0)):
        waits = [backoff_s(attempt) for _ in range(300)]
        assert 0 <= min(waits) < 0.1 * most and 0.9 * most < max(waits) <= most


def test_the_deadline_covers_all_attempts(server):
    server.faults = {"timeout": 1.0}
    started = time.monotonic()
    client = client_at(server, timeout_s=0.4, deadline_s=1.0, retries=20)
    assert reasons([ask_one(client)]) == ["timeout"]
    assert time.monotonic() - started < 4  # 8 s by attempts
    assert client.summary()["attempts"] in (2, 3)


def test_no_turn_before_the_deadline_is_a_budget(server):
    server.latency_s = 1.0
    client = client_at(server, max_concurrency=1, deadline_s=0.5)
    results = ask(client, *questions(4))
    assert sorted(reasons(results)) == ["budget", "budget", "budget", "timeout"]
    assert client.summary()["attempts"] == 1


def test_the_time_in_the_queue_is_no_timeout(server):
    server.latency_s = 0.1
    results = ask(client_at(server, max_concurrency=2, timeout_s=0.3), *questions(10))
    assert reasons(results) == [None] * 10
    assert max(result.queue_s for result in results) > 0.3 > max(result.latency_s for result in results)


def test_thirty_per_cent_of_mixed_faults_lose_nothing(server, tmp_path):
    server.faults, server.stall_s = mixed(0.3), 6.0
    path = tmp_path / "ledger.jsonl"
    client = client_at(server, timeout_s=1.5, retries=8, max_concurrency=32, ledger=path, deadline_s=120)
    results = ask(client, *questions(300))
    assert reasons(results) == [None] * 300
    found = client.summary()
    assert found["attempts"] == sum(server.kinds.values()) > 380
    failed = {kind: found[f"failed_{kind}"] for kind in KINDS}
    assert sum(failed.values()) == found["attempts"] - 300
    assert failed["timeout"] >= server.kinds["timeout"] + server.kinds["drip"]  # more where the machine is busy
    assert failed["rate_limited"] == server.kinds["429"] + server.kinds["429_after"]
    # A busy server hears late of the sockets that timeouts closed.
    assert server.peak_sockets <= 48 and server.wait_for_sockets(0) and server.in_flight == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(line["attempts"] for line in lines) == found["attempts"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"\xff", b"[" * 5000, b"null", b"[]", b"{}", b'{"choices": []}', b'{"choices": [null]}'),
        *(b'{"choices": {"0": 1}}', b'{"choices": "abc"}', b'{"choices": [{"message": "text"}]}', b"9" * 5000),
        *(json.dumps(completion(text)).encode() for text in (None, 3, ["a"], {"text": "a"})),
    ],
)
def test_a_body_without_a_text_is_no_completion(body):
    found, _ = read_completion(body)
    assert isinstance(found, NoCompletion) and found.passing


@given(body=st.binary(max_size=200))
def test_any_bytes_are_survived(body):
    read_completion(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    data=st.fixed_dictionaries(
        {"choices": json_values | st.lists(st.fixed_dictionaries({"message": json_values}), max_size=2)},
        optional={"usage": json_values},
    )
)
def test_any_json_is_survived(data):
    found, usage = read_completion(json.dumps(data).encode())
    assert isinstance(found, (Completion, NoCompletion))
    assert usage.prompt_tokens >= 0 and usage.completion_tokens >= 0
