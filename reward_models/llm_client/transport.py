"""HTTP for one event loop: one session, bounded bodies, no redirects, and no exceptions but cancellation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from reward_models.llm_client import failures
from reward_models.llm_client.answer import MAX_BODY_BYTES, Completion, NoCompletion, Usage, read_completion
from reward_models.llm_client.config import ClientConfig
from reward_models.llm_client.failures import Failure
from reward_models.types import JudgeNotReadyError

_CHUNK_BYTES = 64 * 1024
_MAX_ERROR_BYTES = 16 * 1024
# Below the 5 s after which uvicorn, and so vLLM and SGLang, closes an idle connection, perhaps as we send.
_KEEPALIVE_S = 4.0


@dataclass(frozen=True)
class Reply:
    completion: Completion
    usage: Usage
    latency_s: float


@dataclass(frozen=True)
class Route:
    """What is asked of a server: the URL by the base URL, and how the body of its answer is read."""

    url: Callable[[str], str]
    read: Callable[[bytes], tuple[Completion | NoCompletion, Usage]]


CHAT = Route(lambda base_url: base_url + "/chat/completions", read_completion)


@dataclass(frozen=True)
class Page:
    """The answer to a GET, for the preflight."""

    status: int
    body: bytes


class Transport:
    """The running loop's session. JudgeNotReadyError where aiohttp is missing or the key cannot be a header."""

    def __init__(self, config: ClientConfig, route: Route = CHAT) -> None:
        self._route = route
        aiohttp = import_aiohttp()
        key = config.api_key()
        self._timeout_class = aiohttp.ClientTimeout
        # Compressed bodies are not asked for and not read: their size is known only when it is too late.
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        self._session = aiohttp.ClientSession(
            headers={**headers, "Authorization": f"Bearer {key}"} if key else headers,
            connector=aiohttp.TCPConnector(
                limit=config.max_concurrency, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=300
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def post(self, base_url: str, body: bytes, timeout_s: float) -> Reply | Failure:
        """One attempt at the route."""
        started = time.monotonic()
        found = await self._request("POST", self._route.url(base_url), body, timeout_s)
        if isinstance(found, Failure):
            return found
        completion, usage = self._route.read(found.body)
        if isinstance(completion, Completion):
            return Reply(completion, usage, time.monotonic() - started)
        return failures.of_body(completion, usage)

    async def get(self, url: str, timeout_s: float) -> Page | Failure:
        return await self._request("GET", url, None, timeout_s)

    async def aclose(self) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # the sockets close in the loop's next round

    async def _request(self, method: str, url: str, body: bytes | None, timeout_s: float) -> Page | Failure:
        timeout = self._timeout_class(total=timeout_s)
        try:
            async with self._session.request(
                method, url, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                whole = response.status == 200
                data = await _read(response, MAX_BODY_BYTES if whole else _MAX_ERROR_BYTES)
                if not whole:
                    return failures.of_status(response.status, response.headers, data or b"")
                return failures.TOO_LONG if data is None else Page(response.status, data)
        except asyncio.TimeoutError:
            return failures.of_timeout(timeout_s)
        except Exception as error:  # of aiohttp, of the system, or a value that the server sent and aiohttp refused
            return failures.of_connection(error)


async def _read(response: Any, max_bytes: int) -> bytes | None:
    """The body; None where it is longer. What is not read closes the connection."""
    if response.content_length is not None:
        return await response.read() if response.content_length <= max_bytes else None
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)


def import_aiohttp() -> ModuleType:
    try:
        import aiohttp
    except ImportError as error:
        raise JudgeNotReadyError("the llm judge needs the package aiohttp: pip install aiohttp") from error
    return aiohttp
