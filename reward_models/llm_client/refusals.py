"""What a server says of a request that it refuses, and the request put into the form that it takes.

Services disagree on parameters: OpenAI's reasoning models take `max_completion_tokens` and no temperature, others know no
`response_format`, or fewer `top_logprobs`. Their errors name the parameter, each in its own form. Of such a text only the
names of our own parameters are taken, so nothing that a server repeats (a key, a prompt) gets any further.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

PARAMETERS = ("max_tokens", "temperature", "seed", "response_format", "top_logprobs", "logprobs")
_MAY_GO = ("temperature", "seed", "response_format")  # an answer without them is an answer
_NAMES = re.compile(rf"\b(?:{'|'.join(PARAMETERS)})\b")
_CODES = re.compile(r"unsupported_|unknown_parameter|extra_forbidden")
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:currently |yet )?(?:supported|permitted|allowed|available|enabled|implemented)|n't support|not support"
    r"|unavailable|unknown|unrecognized|unexpected|deprecated|cannot find field|extra (?:inputs|fields)",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context.?length|maximum context|context window|too (?:large|long)|max_model_len", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<![\w.-])\d{1,3}(?![\w.]*\d)")
_MOST_CHARS, _MOST_PARTS = 2000, 64
_FEW_LOGPROBS = 5  # what every service that has them gives


@dataclass(frozen=True)
class Refusal:
    """parameters: those of ours that the server names. unsupported: it does not take them at all, whatever their value.

    limits: the small numbers in what it says. too_long: the prompt, or the prompt with the answer, exceeds the model.
    """

    parameters: tuple[str, ...] = ()
    unsupported: bool = False
    limits: tuple[int, ...] = ()
    too_long: bool = False

    def __str__(self) -> str:
        if self.too_long:
            return (
                "the prompt and max_tokens exceed the model's context: serve it with a longer one, or lower max_tokens"
            )
        return f"the server refuses {', '.join(self.parameters)}" if self.parameters else ""


def read_refusal(body: bytes) -> Refusal:
    """What can be known of an error's body; any bytes are allowed."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = body.decode("utf-8", "replace")
    parts = [(key, text[:_MOST_CHARS]) for key, text in _texts(data)]
    said = "\n".join(text for key, text in parts if key != "code")
    codes = " ".join(text for key, text in parts if key in ("code", "type"))
    # A server that names the parameter apart means that one; a message may name others too.
    named = [text for key, text in parts if key in ("param", "loc") and text in PARAMETERS] or _NAMES.findall(said)
    too_long = "context_length" in codes or bool(_TOO_LONG.search(said))
    return Refusal(
        tuple(dict.fromkeys(named)),
        unsupported=not too_long and bool(_CODES.search(codes) or _UNSUPPORTED.search(said)),
        limits=tuple(int(number) for number in _NUMBER.findall(said)),
        too_long=too_long,
    )


def _texts(data: Any) -> Iterator[tuple[str, str]]:
    """The texts of an error with the keys that they are under, some levels deep; not what repeats the request."""
    stack, seen = [("", data)], 0
    while stack and seen < _MOST_PARTS:
        key, value = stack.pop()
        seen += 1
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, list):
            stack.extend((key, item) for item in reversed(value[:_MOST_PARTS]))
        elif isinstance(value, dict):
            stack.extend((str(k), v) for k, v in reversed(list(value.items())[:_MOST_PARTS]) if k != "input")


@dataclass(frozen=True)
class Dialect:
    """How an endpoint wants its requests: what was learnt from what it refused."""

    completion_tokens: bool = False
    left_out: tuple[str, ...] = ()
    most_logprobs: int | None = None

    def __str__(self) -> str:
        parts = [f"without {name}" for name in self.left_out]
        parts += ["with max_completion_tokens for max_tokens"] if self.completion_tokens else []
        parts += [f"with top_logprobs={self.most_logprobs}"] if self.most_logprobs is not None else []
        return ", ".join(parts)

    def put(self, body: bytes) -> bytes:
        """The request in this form."""
        if self == _PLAIN:
            return body
        asked = json.loads(body)
        for name in self.left_out:
            asked.pop(name, None)
        if self.completion_tokens and "max_tokens" in asked:
            asked["max_completion_tokens"] = asked.pop("max_tokens")
        if self.most_logprobs is not None and "top_logprobs" in asked:
            asked["top_logprobs"] = min(asked["top_logprobs"], self.most_logprobs)
        return json.dumps(asked).encode()

    def also(self, other: Dialect) -> Dialect:
        """A form that keeps to both."""
        most = [limit for limit in (self.most_logprobs, other.most_logprobs) if limit is not None]
        left_out = tuple(dict.fromkeys(self.left_out + other.left_out))
        return Dialect(self.completion_tokens or other.completion_tokens, left_out, min(most, default=None))

    def after(self, refusal: Refusal, body: bytes) -> Dialect | None:
        """What to try after `refusal` of a request that this made of `body`; None where nothing would help.

        A value that the server takes otherwise (a temperature of 3) is not dropped: the user has set it.
        """
        asked, changed = json.loads(self.put(body)), self
        for name in refusal.parameters:
            if name not in asked:
                continue
            if name == "max_tokens" and refusal.unsupported:
                changed = replace(changed, completion_tokens=True)
            elif name in _MAY_GO and refusal.unsupported:
                changed = replace(changed, left_out=(*changed.left_out, name))
            elif "top_logprobs" in asked and name in ("top_logprobs", "logprobs"):
                fewer = [limit for limit in refusal.limits if 0 < limit < asked["top_logprobs"]]
                if not fewer and not refusal.unsupported and asked["top_logprobs"] > _FEW_LOGPROBS:
                    fewer = [_FEW_LOGPROBS]
                changed = replace(changed, most_logprobs=max(fewer)) if fewer else changed
        return changed if changed != self else None


_PLAIN = Dialect()
