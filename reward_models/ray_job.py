"""Named actors that all processes of a Ray job share: the one way to find one, or to make it.

Without Ray callers keep to their own process.
"""

from __future__ import annotations

import sys
from typing import Any

CALLS_AT_ONCE = 1000  # an actor that waits for others must not be kept waiting itself

# Ray ends an actor when its maker drops the first handle, whoever else uses it: kept as long as this process lives.
_first_handles: dict[str, Any] = {}


def in_job() -> bool:
    """Whether this process belongs to a Ray job. Does not import Ray: a process that has not loaded it belongs to none."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def job_name(prefix: str) -> str:
    """`prefix` with the job's id, for actors that belong to one job alone. Only where `in_job()`."""
    import ray

    return f"{prefix}_{ray.get_runtime_context().get_job_id()}"


def find_actor(name: str) -> Any | None:
    """The actor's handle; None where there is none, or Ray cannot say."""
    if not in_job():
        return None
    import ray

    try:
        return ray.get_actor(name)
    except Exception:  # not there; what Ray raises otherwise is as good a reason to do without
        return None


def find_or_make_actor(name: str, cls: type, *args: Any, max_restarts: int = 0) -> Any:
    """The actor `name`, made of `cls(*args)` where there is none. Processes that ask at once get the same one.

    It takes no CPU from the job, answers CALLS_AT_ONCE calls at a time, and ends with the process that made it.
    """
    import ray

    try:
        return ray.get_actor(name)
    except ValueError:
        options = {"name": name, "get_if_exists": True, "num_cpus": 0, "max_concurrency": CALLS_AT_ONCE}
        actor = ray.remote(cls).options(**options, max_restarts=max_restarts).remote(*args)
        _first_handles[name] = actor
        return actor
