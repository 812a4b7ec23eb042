"""The ledger of the judge's calls: what it adds up to, its percentiles, several processes."""

import json
import logging
import stat
import subprocess
import sys

import pytest

pytest.importorskip("aiohttp")

from reward_models.llm_client.ledger import Ledger
from reward_models.llm_client.totals import Entry, Totals
from tests.paths import ROOT
from tests.reward_models.llm_client.calls import ask, client_at, questions, quick_retries, reasons


def test_the_ledger_adds_up_to_what_the_server_counted(server, tmp_path, monkeypatch):
    quick_retries(monkeypatch)
    server.faults = {"500": 0.2, "400": 0.1, "reset": 0.1}
    path = tmp_path / "deep" / "ledger.jsonl"
    prices = {"price_per_million_tokens": (2.0, 10.0)}
    client = client_at(server, ledger=path, cache_dir=tmp_path / "cache", **prices)
    results = ask(client, *questions(60), *questions(10))
    again = client_at(server, ledger=path, cache_dir=tmp_path / "cache", **prices)
    ask(again, *questions(60))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 130
    for name in ("prompt_tokens", "completion_tokens"):
        assert sum(line[name] for line in lines) == server.tokens[name]
        assert client.summary()[name] + again.summary()[name] == server.tokens[name]
    assert sum(line["attempts"] for line in lines) == len(server.requests)
    assert sum(line["cost"] for line in lines) == pytest.approx(server.kinds["ok"] * (200 + 100) / 1e6)
    answers = sum(reason is None for reason in reasons(results))
    assert sum(line["result"] == "answer" for line in lines[:70]) == answers
    assert sum(line["source"] == "shared" for line in lines) == 10
    assert sum(line["source"] == "cache" for line in lines) == reasons(results[:60]).count(None)
    assert {"time", "pid", "model", "endpoint", "latency_s", "queue_s", "failures"} <= set(lines[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_totals_and_their_percentiles():
    totals = Totals()
    empty = totals.summary()
    assert set(empty.values()) == {0.0} and "latency_p50_s" not in empty
    for i in range(1, 101):
        totals.add(Entry("answer", "server", attempts=2, failures={"timeout": 1}, latency_s=i, queue_s=2 * i, cost=0.5))
    totals.add(Entry("answer", "cache", queue_s=1e9))
    totals.add(Entry("budget", "server", queue_s=1e9))
    found = totals.summary()
    assert (found["latency_p50_s"], found["latency_p95_s"]) == (50, 95)
    assert (found["queue_p50_s"], found["queue_p95_s"]) == (100, 190)
    assert (found["calls"], found["answers"], found["cache_hits"], found["unscored_budget"]) == (102, 101, 1, 1)
    assert (found["attempts"], found["failed_timeout"], found["cost"]) == (200, 100, 50.0)
    assert found["calls"] == found["answers"] + sum(v for k, v in found.items() if k.startswith("unscored_"))
    assert set(empty) < set(found) and all(type(value) is float for value in empty.values())


def test_lines_of_several_processes_stay_whole(tmp_path):
    program = """
import sys
from reward_models.llm_client.ledger import Entry, Ledger
ledger = Ledger(sys.argv[1], "m" * 300)
for i in range(500):
    ledger.add(Entry("answer", "server", endpoint=sys.argv[2] * 200))
"""
    path = tmp_path / "ledger.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), str(i)], cwd=ROOT) for i in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 1500 and len({line["pid"] for line in lines}) == 3


def test_a_ledger_that_cannot_be_written_is_said_once(tmp_path, caplog):
    ledger = Ledger(tmp_path, "m")  # a folder
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            ledger.add(Entry("answer", "server"))
    assert len(caplog.records) == 1 and "cannot be written" in caplog.text
    assert ledger.totals.summary()["calls"] == 3
    ledger.close()


def test_what_the_calls_are_asked_by_is_in_each_line(server, tmp_path):
    path = tmp_path / "ledger.jsonl"
    client = client_at(server, ledger=path)
    client.note(rubric="mine@0123456789ab")
    ask(client, *questions(2))
    assert [json.loads(line)["rubric"] for line in path.read_text().splitlines()] == ["mine@0123456789ab"] * 2
