"""Made-up runs to look at: one that is well, and three with a fault, for docs/looking_at_a_run.md, tests and benchmarks.

Prompts, answers and judge are made up here. All else is the package's own: the parser, the verifier `strict`, the
advantages, the clip radius and the record's files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from awpo_ext.advantage import AwpoResult, awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.explorer.demo_texts import Task, judge_words, make_response, make_task
from awpo_ext.gating import Closed
from awpo_ext.metrics import awpo_metrics
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.schema import FORMAT, VERSION
from awpo_ext.reliability import ReliabilityState
from reward_models.parsing import Status, parse_response
from reward_models.types import Rollout
from reward_models.verifiers import Verifier, make_verifier

START = "2026-01-05T09:00:00+00:00"
SYSTEM = "You are an assistant with tools. Think first, then call the tools that the request needs."


@dataclass(frozen=True)
class DemoRun:
    """What is wrong with a run, and how large it is.

    dialect: what the verifier reads; the model writes `hermes`. broken_judge: most of its verdicts cannot be read, and it
    likes length. null_share: the share of prompts whose expected calls hold arguments that are null.
    """

    name: str
    dialect: str = "auto"
    broken_judge: bool = False
    null_share: float = 0.0
    steps: int = 30
    groups: int = 8
    size: int = 6
    seed: int = 0
    config: AwpoConfig = field(default_factory=lambda: AwpoConfig(gate="signal"))


DEMO_RUNS = (
    DemoRun("healthy"),
    DemoRun("suspect A", dialect="python", seed=1),
    DemoRun("suspect B", broken_judge=True, seed=2),
    DemoRun("suspect C", null_share=0.3, seed=3),
)


def write_demo_runs(folder: Path, runs: tuple[DemoRun, ...] = DEMO_RUNS) -> list[Path]:
    """Write the records, each below a folder of its run's name; the runs' folders."""
    return [write_demo_run(folder / run.name.replace(" ", "_"), run) for run in runs]


def write_demo_run(folder: Path, run: DemoRun) -> Path:
    record = folder / "record"
    record.mkdir(parents=True, exist_ok=True)
    awpo = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(run.config).items()}
    kwargs = {"judge": "llm", "verifier": "strict", "verifier_kwargs": {"dialect": run.dialect}}
    start = {"time": START, "step": 0, "awpo": awpo, "reward": {"reward_kwargs": kwargs}}
    head = {"format": FORMAT, "version": VERSION, "name": run.name, "starts": [start], "config": {}}
    (record / "run.json").write_text(json.dumps(head), encoding="utf-8")
    rng, state = np.random.default_rng(run.seed), ReliabilityState()
    for step in range(1, run.steps + 1):
        state = write_demo_step(record, run, rng, step, state)
    return folder


def write_demo_step(
    record: Path, run: DemoRun, rng: np.random.Generator, step: int, state: ReliabilityState
) -> ReliabilityState:
    """One training step: its part, its metrics, and the reliability after it."""
    skill = 0.25 + 0.6 * step / (step + 12)
    tasks = [make_task(rng, null=rng.random() < run.null_share) for _ in range(run.groups)]
    names = [f"{step:04d}-{place:04d}" for place in range(run.groups)]
    group = [name for name in names for _ in range(run.size)]
    rows = [_sampled(task, skill, run, rng) for task in tasks for _ in range(run.size)]
    outcome = torch.tensor([row["outcome"] for row in rows], dtype=torch.float64)
    score = torch.tensor([np.nan if row["reasoning"] is None else row["reasoning"] for row in rows])
    valid = ~score.isnan()
    result = awpo_advantages(outcome, score, group, run.config, valid, reliability=state)
    radius = clip_radius(result.gate, run.config, result.verified)
    terms = _terms(result, radius, len(names))
    rows = [
        {**row, **{name: values[i] for name, values in terms.items()}, "group": group[i], "session": i % run.size,
         "key": f"{group[i]}_{i % run.size}_0", "outputs": 1, "min_version": step - 1, "max_version": step - 1}
        for i, row in enumerate(rows)
    ]  # fmt: skip
    prompts = [_prompt(name, task, run.size) for name, task in zip(names, tasks, strict=True)]
    write_part(record, PartKey(step), PartInfo(0, state.as_dict()), rows, prompts)
    judged = torch.ones(len(rows), dtype=torch.bool)
    metrics = awpo_metrics(result, outcome, score, valid, radius, run.config, judged)
    metrics |= {"response_length/mean": float(np.mean([row["tokens"] for row in rows]))}
    metrics |= {"reward/parsable/mean": float(np.mean([row["unread"] == "" for row in rows]))}
    if step % 5 == 0:
        metrics["val-core/made_up/reward/mean@1"] = float(outcome.max()) * skill + float(rng.normal(0, 0.1))
    with open(record / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "time": 60.0 * step, "metrics": metrics}) + "\n")
    return result.reliability


def _sampled(task: Task, skill: float, run: DemoRun, rng: np.random.Generator) -> dict[str, Any]:
    """One rollout with its outcome and its judge."""
    response, quality = make_response(rng, task, skill)
    dialect = run.dialect
    verifier = _verifier(dialect)
    rollout = Rollout(task.question, task.tools, response, task.ground_truth, "made_up")
    outcome = verifier.verify(rollout)
    low, high = verifier.outcome_range
    parsed = parse_response(response, dialect, tools=task.tools)
    readable = parsed.status in (Status.VALID, Status.ABSTAINED)
    score, failure, words = _judged(response, quality, run, rng)
    return {
        "outcome": outcome.outcome, "kl_penalty": 0.0, "outcome_valid": True, "outcome_min": low, "outcome_max": high,
        "outcome_reason": outcome.reason, "outcome_reasons": list(outcome.reasons),
        "outcome_parts": json.dumps(dict(outcome.parts)), "unread": "" if readable else parsed.problems[0].code.value,
        "columns": json.dumps({"score": outcome.outcome, "format": outcome.format, "correctness": outcome.correctness}),
        "reasoning": score, "failure": failure, "signals": [{"name": "reasoning", "score": score, "failure": failure}],
        "spread": None, "votes": None, "words": words, "judge_tokens": len(response) // 4 + 180,
        "tokens": len(response) // 4, "response_length": len(response) // 4, "has_text": True, "cut": False,
        "response": response, "texts": None, "extra": "{}",
        "calls": json.dumps([[{"name": call.name, "arguments": call.arguments} for call in parsed.calls]]),
    }  # fmt: skip


@lru_cache
def _verifier(dialect: str) -> Verifier:
    return make_verifier("strict", dialect=dialect)


def _judged(response: str, quality: float, run: DemoRun, rng: np.random.Generator) -> tuple[float | None, str, str]:
    """(score, failure, words)."""
    if run.broken_judge:
        if rng.random() < 0.6:
            return None, "bad_verdict", judge_words(rng, 0.9, readable=False)
        score = float(np.clip(len(response) / 700 + rng.normal(0, 0.05), 0, 1))
    else:
        if rng.random() < 0.02:
            return None, "timeout", "no answer in 30 s"
        score = float(np.clip(quality + rng.normal(0, 0.12), 0, 1))
    score = round(score, 1)
    return score, "", judge_words(rng, score, readable=True)


def _terms(result: AwpoResult, radius: torch.Tensor, groups: int) -> dict[str, list[Any]]:
    """The advantage's terms, a list over the rollouts each."""
    index = result.group_index
    power = torch.zeros(2, groups, dtype=torch.float64)
    power.index_add_(
        1, index, torch.stack([result.judge_part, result.outcome_part + result.judge_part]).square().double()
    )
    leverage = torch.where(power[1] > 0, (power[0] / power[1].clamp(min=1e-300)).sqrt(), torch.nan)[index].tolist()
    return {
        "advantage": result.advantages.tolist(), "a_outcome": result.outcome_advantages.tolist(),
        "a_judge": result.mixed_advantages.tolist(), "outcome_part": result.outcome_part.tolist(),
        "judge_part": result.judge_part.tolist(), "gate": result.gate[index].tolist(),
        "difficulty": result.difficulty[index].tolist(), "success_rate": result.success_rate[index].tolist(),
        "closed": [Closed(code).name.lower() for code in result.closed[index].tolist()],
        "radius": (radius[index] if radius.ndim else radius.expand(len(index))).tolist(),
        "leverage": [None if np.isnan(value) else value for value in leverage],
    }  # fmt: skip


def _prompt(name: str, task: Task, size: int) -> dict[str, Any]:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task.question}]
    return {
        "group": name, "size": size, "data_source": "made_up", "prompt_length": 120, "has_text": True, "cut": False,
        "prompt": json.dumps(messages), "question": task.question, "tools": task.tools, "ground_truth": task.ground_truth,
        "extra_info": json.dumps({"index": 0}),
    }  # fmt: skip
