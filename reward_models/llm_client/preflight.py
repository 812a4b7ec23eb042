"""Ask the endpoints before training whether they can judge; a problem is reported with its fix."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from reward_models.llm_client.config import ClientConfig
from reward_models.llm_client.failures import Failure
from reward_models.llm_client.refusals import Dialect
from reward_models.llm_client.transport import Page, Reply, Transport
from reward_models.types import JudgeNotReadyError

logger = logging.getLogger(__name__)

_TIMEOUT_S = 30.0
_MAX_SHOWN = 10
_PROBE_TOKENS = 16


async def check_endpoints(config: ClientConfig, transport: Transport, *, chats: bool = True) -> None:
    """Raise JudgeNotReadyError for the first endpoint that will not do.

    Where /models offers the model, that is enough. It is missing in some services, asks for another key in others, or lists
    other names than those that are asked for; an endpoint is then asked for a short completion, and that decides.

    chats: whether the endpoints are of the chat API; of others the judge's own trial has to decide what /models does not.
    """
    checks = (_check(config, transport, url, chats) for url in config.base_url)
    for problem in await asyncio.gather(*checks, return_exceptions=True):
        if problem is not None:
            raise problem


async def _check(config: ClientConfig, transport: Transport, url: str, chats: bool) -> None:
    found = await transport.models(url, min(config.timeout_s, _TIMEOUT_S))
    offered = _model_names(found.body) if isinstance(found, Page) else None
    if offered is not None and any(_is_same(name, config.model) for name in offered):
        return
    if not chats:
        if offered is not None:
            raise JudgeNotReadyError(_not_offered(config, url, offered))
        if isinstance(found, Failure) and found.status is None:
            raise JudgeNotReadyError(_explain(config, url, found, None))
        return
    failure = await _try_completion(config, transport, url)
    if failure is not None:
        raise JudgeNotReadyError(_explain(config, url, failure, offered))
    if offered:
        logger.warning("%s answers for model=%r, which it does not list at /models", url, config.model[:100])


async def _try_completion(config: ClientConfig, transport: Transport, url: str) -> Failure | None:
    """Why there is none; None where there is one, or a model that only thinks so far."""
    request = {"model": config.model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": _PROBE_TOKENS}
    body, dialect = json.dumps(request).encode(), Dialect()
    while True:
        found = await transport.post(url, dialect.put(body), min(config.timeout_s, _TIMEOUT_S))
        if isinstance(found, Reply) or found.kind == "no_text":
            return None
        changed = None if found.refusal is None else dialect.after(found.refusal, body)
        if changed is None:
            return found
        dialect = changed


def _explain(config: ClientConfig, url: str, failure: Failure, offered: list[str] | None) -> str:
    if failure.status in (401, 403):
        if config.api_key():
            return (
                f"{url} refuses the key in {config.api_key_env} (HTTP {failure.status}): is it the right key, and is it "
                f"expected in the header api_key_header={config.api_key_header!r}?"
            )
        return f"{url} needs a key (HTTP {failure.status}): set the environment variable {config.api_key_env}"
    if failure.kind in ("connection", "timeout"):
        return f"{url} cannot be reached ({failure.detail}): is the judge's server up, and base_url right?"
    if offered is not None and failure.status is not None and failure.status < 500 and failure.status != 429:
        return _not_offered(config, url, offered)
    if failure.status == 404:
        version = "" if config.api_version else "; Azure's deployments need api_version"
        return (
            f"{url} knows neither /models nor model={config.model[:100]!r} at /chat/completions: "
            f"is base_url right (it usually ends in /v1), and the model's name{version}?"
        )
    if failure.kind in ("malformed", "redirect"):
        return (
            f"{url} does not answer like an OpenAI-compatible API ({failure.detail}): is base_url right? "
            "It usually ends in /v1"
        )
    return f"{url} is not ready: {failure.detail}"


def _not_offered(config: ClientConfig, url: str, offered: list[str]) -> str:
    names = ", ".join(repr(name[:100]) for name in offered[:_MAX_SHOWN]) or "none"
    more = f" and {len(offered) - _MAX_SHOWN} more" if len(offered) > _MAX_SHOWN else ""
    return f"{url} does not offer model={config.model[:100]!r}; it offers: {names}{more}"


def _is_same(name: str, model: str) -> bool:
    """Gemini lists models/<model>, Ollama <model>:latest; both take the name alone."""
    return name in (model, f"models/{model}", f"{model}:latest")


def _model_names(body: bytes) -> list[str] | None:
    """The names in the answer of /models, which is OpenAI's object or, at Together, the bare list; None where it is neither."""
    try:
        found: Any = json.loads(body)
        models = found if isinstance(found, list) else found["data"]
        return [str(model["id"]) for model in models or []]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
