"""Ask a model behind an OpenAI-compatible endpoint; say what a failure means for the answer and for the evaluation."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from awpo_ext.evaluate.errors import EndpointLost, EvalError, NoAnswer, TryLater
from reward_models.errors import install_extra
from reward_models.options import Options, Range

CONTEXT, REFUSED, BAD_REPLY = "context_too_small", "refused", "bad_reply"
_MAX_CHARS = 1_000_000  # of one answer: a longer one does not answer a question about tools
_CONTEXT_WORDS = re.compile(
    r"context.length|context.window|maximum context|maximum model length|max_model_len|prompt is too long"
)


@dataclass(frozen=True)
class Sampling(Options, owner="sampling"):
    """How an answer is drawn; each of these decides it. `extra` goes into the request's body as it is."""

    max_tokens: Annotated[int, Range(1, 1_000_000)] = 1024
    temperature: Annotated[float, Range(0.0, 10.0)] = 0.0
    top_p: Annotated[float, Range(0.0, 1.0)] = 1.0
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """One completion. `text` is without the reasoning that the server split off, which is in `reasoning`."""

    text: str
    tool_calls: Sequence[Mapping[str, str]] = ()
    reasoning: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Chat:
    """A client for several threads. EvalError where the package openai is missing or the key cannot be sent."""

    def __init__(
        self,
        base_url: str,
        model: str,
        sampling: Sampling,
        api_key_env: str = "OPENAI_API_KEY",
        timeout_s: float = 600.0,
        retries: int = 4,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise EvalError(f"awpo eval needs the package openai: {install_extra('eval')}") from error
        self._openai = openai
        self.base_url, self.model, self.sampling = base_url.rstrip("/"), model, sampling
        self._key = os.environ.get(api_key_env, "").strip()
        self._client = openai.OpenAI(
            base_url=self.base_url, api_key=self._key or "none", timeout=timeout_s, max_retries=retries
        )

    def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        sample: int = 0,
        **overrides: Any,
    ) -> Reply:
        """One completion; `sample` moves the seed. Raises NoAnswer, TryLater or EndpointLost."""
        sampling = self.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed + sample,
            "extra_body": dict(sampling.extra) or None,
            **overrides,
        }
        if tools:
            body["tools"] = list(tools)
        started = time.monotonic()
        completion = self._checked(lambda: self._client.chat.completions.create(**body))
        return _read(completion, time.monotonic() - started)

    def served(self) -> dict[str, Any]:
        """What the endpoint says of the model: `root`, `max_model_len`. EndpointLost where it does not offer it."""
        try:
            models = self._checked(lambda: list(self._client.models.list()))
        except (NoAnswer, TryLater) as error:
            raise EndpointLost(f"{self.base_url} does not list its models ({error})") from None
        for entry in models:
            if entry.id == self.model:
                return {key: value for key in ("root", "max_model_len") if (value := getattr(entry, key, None))}
        names = ", ".join(sorted(entry.id for entry in models)) or "none"
        raise EndpointLost(f"{self.base_url} does not serve --model {self.model!r}; it serves: {names}")

    def _checked(self, call: Any) -> Any:
        openai = self._openai
        try:
            return call()
        except openai.APITimeoutError:
            raise TryLater("no answer in time") from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise EndpointLost(f"{self.base_url} cannot be reached ({cause})") from None
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointLost(
                f"{self.base_url} refuses the key (HTTP {error.status_code}); set the variable of --api-key-env"
            ) from None
        except openai.NotFoundError as error:
            raise EndpointLost(f"{self.base_url} has no such API or model (HTTP 404): {self._text(error)}") from None
        except openai.APIStatusError as error:
            if error.status_code == 429 or error.status_code >= 500 or error.status_code in (408, 409, 425):
                raise TryLater(f"HTTP {error.status_code}") from None
            text = self._text(error)
            kind = CONTEXT if _CONTEXT_WORDS.search(text.lower()) else REFUSED
            raise NoAnswer(kind, f"HTTP {error.status_code}: {text}") from None
        except (openai.OpenAIError, ValueError) as error:  # a body that is not a completion
            raise TryLater(f"not a reply ({type(error).__name__})") from None

    def _text(self, error: Exception) -> str:
        text = " ".join(str(error).split())[:300]
        return text.replace(self._key, "***") if self._key else text


def _read(completion: Any, seconds: float) -> Reply:
    if not getattr(completion, "choices", None):
        raise NoAnswer(BAD_REPLY, "a completion without choices")
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    calls = [
        {
            "id": str(call.id or ""),
            "name": str(call.function.name or ""),
            "arguments": str(call.function.arguments or ""),
        }
        for call in message.tool_calls or ()
        if getattr(call, "function", None) is not None
    ]
    text = message.content if isinstance(message.content, str) else ""
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    reasoning = reasoning if isinstance(reasoning, str) else ""
    if len(text) + len(reasoning) + sum(len(call["arguments"]) for call in calls) > _MAX_CHARS:
        raise NoAnswer(BAD_REPLY, f"more than {_MAX_CHARS} characters")
    return Reply(
        text=text,
        tool_calls=calls,
        reasoning=reasoning,
        finish=str(choice.finish_reason or ""),
        prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        completion_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
        seconds=round(seconds, 3),
    )
