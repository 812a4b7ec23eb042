"""Options of the chat client."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from reward_models.llm_client.proxies import NO_PROXY
from reward_models.options import Options, Range, Text
from reward_models.types import JudgeNotReadyError

OWNER = "judge client"
AUTHORIZATION = "Authorization"
_KEY = re.compile(r"[\x21-\x7e]+")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUERY_NOTE = "give an api-version by api_version, and a key by the variable of api_key_env"


Price = Annotated[float, Range(0, 1e6)]


@dataclass(frozen=True)
class ClientConfig(Options, owner=OWNER):
    """How to reach a model, within which limits. ValueError names key, value and what is allowed.

    base_url: of an OpenAI-compatible API, as in http://127.0.0.1:8000/v1, or several of them that serve the same model;
        kept as a tuple.
    model: the model's name at that API.
    api_key_env: name of the environment variable that holds the key; no key is sent where it is unset or blank.
    api_key_header: the header for the key: Authorization, as "Bearer <key>", or another one, such as Azure's api-key, for
        the key alone.
    api_version: sent as the query `api-version` where it is not None, for Azure's deployments.
    proxy: URL of an HTTP proxy, or "none" to use none; None: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, see
        proxies.py.
    ca_file: PEM file with certificates to trust beside the system's (or those of SSL_CERT_FILE).
    timeout_s: for one request, from connecting to the last byte, in [0.01, 3600].
    retries: further attempts after a failure that may pass, in [0, 20].
    deadline_s: for one `ask`, waiting and retries included, in [0.01, 86400].
    step_deadline_s: for all calls of a training step (or validation), from its first one on, in [0.01, 86400]; None for
        none. Calls after that are Unscored(budget), those that it cuts Unscored(timeout). It is the trainer that says
        when a step begins, so elsewhere there is none.
    max_concurrency: requests under way at once in the whole job, in [1, 4096].
    requests_per_minute, tokens_per_minute: in the whole job, in [1, 1e9]; None for no limit. Any minute has at most one
        second's worth more, as a burst.
    cache_dir: folder of the answers' cache on a local disk, shared by the processes of one machine; None for no cache.
    cache_max_gb, cache_max_age_days: in [0.001, 10000] and [0.001, 3650].
    ledger: path of a JSONL file to which each call adds a line; None for none.
    price_per_million_tokens: of the prompt and of the completion, each in [0, 1e6].
    """

    base_url: str | Sequence[str] = ""
    model: Annotated[str, Text("the name of a model at base_url")] = ""
    api_key_env: str = "OPENAI_API_KEY"
    api_key_header: str = AUTHORIZATION
    api_version: str | None = None
    proxy: str | None = None
    ca_file: str | os.PathLike[str] | None = None
    timeout_s: Annotated[float, Range(0.01, 3600)] = 60.0
    retries: Annotated[int, Range(0, 20)] = 4
    deadline_s: Annotated[float, Range(0.01, 86400)] = 180.0
    step_deadline_s: Annotated[float | None, Range(0.01, 86400)] = None
    max_concurrency: Annotated[int, Range(1, 4096)] = 64
    requests_per_minute: Annotated[float | None, Range(1, 1e9)] = None
    tokens_per_minute: Annotated[float | None, Range(1, 1e9)] = None
    cache_dir: str | os.PathLike[str] | None = None
    cache_max_gb: Annotated[float, Range(0.001, 10_000)] = 2.0
    cache_max_age_days: Annotated[float, Range(0.001, 3650)] = 30.0
    ledger: str | os.PathLike[str] | None = None
    price_per_million_tokens: Annotated[tuple[Price, Price], "two numbers: prompt, completion"] = (0.0, 0.0)

    def __post_init__(self) -> None:
        # The value is not shown: a key pasted here by mistake must not reach a log.
        if not (isinstance(self.api_key_env, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)):
            raise ValueError(f"{OWNER}: api_key_env must be the name of an environment variable, not the key itself")
        # Nor these: a key that is pasted into them, or a password in a proxy's URL, must not either.
        if not (isinstance(self.api_key_header, str) and _HEADER.fullmatch(self.api_key_header)):
            raise ValueError(
                f"{OWNER}: api_key_header must be the name of a header, such as api-key, not the key itself"
            )
        if self.api_version is not None and not (
            isinstance(self.api_version, str) and _VERSION.fullmatch(self.api_version)
        ):
            raise ValueError(f"{OWNER}: api_version must be a version such as 2024-10-21, or null")
        if self.proxy is not None and self.proxy != NO_PROXY:
            _check_proxy(self.proxy)
        super().__post_init__()
        urls = tuple(self.base_url) if isinstance(self.base_url, (list, tuple)) else (self.base_url,)
        if not urls:
            raise ValueError(f"{OWNER}: base_url={self.base_url!r} must name at least one URL")
        object.__setattr__(self, "base_url", tuple(dict.fromkeys(_checked_url(url) for url in urls)))
        for key in ("cache_dir", "ledger", "ca_file"):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, (str, os.PathLike)) and str(value).strip()):
                raise ValueError(f"{OWNER}: {key}={value!r} must be a path or None")

    def api_key(self) -> str:
        """The key, "" where there is none. JudgeNotReadyError, without the value, where it cannot be a header."""
        key = os.environ.get(self.api_key_env, "").strip()
        if key and not _KEY.fullmatch(key):
            raise JudgeNotReadyError(
                f"the environment variable {self.api_key_env} holds blanks or characters that no API key has"
            )
        return key


def _checked_url(url: Any) -> str:
    """`url` without its last slash. What may be a secret in it (user, password, query) is refused and not repeated."""
    if isinstance(url, str) and "@" in url:
        raise ValueError(f"{OWNER}: base_url must not hold a user or password; set the variable of api_key_env")
    if isinstance(url, str) and re.search(r"[?#]", url):
        shown = re.split(r"[?#]", url)[0]
        raise ValueError(f"{OWNER}: base_url={shown!r} must not have a query (not shown): {_QUERY_NOTE}")
    if not isinstance(url, str) or re.search(r"\s", url) or not _is_http(url):
        raise ValueError(f"{OWNER}: base_url={url!r} must be a http(s) URL like http://127.0.0.1:8000/v1")
    return url.rstrip("/").removesuffix("/chat/completions").rstrip("/")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_proxy(proxy: Any) -> None:
    if isinstance(proxy, str) and "@" in proxy:
        raise ValueError(f"{OWNER}: proxy must not hold a user or password; set the variable HTTPS_PROXY instead")
    if not isinstance(proxy, str) or re.search(r"[\s?#]", proxy) or not _is_http(proxy):
        raise ValueError(
            f"{OWNER}: proxy must be the URL of an HTTP proxy like http://proxy:3128, {NO_PROXY!r} or null"
        )
