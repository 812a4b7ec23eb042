"""Options of the chat client."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from reward_models.options import require_number
from reward_models.types import JudgeNotReadyError

OWNER = "judge client"
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class ClientConfig:
    """How to reach a model, within which limits. ValueError names key, value and what is allowed.

    base_url: of an OpenAI-compatible API, as in http://127.0.0.1:8000/v1, or several of them that serve the same model;
        kept as a tuple.
    model: the model's name at that API.
    api_key_env: name of the environment variable that holds the key; no key is sent where it is unset or blank.
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
    model: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 60.0
    retries: int = 4
    deadline_s: float = 180.0
    step_deadline_s: float | None = None
    max_concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    cache_dir: str | None = None
    cache_max_gb: float = 2.0
    cache_max_age_days: float = 30.0
    ledger: str | None = None
    price_per_million_tokens: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        urls = tuple(self.base_url) if isinstance(self.base_url, (list, tuple)) else (self.base_url,)
        if not urls:
            raise ValueError(f"{OWNER}: base_url={self.base_url!r} must name at least one URL")
        object.__setattr__(self, "base_url", tuple(dict.fromkeys(_checked_url(url) for url in urls)))
        if not (isinstance(self.model, str) and self.model.strip()):
            raise ValueError(f"{OWNER}: model={self.model!r} must be the name of a model at base_url")
        # The value is not shown: a key pasted here by mistake must not reach a log.
        if not (isinstance(self.api_key_env, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)):
            raise ValueError(f"{OWNER}: api_key_env must be the name of an environment variable, not the key itself")
        require_number(OWNER, "timeout_s", self.timeout_s, 0.01, 3600)
        require_number(OWNER, "retries", self.retries, 0, 20, whole=True)
        require_number(OWNER, "deadline_s", self.deadline_s, 0.01, 86400)
        if self.step_deadline_s is not None:
            require_number(OWNER, "step_deadline_s", self.step_deadline_s, 0.01, 86400)
        require_number(OWNER, "max_concurrency", self.max_concurrency, 1, 4096, whole=True)
        for key in ("requests_per_minute", "tokens_per_minute"):
            if getattr(self, key) is not None:
                require_number(OWNER, key, getattr(self, key), 1, 1e9)
        require_number(OWNER, "cache_max_gb", self.cache_max_gb, 0.001, 10_000)
        require_number(OWNER, "cache_max_age_days", self.cache_max_age_days, 0.001, 3650)
        for key in ("cache_dir", "ledger"):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, (str, os.PathLike)) and str(value).strip()):
                raise ValueError(f"{OWNER}: {key}={value!r} must be a path or None")
        prices = self.price_per_million_tokens
        if not isinstance(prices, (list, tuple)) or len(prices) != 2:
            raise ValueError(f"{OWNER}: price_per_million_tokens={prices!r} must be two numbers: prompt, completion")
        for price in prices:
            require_number(OWNER, "price_per_million_tokens", price, 0, 1e6)
        object.__setattr__(self, "price_per_million_tokens", tuple(prices))

    def api_key(self) -> str:
        """The key, "" where there is none. JudgeNotReadyError, without the value, where it cannot be a header."""
        key = os.environ.get(self.api_key_env, "").strip()
        if key and not _KEY.fullmatch(key):
            raise JudgeNotReadyError(
                f"the environment variable {self.api_key_env} holds blanks or characters that no API key has"
            )
        return key


def _checked_url(url: Any) -> str:
    """`url` without its last slash. A URL with a user or password is refused and not repeated."""
    if isinstance(url, str) and "@" in url:
        raise ValueError(f"{OWNER}: base_url must not hold a user or password; set the variable of api_key_env")
    refusal = f"{OWNER}: base_url={url!r} must be a http(s) URL like http://127.0.0.1:8000/v1, without query"
    if not isinstance(url, str) or re.search(r"[\s?#]", url):
        raise ValueError(refusal)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(refusal)
    return url.rstrip("/")
