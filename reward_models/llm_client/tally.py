"""Tokens of the calls that one judgement causes, whatever tasks they run in; those of shared and cached calls count once."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from reward_models.llm_client.totals import Entry


@dataclass
class Tally:
    """`calls`: those that ended within the context; 0 says that no client was used."""

    calls: int = 0
    tokens: int = 0


_tally: ContextVar[Tally | None] = ContextVar("awpo_judge_tally", default=None)


class counting:
    """Count the calls that are started inside, in this task or in tasks that it makes."""

    __slots__ = ("_token",)

    def __enter__(self) -> Tally:
        tally = Tally()
        self._token = _tally.set(tally)
        return tally

    def __exit__(self, *_: object) -> None:
        _tally.reset(self._token)


def count(entry: Entry) -> None:
    """Add a call that has ended."""
    tally = _tally.get()
    if tally is not None:
        tally.calls += 1
        tally.tokens += entry.prompt_tokens + entry.completion_tokens
