"""What a failed attempt is, and which ones are tried again.

| failure of one attempt                          | kind         | tried again | endpoint at fault | `Unscored` in the end |
|-------------------------------------------------|--------------|-------------|-------------------|-----------------------|
| no connection, a reset, a body cut short        | connection   | yes         | yes               | error                 |
| no whole body within `timeout_s`                | timeout      | yes         | yes               | timeout               |
| HTTP 408, 425, 500, 502, 503, 504, 520-524, 529 | server_error | yes         | yes               | error                 |
| another 5xx, 1xx or a strange 2xx               | server_error | no          | yes               | error                 |
| HTTP 429                                        | rate_limited | yes         | no                | rate_limited          |
| HTTP 429 `insufficient_quota`                   | quota        | no          | no                | refused               |
| a redirect (never followed)                     | redirect     | no          | yes               | error                 |
| another 4xx: key, model, context length, format | client_error | no          | no                | refused               |
| 200 and no chat completion: HTML, broken JSON,  | malformed    | yes         | yes               | bad_verdict           |
|   no choices, wrong types                       |              |             |                   |                       |
| a body above 1 MiB                              | too_long     | no          | no                | bad_verdict           |
| the model refused, or was filtered              | no_text      | no          | no                | refused               |
| cut at `max_tokens` before any text             | no_text      | no          | no                | bad_verdict           |
| the job's limiter is gone                       | limiter      | yes         | -                 | error                 |

Not failures of an attempt: every endpoint is down (error, at once); the deadline passed before any attempt (budget), or
before the next one (the last attempt's reason); a deadline that ends an attempt makes it a timeout.

Between attempts: exponential backoff with full jitter. Retry-After, up to a minute, comes before it: after a 429 no
call goes to that endpoint until then; after a server error this call waits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from reward_models.llm_client.answer import NoCompletion, Usage
from reward_models.types import UnscoredReason

KINDS = (
    "connection",
    "timeout",
    "server_error",
    "rate_limited",
    "quota",
    "redirect",
    "client_error",
    "malformed",
    "too_long",
    "no_text",
    "limiter",
)
_PASSING = {408, 425, 500, 502, 503, 504, *range(520, 525), 529}
_MAX_RETRY_AFTER_S = 60.0
_BACKOFF_S, _MAX_BACKOFF_S = 0.5, 20.0


@dataclass(frozen=True)
class Failure:
    """One attempt that gave no answer. `detail` holds nothing of the server's text, which may repeat the key."""

    kind: str
    reason: UnscoredReason
    detail: str
    passing: bool
    endpoint_at_fault: bool
    retry_after_s: float | None = None
    usage: Usage = field(default_factory=Usage)


def of_connection(error: BaseException) -> Failure:
    cause = getattr(error, "strerror", None)
    detail = type(error).__name__ + (f": {cause}" if isinstance(cause, str) else "")
    return Failure("connection", UnscoredReason.ERROR, detail, passing=True, endpoint_at_fault=True)


def of_timeout(timeout_s: float) -> Failure:
    detail = f"no answer within {timeout_s:.3g} s"
    return Failure("timeout", UnscoredReason.TIMEOUT, detail, passing=True, endpoint_at_fault=True)


def of_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """For any status but 200."""
    detail, retry_after_s = f"HTTP {status}", read_retry_after(headers.get("Retry-After"))
    if status == 429:
        if b"insufficient_quota" in body:
            detail += ": the account's quota is used up"
            return Failure("quota", UnscoredReason.REFUSED, detail, passing=False, endpoint_at_fault=False)
        return Failure("rate_limited", UnscoredReason.RATE_LIMITED, detail, True, False, retry_after_s)
    if 300 <= status < 400:
        detail += ": redirects are not followed"
        return Failure("redirect", UnscoredReason.ERROR, detail, passing=False, endpoint_at_fault=True)
    if 400 <= status < 500 and status not in _PASSING:
        return Failure("client_error", UnscoredReason.REFUSED, detail, passing=False, endpoint_at_fault=False)
    return Failure("server_error", UnscoredReason.ERROR, detail, status in _PASSING, True, retry_after_s)


def of_body(found: NoCompletion, usage: Usage) -> Failure:
    if found.passing:
        return Failure("malformed", UnscoredReason.BAD_VERDICT, found.detail, True, True, usage=usage)
    reason = UnscoredReason.REFUSED if found.refused else UnscoredReason.BAD_VERDICT
    return Failure("no_text", reason, found.detail, False, False, usage=usage)


TOO_LONG = Failure("too_long", UnscoredReason.BAD_VERDICT, "the answer is too long", False, False)
LIMITER_LOST = Failure("limiter", UnscoredReason.ERROR, "the job's limiter cannot be reached", True, False)


def read_retry_after(value: str | None) -> float | None:
    """Seconds, from a number of them or an HTTP date, in [0, 60]; None where there is none or it cannot be read."""
    if not value or len(value) > 64:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    if seconds != seconds:  # "nan"
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def backoff_s(attempt: int) -> float:
    """Exponential with full jitter, after the `attempt`-th failure, counted from 0."""
    return random.uniform(0.0, min(_MAX_BACKOFF_S, _BACKOFF_S * 2**attempt))
