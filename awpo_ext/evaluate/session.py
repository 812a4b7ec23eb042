"""One evaluation from end to end: open the store, ask, score, write the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import awpo_ext
from awpo_ext.evaluate import report
from awpo_ext.evaluate.chat import Chat
from awpo_ext.evaluate.errors import EndpointLost, EvalError
from awpo_ext.evaluate.results import ALL, FORMAT, FULL, PARTIAL, Item, item_shares, summarise
from awpo_ext.evaluate.runner import run
from awpo_ext.evaluate.store import Store, config_hash
from awpo_ext.evaluate.types import Benchmark, Score, Task

ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class Plan:
    """How much is asked. `limit`: the first so many tasks of each category; None for all. `ks`: for pass@k."""

    out: Path
    limit: int | None = None
    samples: int = 1
    ks: Sequence[int] = ()
    concurrency: int = 16

    def __post_init__(self) -> None:
        for name, value in (("--limit", self.limit), ("--samples", self.samples), ("--concurrency", self.concurrency)):
            if value is not None and value < 1:
                raise EvalError(f"{name} {value}: must be at least 1")
        for k in self.ks:
            if not 1 <= k <= self.samples:
                raise EvalError(f"--k {k}: must be between 1 and --samples {self.samples}")


Stage = Callable[[str, int, int], Callable[[], None]]
"""(name, how many, how many of them are done already) -> a call for each that is done; where progress is shown."""


def _silent(name: str, total: int, done: int) -> Callable[[], None]:
    return lambda: None


def evaluate(
    benchmark: Benchmark, chat: Chat, model: dict[str, Any], plan: Plan, stage: Stage = _silent
) -> dict[str, Any]:
    """Ask what has no answer yet, score everything, write result.json, .md and .html; returns the result.

    `model` names the model in the results; of it `identity` keeps answers of different models apart. Raises
    EndpointLost where the endpoint died, with the results of what was answered written, marked PARTIAL.
    """
    tasks = benchmark.tasks()
    sampling = {"samples": plan.samples, **vars(chat.sampling)}
    decides = {"benchmark": benchmark.name, "model": model["identity"], **benchmark.identity(), **vars(chat.sampling)}
    store = Store(plan.out / ANSWERS, decides)
    try:
        units = _units(benchmark, chat, _first(tasks, plan.limit), plan.samples)
        lost, left = None, []
        have = sum(key in store.answers for key, _ in units)
        try:
            left = run(units, store, plan.concurrency, stage("asking", len(units), have))
        except EndpointLost as error:
            lost = error
        items = _scored(benchmark, tasks, store, plan.samples, stage("scoring", len(tasks), 0))
        result = {
            "format": FORMAT,
            "awpo": awpo_ext.__version__,
            "benchmark": benchmark.name,
            "config": config_hash(decides),
            "data": benchmark.data(),
            "model": model,
            "sampling": sampling,
            "samples": plan.samples,
            "ks": list(plan.ks),
            "about": benchmark.about(),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "categories": summarise(items, plan.samples, plan.ks),
            "items": item_shares(items, plan.samples),
        }
        result["partial"] = any(row["status"] == PARTIAL for row in result["categories"])
        result["unanswered"] = len(left)
        result["notes"] = _notes(result, store, plan, left)
        report.write(plan.out, result)
        if lost is not None:
            raise EndpointLost(
                f"{lost}. {sum(key in store.answers for key, _ in units)} of {len(units)} answers are kept in "
                f"{store.path}; run the same command again to go on"
            )
        return {**result, "answers": store.answers}
    finally:
        store.close()


def sample_key(task: Task, sample: int) -> str:
    return task.key if sample == 0 else f"{task.key}#{sample}"


def _units(benchmark: Benchmark, chat: Chat, tasks: Sequence[Task], samples: int) -> list:
    return [
        (sample_key(task, sample), partial(benchmark.ask, task, chat, sample))
        for task in tasks
        for sample in range(samples)
    ]


def _first(tasks: Sequence[Task], limit: int | None) -> list[Task]:
    taken: dict[str, int] = {}
    chosen = []
    for task in tasks:
        taken[task.category] = taken.get(task.category, 0) + 1
        if limit is None or taken[task.category] <= limit:
            chosen.append(task)
    return chosen


def _scored(
    benchmark: Benchmark, tasks: Sequence[Task], store: Store, samples: int, scored: Callable[[], None]
) -> list[Item]:
    items = []
    for task in tasks:
        answers = [store.answers.get(sample_key(task, sample)) for sample in range(samples)]
        scores = [_score(benchmark, task, answer) for answer in answers if answer is not None]
        items.append(Item(task.key, task.category, scores))
        scored()
    return items


def _score(benchmark: Benchmark, task: Task, answer: dict[str, Any]) -> Score:
    if (
        "failed" in answer
    ):  # no answer is a wrong one, also where silence would be right: it was not the model's silence
        return Score(False, f"no answer: {answer['failed']}")
    return benchmark.score(task, answer)


def _notes(result: dict[str, Any], store: Store, plan: Plan, left: Sequence[str]) -> list[str]:
    notes = []
    rows = [row for row in result["categories"] if row["status"] != FULL and row["category"] != ALL]
    if rows:
        why = f"--limit {plan.limit}" if plan.limit else "not everything is answered"
        names = ", ".join(f"{row['category']} ({row['scored']} of {row['rows']})" for row in rows)
        notes.append(f"PARTIAL ({why}): {names}. These figures are not the benchmark's.")
    failed: dict[str, int] = {}
    for answer in store.answers.values():
        if "failed" in answer:
            failed[answer["failed"]] = failed.get(answer["failed"], 0) + 1
    for kind, n in sorted(failed.items()):
        example = next(answer["detail"] for answer in store.answers.values() if answer.get("failed") == kind)
        notes.append(f"{n} without an answer ({kind}), counted as wrong; for example: {example}")
    if left:
        notes.append(
            f"{len(left)} requests failed in a way that may pass; run the same command again to ask them again"
        )
    return notes
