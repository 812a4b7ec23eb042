"""Ask the endpoints before training whether they can judge; a problem is reported with its fix."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from reward_models.llm_client.config import ClientConfig
from reward_models.llm_client.failures import Failure
from reward_models.llm_client.transport import Transport
from reward_models.types import JudgeNotReadyError

_TIMEOUT_S = 30.0
_MAX_SHOWN = 10


async def check_endpoints(config: ClientConfig, transport: Transport) -> None:
    """Raise JudgeNotReadyError for the first endpoint that will not do.

    /models must offer the model. An endpoint without /models is asked for a completion of one token instead.
    """
    for url in config.base_url:
        found = await transport.get(url + "/models", min(config.timeout_s, _TIMEOUT_S))
        if isinstance(found, Failure):
            if found.detail in ("HTTP 404", "HTTP 405", "HTTP 501"):
                await _try_completion(config, transport, url)
                continue
            _refuse(config, url, found)
        offered = _model_names(found.body)
        if offered is None:
            raise JudgeNotReadyError(
                f"{url}/models does not answer like an OpenAI-compatible API: is base_url right? It usually ends in /v1"
            )
        if config.model not in offered:
            names = ", ".join(repr(name[:100]) for name in offered[:_MAX_SHOWN]) or "none"
            more = f" and {len(offered) - _MAX_SHOWN} more" if len(offered) > _MAX_SHOWN else ""
            raise JudgeNotReadyError(f"{url} does not offer model={config.model[:100]!r}; it offers: {names}{more}")


async def _try_completion(config: ClientConfig, transport: Transport, url: str) -> None:
    request = {"model": config.model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    found = await transport.post(url, json.dumps(request).encode(), min(config.timeout_s, _TIMEOUT_S))
    # A reasoning model may have no text after one token.
    if isinstance(found, Failure) and found.kind != "no_text":
        _refuse(config, url, found)


def _refuse(config: ClientConfig, url: str, failure: Failure) -> NoReturn:
    if failure.detail in ("HTTP 401", "HTTP 403"):
        if config.api_key():
            raise JudgeNotReadyError(f"{url} refuses the key in {config.api_key_env} ({failure.detail})")
        raise JudgeNotReadyError(
            f"{url} needs a key ({failure.detail}): set the environment variable {config.api_key_env}"
        )
    if failure.kind in ("connection", "timeout"):
        raise JudgeNotReadyError(
            f"{url} cannot be reached ({failure.detail}): is the judge's server up, and base_url right?"
        )
    if failure.detail == "HTTP 404":
        raise JudgeNotReadyError(
            f"{url} knows neither /models nor model={config.model[:100]!r} at /chat/completions: "
            "is base_url right (it usually ends in /v1), and the model's name?"
        )
    if failure.kind in ("malformed", "redirect"):
        raise JudgeNotReadyError(
            f"{url} does not answer like an OpenAI-compatible API ({failure.detail}): is base_url right? "
            "It usually ends in /v1"
        )
    raise JudgeNotReadyError(f"{url} is not ready: {failure.detail}")


def _model_names(body: bytes) -> list[str] | None:
    """The names in the answer of /models; None where it is something else."""
    try:
        models: Any = json.loads(body)["data"]
        return [str(model["id"]) for model in models]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
