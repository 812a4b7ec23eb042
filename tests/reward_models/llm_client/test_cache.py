"""The answers' cache: what is kept, limits, damage, several processes."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

pytest.importorskip("aiohttp")

from awpo_ext.cli.main import app
from reward_models.llm_client import cache as cache_module
from reward_models.llm_client.cache import AnswerCache, cache_stats, clear_cache
from tests.paths import ROOT
from tests.reward_models.llm_client.calls import ask, ask_one, client_at, question, questions, reasons
from tests.reward_models.llm_client.faulty_server import VERDICT


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def with_cache(folder, work, max_bytes=1e9, max_age_s=1e6):
    """`await work(cache)` with a cache that is closed then."""

    async def main():
        cache = AnswerCache(folder, max_bytes, max_age_s)
        try:
            return await work(cache)
        finally:
            await cache.aclose()

    return asyncio.run(asyncio.wait_for(main(), 60))


def stored(folder, key):
    return with_cache(folder, lambda cache: cache.get(key))


def store(folder, **answers):
    async def put(cache):
        for key, text in answers.items():
            cache.put(key.encode(), {"text": text})

    with_cache(folder, put)


def the_file(folder):
    (path,) = folder.glob("answers-*.sqlite3")
    return path


def test_an_answer_is_asked_for_once(server, folder):
    (first,) = ask(client_at(server, cache_dir=folder))
    client = client_at(server, cache_dir=folder)
    second = ask_one(client)
    assert len(server.requests) == 1
    assert (second.text, second.finish_reason, second.prompt_tokens) == (VERDICT, "stop", 100)
    assert second.latency_s == first.latency_s
    assert (first.cached, second.cached, second.endpoint) == (False, True, "")
    found = client.summary()
    assert (found["cache_hits"], found["answers"], found["attempts"], found["prompt_tokens"]) == (1, 1, 0, 0)


def test_votes_sampling_format_and_model_are_kept_apart(server, folder):
    variants = [
        question(),
        question(vote=1),
        question(seed=0),
        question(temperature=0.1),
        question(max_tokens=33),
        question(response_format={"type": "json_object"}),
        question("other"),
    ]
    for model in ("grader", "another"):
        ask(client_at(server, cache_dir=folder, model=model), *variants)
    assert len(server.requests) == 14
    ask(client_at(server, cache_dir=folder), *variants)
    assert len(server.requests) == 14


@pytest.mark.parametrize("fault", ["cut", "thinking", "empty", "html", "500", "400", "429"])
def test_only_good_answers_are_kept(server, folder, fault):
    server.script.append(fault)
    ask_one(client_at(server, cache_dir=folder, retries=0))
    answer = ask_one(client_at(server, cache_dir=folder))
    assert not answer.cached and len(server.requests) == 2
    assert cache_stats(folder).entries == 1


def test_a_blank_answer_is_not_kept(server, folder):
    server.text = " \n"
    assert ask_one(client_at(server, cache_dir=folder)).text == " \n"
    assert cache_stats(folder).entries == 0


def test_any_text_comes_back_as_it_was(server, folder):
    server.text = "\ud800 \x00 \U0001f600 'quotes\" \r\n"
    texts = [ask_one(client_at(server, cache_dir=folder)).text for _ in range(2)]
    assert texts == [server.text] * 2 and len(server.requests) == 1


def test_the_size_is_bounded_and_the_oldest_go_first(folder):
    async def fill(cache):
        for i in range(600):
            cache.put(b"%d" % i, {"text": "x" * 10_000})
        return await cache.get(b"599"), await cache.get(b"0")

    newest, oldest = with_cache(folder, fill, max_bytes=2e6)
    assert newest == {"text": "x" * 10_000} and oldest is None
    assert 90 < cache_stats(folder).entries < 200
    assert the_file(folder).stat().st_size < 2.2e6


def test_what_is_too_old_is_not_found_and_removed(folder, monkeypatch):
    store(folder, old="a")
    connection = sqlite3.connect(the_file(folder))
    connection.execute("UPDATE answers SET stored = stored - 3600")
    connection.commit()
    connection.close()
    assert stored(folder, b"old") == {"text": "a"}

    async def with_age(cache):
        cache.put(b"new", {"text": "b"})
        return await cache.get(b"old"), await cache.get(b"new")

    monkeypatch.setattr(cache_module, "_AGE_CHECK_S", 0.0)
    assert with_cache(folder, with_age, max_age_s=1800) == (None, {"text": "b"})
    assert cache_stats(folder).entries == 1


def damage_all(path):
    path.write_bytes(b"not a database " * 1000)


def damage_pages(path):
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:5000])


def other_tables(path):
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE something (x)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [damage_all, damage_pages, cut_short, other_tables])
def test_a_damaged_file_is_replaced_and_said_once(server, folder, caplog, damage):
    ask(client_at(server, cache_dir=folder), *questions(30))
    damage(the_file(folder))
    assert reasons(ask(client_at(server, cache_dir=folder), *questions(30))) == [None] * 30
    assert len(server.requests) == 60
    assert ["starting an empty one" in record.getMessage() for record in caplog.records] == [True]
    ask(client_at(server, cache_dir=folder), *questions(30))
    assert len(server.requests) == 60
    assert the_file(folder).name == "answers-2.sqlite3"


def test_a_file_damaged_while_in_use_is_replaced_for_all_who_use_it(folder):
    async def main():
        caches = [AnswerCache(folder, 1e9, 1e6) for _ in range(3)]
        for cache in caches:
            cache.put(b"a", {"text": "a"})
            assert await cache.get(b"a")
        damage_all(the_file(folder))
        for path in folder.glob("*-wal"):
            path.write_bytes(b"")
        for cache in caches:
            await cache.get(b"a")
            await cache.get(b"b")
        caches[0].put(b"b", {"text": "b"})
        await caches[0].get(b"b")
        found = [await cache.get(b"b") for cache in caches]
        for cache in caches:
            await cache.aclose()
        return found

    assert asyncio.run(main()) == [{"text": "b"}] * 3
    assert the_file(folder).name == "answers-2.sqlite3"


def test_an_entry_whose_checksum_does_not_fit_is_dropped(folder, caplog):
    store(folder, a="good", b="other")
    connection = sqlite3.connect(the_file(folder))
    connection.execute("UPDATE answers SET value = ? WHERE key = ?", (b'{"text": "evil"}', b"a"))
    connection.commit()
    connection.close()
    assert stored(folder, b"a") is None and "is damaged" in caplog.text
    assert stored(folder, b"b") == {"text": "other"}
    assert cache_stats(folder).entries == 1


def test_a_folder_that_cannot_be_used_costs_the_cache_only(server, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    client = client_at(server, cache_dir=tmp_path / "file" / "cache")
    assert reasons(ask(client, *questions(5))) == [None] * 5
    assert sum("going on without" in record.getMessage() for record in caplog.records) == 1


def test_the_folder_is_for_its_owner_only(folder):
    store(folder, a="a")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


WRITER = """
import asyncio, sys
from reward_models.llm_client.cache import AnswerCache

async def main():
    cache = AnswerCache(sys.argv[1], 1e9, 1e6)
    for i in range(300):
        cache.put(f"{sys.argv[2]} {i}".encode(), {"text": sys.argv[2]})
    await cache.aclose()

asyncio.run(main())
"""


def test_several_processes_share_a_cache(folder):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(number)], cwd=ROOT, stderr=subprocess.PIPE)
        for number in range(3)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0 and errors == b"", errors
    assert cache_stats(folder).entries == 900
    assert stored(folder, b"2 299") == {"text": "2"}


def test_the_command_shows_and_clears_a_cache(folder, tmp_path):
    store(folder, a="a", b="b")
    shown = CliRunner().invoke(app, ["judge", "cache", "stats", str(folder)])
    assert shown.exit_code == 0 and "entries" in shown.output and "2" in shown.output
    cleared = CliRunner().invoke(app, ["judge", "cache", "clear", str(folder)])
    assert cleared.exit_code == 0 and "2 answers removed" in cleared.output
    assert CliRunner().invoke(app, ["judge", "cache", "stats", str(folder)]).exit_code == 0  # an empty one
    for command in ("stats", "clear"):
        missing = CliRunner().invoke(app, ["judge", "cache", command, str(tmp_path / "none")])
        assert missing.exit_code == 1 and "holds no cache" in missing.stderr
    assert not (tmp_path / "none").exists()
    damage_all(the_file(folder))
    assert CliRunner().invoke(app, ["judge", "cache", "stats", str(folder)]).exit_code == 1


def test_a_cache_in_use_can_be_cleared(folder):
    async def work(cache):
        cache.put(b"a", {"text": "a"})
        assert await cache.get(b"a")
        assert clear_cache(folder) == 1
        gone = await cache.get(b"a")
        cache.put(b"b", {"text": "b"})
        return gone, await cache.get(b"b")

    assert with_cache(folder, work) == (None, {"text": "b"})


def test_the_cache_does_not_hold_up_the_loop(folder, monkeypatch):
    real_get = AnswerCache._get
    monkeypatch.setattr(AnswerCache, "_get", lambda *arguments: time.sleep(0.3) or real_get(*arguments))

    async def work(cache):
        beats, getting = 0, asyncio.ensure_future(cache.get(b"a"))
        while not getting.done():
            await asyncio.sleep(0.01)
            beats += 1
        return beats

    assert with_cache(folder, work) > 10
