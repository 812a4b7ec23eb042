"""HTTP for one event loop: one session, bounded bodies, no redirects, and no exceptions but cancellation."""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from reward_models.llm_client import failures
from reward_models.llm_client.answer import MAX_BODY_BYTES, Completion, NoCompletion, Usage, read_completion
from reward_models.llm_client.config import AUTHORIZATION, ClientConfig
from reward_models.llm_client.failures import Failure
from reward_models.llm_client.proxies import proxy_for
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
    """The running loop's session. JudgeNotReadyError where aiohttp is missing, or the key, `ca_file` or a proxy cannot be used.

    What a server sends is read without the key, so that one which repeats it (in an error, a list, an answer) puts it nowhere.
    """

    def __init__(self, config: ClientConfig, route: Route = CHAT) -> None:
        self._route = route
        aiohttp = import_aiohttp()
        key = config.api_key()
        self._key = key.encode()
        self._timeout_class = aiohttp.ClientTimeout
        self._query = {"api-version": config.api_version} if config.api_version else None
        self._proxies = {url: proxy_for(url, config.proxy) for url in config.base_url}
        # Compressed bodies are not asked for, and read within a bound where they come all the same.
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            headers[config.api_key_header] = f"Bearer {key}" if config.api_key_header == AUTHORIZATION else key
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(
                limit=config.max_concurrency,
                keepalive_timeout=_KEEPALIVE_S,
                ttl_dns_cache=300,
                ssl=_trust(config) if any(url.startswith("https") for url in config.base_url) else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def post(self, base_url: str, body: bytes, timeout_s: float) -> Reply | Failure:
        """One attempt at the route."""
        started = time.monotonic()
        found = await self._request("POST", base_url, self._route.url(base_url), body, timeout_s)
        if isinstance(found, Failure):
            return found
        completion, usage = self._route.read(found.body)
        if isinstance(completion, Completion):
            return Reply(completion, usage, time.monotonic() - started)
        return failures.of_body(completion, usage)

    async def models(self, base_url: str, timeout_s: float) -> Page | Failure:
        """What the server says that it offers."""
        return await self._request("GET", base_url, base_url + "/models", None, timeout_s)

    async def aclose(self) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # the sockets close in the loop's next round

    async def _request(
        self, method: str, base_url: str, url: str, body: bytes | None, timeout_s: float
    ) -> Page | Failure:
        timeout = self._timeout_class(total=timeout_s)
        try:
            async with self._session.request(
                method,
                url,
                params=self._query,
                data=body,
                timeout=timeout,
                allow_redirects=False,
                proxy=self._proxies[base_url],
            ) as response:
                whole = response.status == 200
                limit = MAX_BODY_BYTES if whole else _MAX_ERROR_BYTES
                data = _unpacked(await _read(response, limit), response.headers.get("Content-Encoding"), limit)
                if data and self._key:
                    data = data.replace(self._key, b"(key)")
                if not whole:
                    return failures.of_status(response.status, response.headers, data or b"")
                return failures.TOO_LONG if data is None else Page(response.status, data)
        except asyncio.TimeoutError:
            return failures.of_timeout(timeout_s)
        except Exception as error:  # of aiohttp, of the system, or a value that the server sent and aiohttp refused
            return failures.of_connection(error)


def _trust(config: ClientConfig) -> ssl.SSLContext:
    """The system's CAs, or those of SSL_CERT_FILE and SSL_CERT_DIR, and `ca_file` beside them."""
    context = ssl.create_default_context()
    if config.ca_file is not None:
        try:
            context.load_verify_locations(config.ca_file)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = "no certificates in PEM form" if isinstance(error, ssl.SSLError) else error
            raise JudgeNotReadyError(
                f"judge client: ca_file={str(config.ca_file)!r} cannot be used ({reason}); give a file of PEM certificates"
            ) from None
    return context


def _unpacked(body: bytes | None, coding: str | None, max_bytes: int) -> bytes | None:
    """The body as it was before a proxy compressed it; None where it is too long. One that cannot be undone stays as it is."""
    if body is None or (coding or "").strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    undo = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # of both forms
    try:
        found = undo.decompress(body, max_bytes + 1)
    except zlib.error:
        return body
    return found if len(found) <= max_bytes else None


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
