"""What is secret is written nowhere: keys that servers repeat, passwords and queries in URLs; and files are their owner's."""

import asyncio
import json
import logging
import stat

import pytest

pytest.importorskip("aiohttp")

from aiohttp import web

from reward_models.judge_eval.records import VerdictFile
from reward_models.judges import JudgeNotReadyError, make_judge
from reward_models.llm_client import ClientConfig
from reward_models.llm_client.transport import Transport
from reward_models.private_files import open_private
from tests.reward_models.llm_client.calls import KEY, ask, client_at, config_at, questions
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer, completion

SECRET = "hunter2-0123456789"


@pytest.fixture
def echoing(monkeypatch):
    """A server that repeats the key wherever it can: in errors, the list of models, answers and finish reasons."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    async def answer(kind, asked, request):
        if kind.isdigit():
            return web.json_response(
                {"error": {"message": f"bad key {KEY}", "param": KEY, "code": KEY}}, status=int(kind)
            )
        body = completion(f"your key is {KEY}", KEY if kind == "finish" else "stop")
        return web.json_response(body)

    with FaultyServer(models=(f"model-{KEY}",)) as server:
        server._answer = answer
        yield server


@pytest.mark.parametrize("kind", ["ok", "finish", "400", "401", "404", "422", "500"])
def test_a_key_that_a_server_repeats_is_not_written_down(echoing, kind, tmp_path, caplog):
    echoing.faults = {kind: 1.0}
    files = {"cache_dir": tmp_path / "cache", "ledger": tmp_path / "ledger.jsonl"}

    async def judged():
        judge = make_judge("llm", base_url=echoing.base_url, model=MODEL, retries=0, **files)
        try:
            from tests.reward_models.judges.fakes import rollout

            judgement = await judge.judge(rollout())
            with pytest.raises(JudgeNotReadyError) as refusal:
                await judge.preflight()
            return f"{judgement!r} {refusal.value}"
        finally:
            await judge.aclose()

    with caplog.at_level(logging.DEBUG):
        shown = asyncio.run(judged()) + caplog.text
        shown += repr(ask(client_at(echoing, retries=0, **files), *questions(2)))
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert KEY not in shown and KEY.encode() not in written


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": f"http://host/v1?key={SECRET}"},
        {"base_url": f"http://host/v1#{SECRET}"},
        {"base_url": f"http://user:{SECRET}@host/v1"},
        {"proxy": f"http://user:{SECRET}@proxy:3128"},
        {"proxy": f"{SECRET}"},
        {"api_key_header": f"{SECRET} {SECRET}"},
        {"api_key_header": f"Bearer: {SECRET}"},
        {"api_version": f"key={SECRET}"},
        {"api_key_env": f"{SECRET}"},
        {"api_key": SECRET},
        {"apikey": [SECRET]},
    ],
)
@pytest.mark.parametrize("judge", ["llm", "llm_group", "embedding", "none"])
def test_what_is_refused_is_not_repeated_where_it_may_be_a_secret(judge, options):
    with pytest.raises(ValueError) as refusal:
        make_judge(judge, **{"base_url": "http://host/v1", "model": MODEL, **options})
    assert SECRET not in str(refusal.value)


def test_a_password_in_the_variable_of_a_proxy_is_not_shown(monkeypatch, caplog):
    monkeypatch.setenv("https_proxy", f"socks5://user:{SECRET}@proxy:1080")

    async def make():
        Transport(ClientConfig("https://judge.example/v1", MODEL))

    with pytest.raises(JudgeNotReadyError, match=r"HTTPS_PROXY.*judge_kwargs\.proxy") as refusal:
        asyncio.run(make())
    assert SECRET not in str(refusal.value) + caplog.text


def test_every_file_is_for_its_owner(server, tmp_path):
    folder, ledger, verdicts = tmp_path / "cache", tmp_path / "ledger.jsonl", tmp_path / "verdicts.jsonl"
    ledger.touch(0o644)  # of an earlier version
    folder.mkdir(mode=0o755)
    ask(client_at(server, cache_dir=folder, ledger=ledger), *questions(2))
    VerdictFile(verdicts, "llm").close()
    with open_private(tmp_path / "other") as file:
        file.write("x")
    files = [*folder.iterdir(), ledger, verdicts, tmp_path / "other"]
    assert len(files) >= 5
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == dict.fromkeys(
        (path.name for path in files), 0o600
    )


def test_a_configuration_holds_no_key(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert KEY not in json.dumps({key: str(value) for key, value in vars(config_at(server)).items()})
