"""Options of the chat client."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from reward_models.options import Options, Range, Text
from reward_models.types import JudgeNotReadyError

OWNER = "judge client"
_KEY = re.compile(r"[\x21-\x7e]+")


Price = Annotated[float, Range(0, 1e6)]


@dataclass(frozen=True)
class ClientConfig(Options, owner=OWNER):
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
    model: Annotated[str, Text("the name of a model at base_url")] = ""
    api_key_env: str = "OPENAI_API_KEY"
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
        super().__post_init__()
        urls = tuple(self.base_url) if isinstance(self.base_url, (list, tuple)) else (self.base_url,)
        if not urls:
            raise ValueError(f"{OWNER}: base_url={self.base_url!r} must name at least one URL")
        object.__setattr__(self, "base_url", tuple(dict.fromkeys(_checked_url(url) for url in urls)))
        for key in ("cache_dir", "ledger"):
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
