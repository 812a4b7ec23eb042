"""The values of an evaluation: what is asked, what came back, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from awpo_ext.evaluate.chat import Chat

Answer = Mapping[str, Any]
"""JSON. A benchmark's own; one with the key `failed` is a missing answer (see `errors.NoAnswer`)."""


@dataclass(frozen=True)
class Task:
    """One question. `key` is unique in its benchmark and the same in every run; `payload` is the benchmark's own."""

    key: str
    category: str
    payload: Any


@dataclass(frozen=True)
class Score:
    """`right` decides accuracy; `reason` is counted; `values` are further numbers whose means are shown."""

    right: bool
    reason: str
    values: Mapping[str, float] = field(default_factory=dict)


class Benchmark(Protocol):
    """One benchmark."""

    name: str

    def about(self) -> dict[str, Any]:
        """What is recorded with the results: versions, protocol, scoring."""

    def identity(self) -> dict[str, Any]:
        """What decides an answer, besides model, question and sampling."""

    def data(self) -> str:
        """A hash of the questions: results with another one cannot be compared."""

    def tasks(self) -> list[Task]:
        """All tasks of the chosen categories, in full and in a fixed order."""

    def ask(self, task: Task, chat: Chat, sample: int) -> Answer:
        """The model's answer. Raises what `Chat.ask` raises. Called from several threads."""

    def score(self, task: Task, answer: Answer) -> Score:
        """Called from one thread, for answers that could be had."""
