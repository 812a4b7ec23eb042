"""Asking a judge's endpoint before a run, from a caller with a running event loop or without."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from reward_models.judges.base import Judge, JudgeNotReadyError

PREFLIGHT_S = 60.0


def ask_endpoint(judge: Judge) -> None:
    """Run the judge's preflight to its end; JudgeNotReadyError where it fails, or takes longer than the judge says, else
    PREFLIGHT_S.

    In a thread of its own: the caller's may have a running loop.
    """
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(asyncio.run, _ask(judge)).result()


async def _ask(judge: Judge) -> None:
    limit_s = PREFLIGHT_S if judge.preflight_s is None else judge.preflight_s
    try:
        await asyncio.wait_for(judge.preflight(), limit_s)
    except asyncio.TimeoutError:
        raise JudgeNotReadyError(
            f"the judge's endpoint did not answer its preflight within {limit_s:.0f} s; see that it is up, or "
            "set judge_kwargs.preflight=false to start without asking it"
        ) from None
    finally:
        await judge.aclose()
