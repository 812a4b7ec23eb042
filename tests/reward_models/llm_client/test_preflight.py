"""The preflight of the judge's client: what it asks each server, and what it says is wrong."""

import asyncio
import json

import pytest

pytest.importorskip("aiohttp")

from reward_models.judges import JudgeNotReadyError
from reward_models.llm_client import ChatClient
from tests.reward_models.llm_client.calls import client_at, config_at
from tests.reward_models.llm_client.faulty_server import FaultyServer


@pytest.fixture
def server(server_with_key):
    return server_with_key


def preflight(client):
    asyncio.run(asyncio.wait_for(client.preflight(), 30))


def test_the_preflight_is_content_with_a_good_server(server):
    preflight(client_at(server))
    assert server.requests == [] and server.wait_for_sockets(0)


def test_the_preflight_names_the_models_there_are(server):
    server.models, server.faults = [f"model-{i}" for i in range(12)], {"404": 1.0}
    with pytest.raises(JudgeNotReadyError, match=r"does not offer model='grader'; it offers: 'model-0', .* and 2 more"):
        preflight(client_at(server))


def test_the_preflight_asks_for_a_completion_where_there_is_no_list(server):
    server.models = 404
    preflight(client_at(server))
    assert server.requests[0]["max_tokens"] == 16
    server.script.append("thinking")  # no text so far
    preflight(client_at(server))
    server.script.append("404")
    with pytest.raises(JudgeNotReadyError, match="neither /models nor model='grader'"):
        preflight(client_at(server))


@pytest.mark.parametrize("models", [("grader",), 404])
def test_the_preflight_asks_for_the_key(server, monkeypatch, models):
    server.models = models
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(JudgeNotReadyError, match=r"needs a key .*set the environment variable OPENAI_API_KEY"):
        preflight(client_at(server))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with pytest.raises(JudgeNotReadyError, match="refuses the key in OPENAI_API_KEY") as refusal:
        preflight(client_at(server))
    assert "sk-wrong" not in str(refusal.value)


@pytest.mark.parametrize("fault", ["html", "schema", "redirect"])
def test_the_preflight_knows_what_is_not_compatible(server, fault):
    server.models, server.faults = 404, {fault: 1.0}
    with pytest.raises(JudgeNotReadyError, match=r"not answer like an OpenAI-compatible API.*/v1"):
        preflight(client_at(server))


def test_the_preflight_finds_every_endpoint(server):
    gone = FaultyServer()
    with gone:
        pass
    with pytest.raises(JudgeNotReadyError, match=f"{gone.port}/v1 cannot be reached"):
        preflight(client_at(server, gone))
    with pytest.raises(JudgeNotReadyError, match="is base_url right"):
        preflight(ChatClient(config_at(server, base_url=f"http://127.0.0.1:{server.port}")))


@pytest.mark.parametrize("body", ["{}", '{"data": 3}', '{"data": [3]}', '{"data": {"id": 1}}', "[" * 9000, "<p>"])
def test_the_preflight_survives_any_list_of_models(body):
    from reward_models.llm_client.preflight import _model_names

    assert _model_names(body.encode()) is None
    assert _model_names(json.dumps({"data": [{"id": "a"}]}).encode()) == ["a"]
