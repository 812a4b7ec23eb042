"""Made-up records for tests: the numbers are the method's own on random rewards, the texts are short and of every kind."""

import json
from pathlib import Path

import numpy as np
import torch

from awpo_ext.advantage import Closed, awpo_advantages
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.schema import FORMAT, VALIDATION, VERSION
from awpo_ext.reliability import ReliabilityState

TOOLS = json.dumps([{"name": "add", "parameters": {"a": {"type": "integer"}, "b": {"type": "integer"}}}])
REASONS = ("exact", "wrong_value", "no_tool_call", "unclosed_think")
WORDS = "The thought names both numbers. Score: 7/10"


def made_up_record(
    folder: Path,
    steps: int = 3,
    groups: int = 4,
    size: int = 4,
    seed: int = 0,
    validation: bool = True,
    config: AwpoConfig = AwpoConfig(),
    text: str = "",
    first_step: int = 1,
) -> Path:
    """Write a record of `steps` steps under `folder`/record; `text` is put into every response. The record's folder."""
    record = folder / "record"
    record.mkdir(parents=True, exist_ok=True)
    section = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(config).items()}
    start = {"time": "2026-01-01T00:00:00+00:00", "step": first_step - 1, "awpo": section, "reward_kwargs": {}}
    head = {"format": FORMAT, "version": VERSION, "name": f"made up {seed}", "starts": [start], "config": {}}
    (record / "run.json").write_text(json.dumps(head))
    rng, state = np.random.default_rng(seed), ReliabilityState()
    for step in range(first_step, first_step + steps):
        rows, prompts, state = made_up_step(rng, step, groups, size, config, state, text, record)
        mean = {"awpo/outcome/mean": float(np.mean([row["outcome"] for row in rows]))}
        with open(record / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": step, "time": 0.0, "metrics": mean}) + "\n")
    if validation:
        write_part(record, PartKey(step, VALIDATION), PartInfo(), *validated(rows, prompts))
    return record


def made_up_step(rng, step, groups, size, config, state, text, record):
    """One training step, written; its rows, its prompts, and the reliability after it."""
    n = groups * size
    outcome = rng.choice([-3.0, -1.0, 0.5, 4.0], n)
    score, valid = rng.uniform(0, 1, (n, config.signals)), rng.uniform(size=(n, config.signals)) > 0.1
    judged = rng.uniform(size=n) > 0.05
    group = [f"{step:04d}-{i // size:04d}" for i in range(n)]
    result = awpo_advantages(outcome, score, group, config, valid, judged, tokens=[20] * n, reliability=state)
    radius = clip_radius(result.gate, config, result.verified)
    index = result.group_index
    radius = (radius[index] if radius.ndim else radius.expand(n)).tolist()
    power = torch.zeros(2, groups, dtype=torch.float64)
    parts = torch.stack([result.judge_part, result.outcome_part + result.judge_part])
    power.index_add_(1, index, parts.square())
    leverage = torch.where(power[1] > 0, (power[0] / power[1].clamp(min=1e-300)).sqrt(), torch.nan)[index].tolist()
    rows = []
    for i in range(n):
        response = f'<think>{i} and 2{text}</think><tool_call>{{"name": "add"}}</tool_call>'
        signals = [
            {
                "name": key,
                "score": float(score[i, k]) if valid[i, k] else None,
                "failure": "" if valid[i, k] else "timeout",
            }
            for k, key in enumerate(config.reasoning_key)
        ]
        reason = REASONS[int(rng.integers(len(REASONS)))]
        rows.append(
            {
                "group": group[i], "session": i % size, "key": f"{group[i]}_{i % size}_0", "outputs": 1,
                "min_version": step - 1, "max_version": step - 1,
                "outcome": float(outcome[i]), "kl_penalty": 0.0, "outcome_valid": bool(judged[i]),
                "outcome_min": config.reward_min, "outcome_max": config.reward_max,
                "outcome_reason": reason, "outcome_reasons": [reason], "outcome_parts": json.dumps({"name": 0.5}),
                "unread": reason if reason in REASONS[2:] else "", "columns": json.dumps({"score": float(outcome[i])}),
                "reasoning": signals[0]["score"], "failure": signals[0]["failure"], "signals": signals,
                "spread": None, "votes": None, "words": WORDS if valid[i, 0] else "no answer in 30 s",
                "judge_tokens": 400,
                "advantage": float(result.advantages[i]), "a_outcome": float(result.outcome_advantages[i]),
                "a_judge": float(result.mixed_advantages[i]), "outcome_part": float(result.outcome_part[i]),
                "judge_part": float(result.judge_part[i]), "gate": float(result.gate[index[i]]),
                "difficulty": float(result.difficulty[index[i]]), "success_rate": float(result.success_rate[index[i]]),
                "closed": Closed(int(result.closed[index[i]])).name.lower(), "radius": radius[i],
                "leverage": None if np.isnan(leverage[i]) else leverage[i],
                "tokens": 20, "response_length": 20, "has_text": True, "cut": False, "response": response, "texts": None,
                "calls": json.dumps([[{"name": "add", "arguments": {"a": i, "b": 2}}]]), "extra": "{}",
            }
        )  # fmt: skip
    prompts = [
        {
            "group": name, "size": size, "data_source": "sums", "prompt_length": 30, "has_text": True, "cut": False,
            "prompt": json.dumps([{"role": "user", "content": f"What is {name} + 2?"}]), "question": f"What is {name} + 2?",
            "tools": TOOLS, "ground_truth": '<tool_call>{"name": "add"}</tool_call>', "extra_info": '{"index": 0}',
        }
        for name in dict.fromkeys(group)
    ]  # fmt: skip
    write_part(record, PartKey(step), PartInfo(0, state.as_dict()), rows, prompts)
    return rows, prompts, result.reliability


def validated(rows, prompts):
    """The same rollouts as a validation has them: without advantages."""
    terms = (
        "advantage", "a_outcome", "a_judge", "outcome_part", "judge_part", "gate", "difficulty", "success_rate", "closed",
        "radius", "leverage",
    )  # fmt: skip
    return [{key: value for key, value in row.items() if key not in terms} for row in rows], prompts
