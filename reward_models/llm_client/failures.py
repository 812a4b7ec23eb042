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
| another 4xx: key, model, context length, format | client_error | no, but see  | no                | refused               |
|                                                 |              | refusals.py |                   |                       |
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

from reward_models.llm_client.answer import CUT, NoCompletion, Usage
from reward_models.llm_client.refusals import Refusal, read_refusal
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
    """One attempt that gave no answer. `detail` holds nothing of the server's text, which may repeat the key.

    status: of HTTP, None where there was no answer, or a good one that cannot be used. refusal: what the server says of a
    request that it refuses.
    """

    kind: str
    reason: UnscoredReason
    detail: str
    passing: bool
    endpoint_at_fault: bool
    retry_after_s: float | None = None
    usage: Usage = field(default_factory=Usage)
    status: int | None = None
    refusal: Refusal | None = None

    @property
    def accepted(self) -> bool:
        """Whether the server took the request as it was, and the answer is what cannot be used."""
        return self.kind in ("malformed", "too_long", "no_text")


def of_connection(error: BaseException) -> Failure:
    cause = getattr(error, "strerror", None)
    detail = type(error).__name__ + (f": {cause}" if isinstance(cause, str) else "")
    if type(error).__name__ == "ClientConnectorCertificateError":
        detail = "the server's certificate is not trusted: set ca_file, or SSL_CERT_FILE, to the CA that signed it"
    elif type(error).__name__ == "ClientHttpProxyError":
        detail = f"the proxy refuses (HTTP {getattr(error, 'status', 0)}): see proxy, HTTPS_PROXY and NO_PROXY"
    return Failure("connection", UnscoredReason.ERROR, detail, passing=True, endpoint_at_fault=True)


def of_timeout(timeout_s: float) -> Failure:
    detail = f"no answer within {timeout_s:.3g} s (timeout_s)"
    return Failure("timeout", UnscoredReason.TIMEOUT, detail, passing=True, endpoint_at_fault=True)


def of_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """For any status but 200."""
    detail, retry_after_s = f"HTTP {status}", read_retry_after(headers.get("Retry-After"))
    if status == 429:
        if b"insufficient_quota" in body:
            detail += ": the account's quota is used up"
            return Failure("quota", UnscoredReason.REFUSED, detail, False, False, status=status)
        detail += ": too many requests; set requests_per_minute and tokens_per_minute, or lower max_concurrency"
        return Failure("rate_limited", UnscoredReason.RATE_LIMITED, detail, True, False, retry_after_s, status=status)
    if 300 <= status < 400:
        detail += ": redirects are not followed"
        return Failure("redirect", UnscoredReason.ERROR, detail, False, True, status=status)
    if 400 <= status < 500 and status not in _PASSING:
        return _of_refusal(status, detail, body)
    return Failure("server_error", UnscoredReason.ERROR, detail, status in _PASSING, True, retry_after_s, status=status)


def _of_refusal(status: int, detail: str, body: bytes) -> Failure:
    if b"Could not finish the message because max_tokens" in body:  # OpenAI's, of a model that spent them on thinking
        return Failure("no_text", UnscoredReason.BAD_VERDICT, CUT, False, False, status=status)
    if status in (401, 403):
        detail += ": the key is missing or refused; see api_key_env and api_key_header"
    refusal = read_refusal(body)
    if status in (400, 413, 422) and str(refusal):
        detail += f": {refusal}"
    return Failure("client_error", UnscoredReason.REFUSED, detail, False, False, status=status, refusal=refusal)


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
