"""A cache that another process locks, and entries that another version has stored."""

import asyncio
import json
import sqlite3

import pytest

pytest.importorskip("aiohttp")

from reward_models.llm_client import cache as cache_module
from reward_models.llm_client.cache import cache_stats
from reward_models.private_files import lock_held
from tests.reward_models.llm_client.calls import ask, ask_one, client_at, question, questions, reasons
from tests.reward_models.llm_client.faulty_server import VERDICT
from tests.reward_models.llm_client.test_cache import store, the_file


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def test_a_cache_that_another_process_locks_costs_the_cache_only(server, folder, caplog, monkeypatch):
    monkeypatch.setattr(cache_module, "_BUSY_S", 0.05)
    store(folder, a="a")
    connection = sqlite3.connect(the_file(folder), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert reasons(ask(client_at(server, cache_dir=folder), *questions(3))) == [None] * 3
    connection.execute("ROLLBACK")
    connection.close()
    assert "locked" in caplog.text and cache_stats(folder).entries == 1


def test_a_locked_cache_delays_no_call_beyond_its_deadline(server, folder):
    store(folder, a="a")
    connection = sqlite3.connect(the_file(folder), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")

    async def main():
        client = client_at(server, cache_dir=folder, deadline_s=15)
        for count in (60, 1):  # those of the first wave are to be stored, and the later one waits behind them
            results = await asyncio.gather(*(client.ask(question(f"{count} {i}")) for i in range(count)))
            assert reasons(results) == [None] * count
        await client.aclose()

    asyncio.run(asyncio.wait_for(main(), 40))
    connection.execute("ROLLBACK")
    connection.close()


def test_a_lock_of_the_folder_is_not_waited_for(server, folder):
    folder.mkdir()
    with lock_held(folder / "lock", 1.0):
        assert reasons(ask(client_at(server, cache_dir=folder, deadline_s=4), *questions(5))) == [None] * 5
    assert list(folder.glob("answers-*")) == []


@pytest.mark.parametrize(
    "change", [{"model": "x"}, {"text": ["a"]}, {"finish_reason": 3}, {"tail": None, "text": None}]
)
def test_an_entry_of_another_make_is_asked_for_again(server, folder, change):
    ask_one(client_at(server, cache_dir=folder))
    connection = sqlite3.connect(the_file(folder))
    key, value = connection.execute("SELECT key, value FROM answers").fetchone()
    value = json.dumps({**json.loads(value), **change}).encode()
    row = (value, cache_module._digest(key, value), key)
    connection.execute("UPDATE answers SET value = ?, digest = ? WHERE key = ?", row)
    connection.commit()
    connection.close()
    answer = ask_one(client_at(server, cache_dir=folder))
    assert (answer.text, answer.cached, len(server.requests)) == (VERDICT, False, 2)
