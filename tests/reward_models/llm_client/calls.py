"""What the tests of the judge's client share: a client at a server, requests, and calls that end with `aclose`."""

import asyncio

from reward_models import Unscored
from reward_models.llm_client import ChatAnswer, ChatClient, ChatRequest, ClientConfig, failures
from tests.reward_models.llm_client.faulty_server import MODEL

KEY = "sk-test-0123456789"


def config_at(*servers, **options):
    return ClientConfig(**{"base_url": [server.base_url for server in servers], "model": MODEL, **options})


def client_at(*servers, **options):
    return ChatClient(config_at(*servers, **options))


def question(text="How good is it?", **options):
    return ChatRequest(**{"messages": ({"role": "user", "content": text},), "max_tokens": 32, **options})


def questions(count):
    return [question(f"number {i}") for i in range(count)]


def ask(client, *requests, seconds=60):
    """The results of `requests`, asked at once; the client is closed then."""

    async def main():
        try:
            return await asyncio.gather(*(client.ask(request) for request in requests or (question(),)))
        finally:
            await client.aclose()

    return asyncio.run(asyncio.wait_for(main(), seconds))


def ask_one(client, request=None):
    (result,) = ask(client, request or question())
    return result


def reasons(results):
    assert all(isinstance(result, (ChatAnswer, Unscored)) for result in results)
    return [None if isinstance(result, ChatAnswer) else result.reason.value for result in results]


def quick_retries(monkeypatch, seconds=0.01):
    monkeypatch.setattr(failures, "_BACKOFF_S", seconds)
