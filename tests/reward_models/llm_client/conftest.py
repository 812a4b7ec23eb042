"""Servers on 127.0.0.1 for the tests of the judge's client, and short waits between attempts."""

import pytest

from tests.reward_models.llm_client.calls import KEY, quick_retries


@pytest.fixture
def server():
    from tests.reward_models.llm_client.faulty_server import FaultyServer  # needs aiohttp, which may be missing

    with FaultyServer() as server:
        yield server


@pytest.fixture
def server_with_key(monkeypatch):
    """A server that asks for `KEY`, which the environment holds."""
    from tests.reward_models.llm_client.faulty_server import FaultyServer

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FaultyServer(key=KEY) as server:
        yield server


@pytest.fixture
def short_waits(monkeypatch):
    quick_retries(monkeypatch)
