"""The chat client of a judge: `ask` gives an answer or says why there is none."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from reward_models.judges.client.answer import Completion, read_completion
from reward_models.judges.client.config import ClientConfig
from reward_models.judges.client.types import ChatAnswer, ChatRequest
from reward_models.per_loop import PerLoop
from reward_models.types import Unscored, UnscoredReason


class ChatClient:
    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._sessions: PerLoop[Any] = PerLoop()

    async def ask(self, request: ChatRequest) -> ChatAnswer | Unscored:
        import aiohttp

        session = self._sessions.get(None, self._make_session)
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        if request.response_format is not None:
            body["response_format"] = dict(request.response_format)
        started = time.monotonic()
        url = self.config.base_url[0]
        try:
            async with session.post(url + "/chat/completions", json=body, allow_redirects=False) as response:
                if response.status != 200:
                    return Unscored(UnscoredReason.ERROR, f"HTTP {response.status}")
                data = await response.read()
        except asyncio.TimeoutError:
            return Unscored(UnscoredReason.TIMEOUT, f"no answer within {self.config.timeout_s} s")
        except (aiohttp.ClientError, OSError) as error:
            return Unscored(UnscoredReason.ERROR, type(error).__name__)
        completion, usage = read_completion(data)
        if not isinstance(completion, Completion):
            return Unscored(UnscoredReason.BAD_VERDICT, completion.detail)
        latency = time.monotonic() - started
        return ChatAnswer(
            completion.text,
            completion.finish_reason,
            usage.prompt_tokens,
            usage.completion_tokens,
            latency,
            0.0,
            False,
            url,
        )

    async def preflight(self) -> None:
        self.config.api_key()

    async def aclose(self) -> None:
        for session in self._sessions.of_running_loop():
            await session.close()

    def _make_session(self) -> Any:
        import aiohttp

        key = self.config.api_key()
        headers = {"Authorization": f"Bearer {key}"} if key else None
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=self.config.timeout_s))
