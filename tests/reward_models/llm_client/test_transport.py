"""Proxies, certificates and compressed bodies."""

import asyncio
import gzip
import json
import zlib

import pytest

pytest.importorskip("aiohttp")

from aiohttp import web

from reward_models import Unscored, UnscoredReason
from reward_models.llm_client import ChatAnswer, ChatClient, ClientConfig
from reward_models.llm_client.proxies import proxy_for
from reward_models.types import JudgeNotReadyError
from tests.reward_models.llm_client.calls import ask_one, client_at, config_at
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer, completion

JUDGE = "http://judge.example/v1"


class Proxy(FaultyServer):
    """Answers itself for every address, as an HTTP proxy is asked for http URLs by their whole address."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    async def _chat(self, request):
        self.addresses.append(str(request.url))
        return await super()._chat(request)


@pytest.fixture
def proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Proxy() as server:
        yield server


def address(proxy):
    return f"http://127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_usual_variables_lead_through_a_proxy(proxy, monkeypatch, name):
    monkeypatch.setenv(name, address(proxy))
    assert isinstance(ask_one(ChatClient(ClientConfig(JUDGE, MODEL))), ChatAnswer)
    assert proxy.addresses == ["http://judge.example/v1/chat/completions"]


def test_the_option_comes_before_the_variables(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(ask_one(ChatClient(ClientConfig(JUDGE, MODEL, proxy=address(proxy)))), ChatAnswer)
    monkeypatch.setenv("http_proxy", address(proxy))
    result = ask_one(ChatClient(ClientConfig("http://judge.invalid/v1", MODEL, proxy="none", retries=0)))
    assert isinstance(result, Unscored) and len(proxy.addresses) == 1


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        ("https://api.example/v1", {"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("https://api.example/v1", {"http_proxy": "http://proxy:3128"}, None),
        ("https://api.example/v1", {"https_proxy": "http://proxy", "no_proxy": "api.example"}, None),
        ("https://api.example/v1", {"https_proxy": "http://proxy", "no_proxy": ".example"}, None),
        ("https://api.example/v1", {"https_proxy": "http://proxy", "no_proxy": "*"}, None),
        ("https://api.example/v1", {"https_proxy": "http://proxy", "NO_PROXY": "other"}, "http://proxy"),
        ("http://127.0.0.1:8000/v1", {"http_proxy": "http://proxy"}, None),
        ("http://localhost:8000/v1", {"http_proxy": "http://proxy"}, None),
        ("http://10.1.2.3:8000/v1", {"http_proxy": "http://proxy"}, None),
        ("http://[::1]:8000/v1", {"http_proxy": "http://proxy"}, None),
        ("http://8.8.8.8/v1", {"http_proxy": "http://proxy"}, "http://proxy"),
    ],
)
def test_which_proxy_is_taken(proxy, monkeypatch, url, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url, None) == expected
    assert proxy_for(url, "none") is None and proxy_for(url, "http://mine") == "http://mine"


def test_a_proxy_that_is_not_http_is_refused_with_the_key(proxy, monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://proxy:1080")
    with pytest.raises(JudgeNotReadyError, match=r"ALL_PROXY.*judge_kwargs\.proxy"):
        proxy_for("https://api.example/v1", None)


def test_a_file_of_certificates_is_trusted_and_a_bad_one_named(tmp_path, server):
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    for file, reason in ((bad, "PEM"), (tmp_path / "none.pem", "No such file")):
        result = ask_one(ChatClient(ClientConfig("https://judge.example/v1", MODEL, ca_file=file)))
        assert isinstance(result, Unscored) and result.reason is UnscoredReason.LOAD_FAILED
        assert "ca_file=" in result.detail and reason in result.detail
    assert isinstance(ask_one(client_at(server, ca_file=bad)), ChatAnswer)  # not needed for http


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_body_that_a_proxy_has_compressed_is_read(server, coding, pack):
    def answer(body, status=200):
        async def send(kind, asked, request):
            return web.Response(
                body=pack(json.dumps(body).encode()), status=status, headers={"Content-Encoding": coding}
            )

        return send

    server._answer = answer(completion("fine"))
    assert ask_one(client_at(server)).text == "fine"
    server._answer = answer(completion("x" * 20_000_000))
    result = ask_one(client_at(server))
    assert (result.reason, result.detail) == (UnscoredReason.BAD_VERDICT, "the answer is too long")
    error = {
        "error": {"message": "max_tokens is not supported", "param": "max_tokens", "code": "unsupported_parameter"}
    }
    server._answer = answer(error, 400)
    ask_one(client_at(server))
    assert "max_completion_tokens" in server.requests[-1]


def test_a_broken_compressed_body_is_no_answer(server):
    async def send(kind, asked, request):
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    server._answer = send
    result = ask_one(client_at(server, retries=0))
    assert result.reason is UnscoredReason.BAD_VERDICT


def test_a_base_url_may_be_the_whole_address(server):
    config = config_at(server, base_url=f"{server.base_url}/chat/completions/")
    assert config.base_url == (server.base_url,)
    assert isinstance(asyncio.run(asyncio.wait_for(_once(config), 30)), ChatAnswer)


async def _once(config):
    from tests.reward_models.llm_client.calls import question

    client = ChatClient(config)
    try:
        return await client.ask(question())
    finally:
        await client.aclose()
