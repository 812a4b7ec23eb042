"""The LLM judge: a language model behind an OpenAI-compatible API grades the thought by a rubric.

One request a rollout, and one attempt: nothing is cached, repeated or counted here. What the policy wrote reaches the
model as fenced data and may still sway it, so a score is an opinion, not a proof.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from reward_models.judges.base import Judge, JudgeNotReadyError
from reward_models.options import read_config, require_number
from reward_models.parsing import parse_response
from reward_models.per_loop import PerLoop
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

logger = logging.getLogger(__name__)

_OWNER = "judge 'llm'"
_TEMPLATE = (Path(__file__).parent / "prompts" / "reasoning_v1.txt").read_text(encoding="utf-8")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_MAX_CHARS = {"question": 16_000, "tools": 16_000, "thought": 8_000, "action": 8_000}
_MAX_BODY_BYTES = 1024 * 1024
_MAX_VERDICT_CHARS = 64 * 1024
_MAX_UNREADABLE = 64

_VERDICT_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "reasons": {"type": "string"},
                "score": {"type": "integer", "minimum": 0, "maximum": 10},
            },
            "required": ["reasons", "score"],
            "additionalProperties": False,
        },
    },
}
_BRACE = re.compile(r"[{}]")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class LlmConfig:
    """Options of the LLM judge.

    base_url: of an OpenAI-compatible API, as in http://127.0.0.1:8000/v1; required.
    model: the model's name at that API; required.
    api_key_env: name of the environment variable that holds the key; no key is sent where it is unset or blank.
    timeout_s: for one request, from connecting to the last byte, in [0.01, 3600]; waiting for a turn is not counted.
    max_concurrency: requests under way at once in one event loop (verl has one a process), in [1, 1024].
    max_tokens: of the answer, in [16, 32768]; an answer cut there is no verdict.
    """

    base_url: str = ""
    model: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 60.0
    max_concurrency: int = 32
    max_tokens: int = 512

    def __post_init__(self) -> None:
        _require_url(self.base_url)
        if not (isinstance(self.model, str) and self.model.strip()):
            raise ValueError(f"{_OWNER}: model={self.model!r} must be the name of a model at base_url")
        # The value is not shown: a key pasted here by mistake must not reach a log.
        if not (isinstance(self.api_key_env, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)):
            raise ValueError(f"{_OWNER}: api_key_env must be the name of an environment variable, not the key itself")
        require_number(_OWNER, "timeout_s", self.timeout_s, 0.01, 3600)
        require_number(_OWNER, "max_concurrency", self.max_concurrency, 1, 1024, whole=True)
        require_number(_OWNER, "max_tokens", self.max_tokens, 16, 32768, whole=True)


@dataclass(frozen=True)
class _Client:
    """What one event loop holds; `session` is an aiohttp.ClientSession that knows the key."""

    session: Any
    turns: asyncio.Semaphore


class LlmJudge(Judge):
    """Score = the model's grade / 10, so one of 0, 0.1, .. 1. The rubric is ours: prompts/reasoning_v1.txt.

    - No thought, or a blank one: 0.0 without a request.
    - No question and nothing after the thought: Unscored(no_evidence), without a request.
    - HTTP 429: Unscored(rate_limited); other 4xx: Unscored(refused); no whole answer in time: Unscored(timeout).
    - An answer that is cut, or has no verdict in range: Unscored(bad_verdict). aiohttp missing: Unscored(load_failed).
    - No connection, a redirect, 5xx, and all else: Unscored(error).

    Usable from several event loops, one session each; `aclose` closes the running loop's.
    """

    def __init__(self, **options: Any) -> None:
        # An unknown option is refused without its value, which could be a key: api_key=...
        known = {field.name for field in fields(LlmConfig)}
        shown = {key: value if key in known else "(not shown)" for key, value in options.items()}
        self.config = read_config(LlmConfig, shown, _OWNER)
        self._url = self.config.base_url.rstrip("/") + "/chat/completions"
        self._clients: PerLoop[_Client] = PerLoop()
        self._closed = False
        self._logged: set[UnscoredReason] = set()

    def check(self) -> None:
        _import_aiohttp()

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return list(await asyncio.gather(*(self._score_one(rollout) for rollout in rollouts)))

    async def aclose(self) -> None:
        """Close the running loop's session; requests under way become Unscored(error)."""
        self._closed = True
        for client in self._clients.of_running_loop():
            await client.session.close()

    async def _score_one(self, rollout: Rollout) -> Verdict:
        thought = parse_response(rollout.response).thought
        if not thought:
            return Scored(0.0)
        # As written, not as parsed: a call that cannot be read is shown too.
        action = rollout.response.partition("</think>")[2].strip()
        if not action and not rollout.question.strip():
            return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor an action to compare with")
        try:
            verdict = await self._ask(render_prompt(rollout.question, rollout.tools, thought, action))
        except asyncio.TimeoutError:
            verdict = Unscored(UnscoredReason.TIMEOUT, f"no answer within {self.config.timeout_s} s")
        except JudgeNotReadyError as error:
            verdict = Unscored(UnscoredReason.LOAD_FAILED, str(error))
        except Exception as error:
            # The type alone: messages of HTTP errors may hold headers, and so the key.
            cause = getattr(error, "strerror", None)
            verdict = Unscored(UnscoredReason.ERROR, type(error).__name__ + (f": {cause}" if cause else ""))
        if isinstance(verdict, Unscored) and verdict.reason not in self._logged:
            self._logged.add(verdict.reason)
            logger.warning(
                "The LLM judge's first Unscored(%s): %s; later ones are only counted",
                verdict.reason.value,
                verdict.detail,
            )
        return verdict

    async def _ask(self, prompt: str) -> Verdict:
        if self._closed:
            return Unscored(UnscoredReason.ERROR, "the judge is closed")
        request = {
            "model": self.config.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": self.config.max_tokens,
            "response_format": _VERDICT_FORMAT,
        }
        client = self._clients.get(None, self._make_client)
        # No redirects: the key and the rollout go to base_url only.
        async with client.turns, client.session.post(self._url, json=request, allow_redirects=False) as response:
            if response.status == 429:
                return Unscored(UnscoredReason.RATE_LIMITED, "HTTP 429")
            if 400 <= response.status < 500:
                return Unscored(UnscoredReason.REFUSED, f"HTTP {response.status}")
            if not 200 <= response.status < 300:
                return Unscored(UnscoredReason.ERROR, f"HTTP {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    return _bad("the answer is too long")
        return read_answer(bytes(body))

    def _make_client(self) -> _Client:
        aiohttp = _import_aiohttp()
        key = os.environ.get(self.config.api_key_env, "").strip()
        session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else None,
            timeout=aiohttp.ClientTimeout(total=self.config.timeout_s),
            connector=aiohttp.TCPConnector(limit=0),  # the semaphore is the limit
        )
        return _Client(session, asyncio.Semaphore(self.config.max_concurrency))


def render_prompt(question: str, tools: str, thought: str, action: str) -> str:
    """The prompt, each text bounded, the untrusted ones last in a fence with a fresh nonce that none can close."""
    nonce = secrets.token_hex(8)
    texts = {"question": question, "tools": tools, "thought": thought, "action": action}
    fence = re.compile(rf"(?:BEGIN|END)-UNTRUSTED|{nonce}", re.IGNORECASE)
    values = {name: fence.sub("[fence]", _bounded(text, _MAX_CHARS[name])) or "(none)" for name, text in texts.items()}
    values["nonce"] = nonce
    # One pass: a placeholder inside a text is text.
    return _PLACEHOLDER.sub(lambda found: values[found[1]], _TEMPLATE)


def read_answer(body: bytes) -> Verdict:
    """The verdict in the body of a chat completion; Unscored(bad_verdict) where there is none."""
    try:
        choice = json.loads(body)["choices"][0]
        text, finish_reason = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _bad("the answer is not a chat completion")
    if finish_reason == "length":
        return _bad("the answer was cut at max_tokens")
    if not isinstance(text, str) or len(text) > _MAX_VERDICT_CHARS:
        return _bad("the answer's text is missing or too long")
    verdict = _last_verdict(text)
    if verdict is None:
        return _bad("the answer holds no verdict")
    score = verdict["score"]
    if not isinstance(verdict["reasons"], str) or isinstance(score, bool) or not isinstance(score, int):
        return _bad("the verdict's reasons are no text, or its score is no integer")
    if not 0 <= score <= 10:
        return _bad("the verdict's score is not in [0, 10]")
    return Scored(score / 10)


def _last_verdict(text: str) -> Mapping[str, Any] | None:
    """The last outermost JSON object in `text` that has the verdict's keys.

    Braces that belong to no readable object are counted: inside them, an object may be a forged verdict that a broken
    one quotes.
    """
    found, position, unread, failures = None, 0, 0, 0
    while brace := _BRACE.search(text, position):
        position = brace.end()
        if brace[0] == "}":
            if unread == 0:
                found = None
            unread = max(unread - 1, 0)
            continue
        try:
            value, position = _DECODER.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            unread, failures = unread + 1, failures + 1
            if failures > _MAX_UNREADABLE:  # each may have cost a walk to the text's end
                return None
            continue
        if unread == 0 and "reasons" in value and "score" in value:
            found = value
    return found


def _bad(detail: str) -> Unscored:
    return Unscored(UnscoredReason.BAD_VERDICT, detail)


def _bounded(text: str, max_chars: int) -> str:
    """At most about `max_chars` characters, the middle cut out, without lone surrogates, which servers refuse."""
    if len(text) > max_chars:
        half = max_chars // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters cut]\n{text[-half:]}"
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def _require_url(url: Any) -> None:
    refusal = f"{_OWNER}: base_url={url!r} must be a http(s) URL like http://127.0.0.1:8000/v1, without query"
    if not isinstance(url, str) or re.search(r"\s", url):
        raise ValueError(refusal)
    if "@" in url:
        raise ValueError(f"{_OWNER}: base_url must not hold a user or password; set the variable of api_key_env")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "?" in url or "#" in url:
        raise ValueError(refusal)


def _import_aiohttp() -> ModuleType:
    try:
        import aiohttp
    except ImportError as error:
        raise JudgeNotReadyError("the llm judge needs the package aiohttp: pip install aiohttp") from error
    return aiohttp
