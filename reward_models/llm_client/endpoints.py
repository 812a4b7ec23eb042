"""Choose the endpoint of the next attempt: least loaded, not paused by the server, its circuit not open.

Circuit: `_FAILURES_TO_OPEN` failures in a row open it for about a second. Then one request goes through as a probe: it
closes the circuit, or opens it for twice as long (up to `_MAX_OPEN_S`). Once a probe has failed, the endpoint counts as
down: while all of them are, calls fail at once instead of waiting, so a judge that is down does not hold up training.
Any answer of the server, even a refusal, closes the circuit.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reward_models.llm_client.refusals import Dialect

logger = logging.getLogger(__name__)

_FAILURES_TO_OPEN = 10
_OPEN_S, _MAX_OPEN_S = 1.0, 15.0
_PROBE_LOOK_S = 0.5


@dataclass(eq=False)
class Endpoint:
    url: str
    in_flight: int = 0
    failures: int = 0  # in a row
    openings: int = 0  # in a row; 0: closed
    opens_until: float = 0.0
    paused_until: float = 0.0
    probing: bool = False
    dialect: Dialect = field(default_factory=Dialect)  # how it wants its requests, learnt from what it refused

    def ready(self, now: float) -> bool:
        return self.paused_until <= now and (not self.openings or (self.opens_until <= now and not self.probing))


@dataclass(frozen=True)
class Turn:
    """One attempt at an endpoint; ends with `Endpoints.end`."""

    endpoint: Endpoint
    probe: bool


class Endpoints:
    """The state of all endpoints, for one client; safe between threads."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoints = [Endpoint(url) for url in urls]
        self._clock = clock
        self._lock = threading.Lock()

    def wait_s(self) -> float | None:
        """Seconds until a turn may be had, 0 for now; None where every endpoint is down."""
        now = self._clock()
        with self._lock:
            if any(endpoint.ready(now) for endpoint in self._endpoints):
                return 0.0
            hopeful = [endpoint for endpoint in self._endpoints if endpoint.openings < 2]
            if not hopeful:
                return None
            wait = min(max(endpoint.paused_until, endpoint.opens_until) - now for endpoint in hopeful)
        if wait <= 0:  # another call is probing: look again then
            wait = _PROBE_LOOK_S
        return wait * random.uniform(1.0, 1.2)  # not all at once

    def take(self, avoid: Endpoint | None = None) -> Turn | None:
        """A turn at the best endpoint, not `avoid` where another is ready; None where none is."""
        now = self._clock()
        with self._lock:
            ready = [endpoint for endpoint in self._endpoints if endpoint.ready(now)]
            if not ready:
                return None
            best = ready[0]
            if len(ready) > 1:
                others = [endpoint for endpoint in ready if endpoint is not avoid]
                # An endpoint whose circuit may close again goes first, for one probe.
                best = min(others, key=lambda one: (one.openings == 0, one.in_flight, random.random()))
            best.in_flight += 1
            if best.openings:
                best.probing = True
            return Turn(best, probe=best.openings > 0)

    def end(self, turn: Turn, at_fault: bool | None) -> None:
        """`at_fault`: whether the endpoint failed; None where nobody waited for the end."""
        endpoint = turn.endpoint
        with self._lock:
            endpoint.in_flight -= 1
            if turn.probe:
                endpoint.probing = False
            if at_fault is None:
                return
            recovered, opened = False, 0.0
            if not at_fault:
                recovered = endpoint.openings > 1
                endpoint.failures = endpoint.openings = 0
            else:
                endpoint.failures += 1
                if turn.probe or (endpoint.openings == 0 and endpoint.failures >= _FAILURES_TO_OPEN):
                    opened = min(_MAX_OPEN_S, _OPEN_S * 2**endpoint.openings) * random.uniform(0.75, 1.25)
                    endpoint.openings += 1
                    endpoint.opens_until = self._clock() + opened
            openings = endpoint.openings
        if recovered:
            logger.warning("The judge's endpoint %s answers again", endpoint.url)
        elif opened and openings == 2:
            logger.error("The judge's endpoint %s is down; it is tried again from time to time", endpoint.url)

    def learn(self, endpoint: Endpoint, dialect: Dialect) -> None:
        """A request in this form was taken: so are the next ones to be."""
        with self._lock:
            known = endpoint.dialect
            endpoint.dialect = learnt = known.also(dialect)
        if known != learnt:
            logger.warning(
                "The judge's endpoint %s refuses a parameter; it is asked %s from now on", endpoint.url, learnt
            )

    def pause(self, endpoint: Endpoint, seconds: float) -> None:
        """The server asked for `seconds` without requests."""
        with self._lock:
            endpoint.paused_until = max(endpoint.paused_until, self._clock() + seconds)
