"""Ask all tasks that have no answer yet, several at a time, and keep each answer as it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from awpo_ext.evaluate.errors import EndpointLost, NoAnswer, TryLater
from awpo_ext.evaluate.store import Store

_PATIENCE = 8  # failures in a row, over all threads, after which the endpoint is taken for dead

Unit = tuple[str, Callable[[], dict[str, Any]]]
"""A key, and what asks for its answer."""


def run(
    units: Sequence[Unit], store: Store, concurrency: int, answered: Callable[[], None] = lambda: None
) -> list[str]:
    """Ask for what the store has not; returns the keys that could not be had this time, which the next run asks again.

    A task that can never be answered is kept as `{"failed": kind, "detail": ...}`. Raises EndpointLost where the
    endpoint dies or fails many times in a row; everything answered until then, requests under way included, is kept.
    """
    waiting = [unit for unit in units if unit[0] not in store.answers]
    stop = threading.Event()
    left: list[str] = []
    failures = 0
    lost: EndpointLost | None = None
    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        under_way: dict[Future, str] = {}
        try:
            queue = iter(waiting)
            while True:
                while not stop.is_set() and len(under_way) < concurrency and (unit := next(queue, None)):
                    under_way[pool.submit(unit[1])] = unit[0]
                if not under_way:
                    break
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    key = under_way.pop(future)
                    try:
                        store.add(key, future.result())
                        failures = 0
                    except NoAnswer as error:
                        store.add(key, {"failed": error.kind, "detail": error.detail})
                        failures = 0
                    except TryLater as error:
                        left.append(key)
                        failures += 1
                        if failures >= _PATIENCE:
                            lost = lost or EndpointLost(f"{failures} requests in a row failed, the last: {error}")
                            stop.set()
                    except EndpointLost as error:
                        lost = lost or error
                        stop.set()
                    answered()
        except KeyboardInterrupt:  # what is under way is waited for and kept; a second one does not wait
            for future in under_way:
                future.cancel()
            wait(under_way)
            for future, key in under_way.items():
                if not future.cancelled() and future.exception() is None:
                    store.add(key, future.result())
            raise
    if lost is not None:
        raise lost
    return left
