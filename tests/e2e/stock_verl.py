"""Runs stock `python -m verl.trainer.main_ppo` on CPU for the end-to-end tests. Starts processes; asserts nothing."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.paths import ROOT

CPU = ROOT / "recipes" / "cpu"
SILENT_S, LONGEST_S = 300.0, 1500.0  # of a run: about 80 s on two quiet cores, ten times that on busy ones


def cpu_environment() -> dict[str, str]:
    """This process's environment with recipes/cpu/env.sh in it."""
    out = subprocess.run(
        ["bash", "-c", f"source {shlex.quote(str(CPU / 'env.sh'))} && env -0"], check=True, capture_output=True
    ).stdout
    return dict(line.split("=", 1) for line in out.decode().split("\0") if "=" in line)


def cpu_overrides(name: str = "verl_overrides.txt") -> list[str]:
    lines = (CPU / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def write_sums(path: Path, rows: int) -> None:
    """A parquet file in verl's schema: additions to be called as a tool."""
    table = []
    for i in range(rows):
        question = f"What is {i} + 2?"
        call = json.dumps({"name": "add", "parameters": {"a": i, "b": 2}})
        table.append(
            {
                "data_source": "sums",
                "prompt": [{"role": "system", "content": "Call add."}, {"role": "user", "content": question}],
                "ability": "tool",
                "reward_model": {
                    "style": "rule",
                    "ground_truth": f"<think> </think>\n<tool_call>\n{call}\n</tool_call>",
                },
                "extra_info": {"index": i, "question": question, "tools": "[]"},
            }
        )
    pq.write_table(pa.Table.from_pylist(table), path)


@dataclass(frozen=True)
class Run:
    """One finished run: exit code, console text, and verl's metrics by step."""

    returncode: int
    console: str
    steps: dict[int, dict[str, float]]


def start(folder: Path, model: Path, *overrides: str) -> subprocess.Popen:
    """Start training a tiny model in `folder` with AWPO, console in `console.log`; `overrides` come last and win."""
    if not (folder / "train.parquet").exists():
        write_sums(folder / "train.parquet", 64)
        write_sums(folder / "val.parquet", 8)
    log = folder / "metrics.jsonl"
    log.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "verl.trainer.main_ppo",
        "algorithm.adv_estimator=awpo",
        "+algorithm.awpo.unreadable_stop_share=1",  # the tiny model writes at random
        "actor_rollout_ref.actor.policy_loss.loss_mode=awpo",
        f"data.train_files={folder}/train.parquet",
        f"data.val_files={folder}/val.parquet",
        "data.train_batch_size=8",
        "data.max_prompt_length=128",
        "data.max_response_length=24",
        f"actor_rollout_ref.model.path={model}",
        "actor_rollout_ref.actor.optim.lr=1e-3",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8",
        "actor_rollout_ref.rollout.n=4",
        "actor_rollout_ref.rollout.max_model_len=160",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8",
        f"reward.custom_reward_function.path={Path(__file__).parent}/hashed_reward.py",
        "reward.custom_reward_function.name=compute_score",
        'trainer.logger=["console","file"]',
        "trainer.val_before_train=False",
        f"trainer.default_local_dir={folder}/checkpoints",
        f"trainer.rollout_data_dir={folder}/rollouts",
        *cpu_overrides(),
        *overrides,
    ]
    environment = cpu_environment() | {"VERL_FILE_LOGGER_PATH": str(log), "OMP_NUM_THREADS": "2"}
    with open(folder / "console.log", "w") as console:
        return subprocess.Popen(
            command,
            cwd=folder,  # not the repository: the installed package has to be enough
            env=environment,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def main_ppo(folder: Path, model: Path, *overrides: str, timeout: float = LONGEST_S) -> Run:
    """`start`, and wait for the end."""
    return wait(start(folder, model, *overrides), folder, timeout)


def wait(process: subprocess.Popen, folder: Path, timeout: float = LONGEST_S) -> Run:
    """What became of a run that `start` started. Ends its process group after `timeout`, or where it hangs: no word in
    SILENT_S, which a busy machine does not explain."""
    log, deadline = folder / "console.log", time.monotonic() + timeout
    try:
        while process.poll() is None and time.monotonic() < deadline and time.time() - log.stat().st_mtime < SILENT_S:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Run(process.returncode, log.read_text(), logged_steps(folder))


def judge_overrides(
    url: str, model: str, columns: Path | str = "", hold: Path | str = "", **options: object
) -> list[str]:
    """The reward of judged_reward.py with a judge at `url`; `options` are its judge_kwargs."""
    kwargs = {"judge": "llm", "columns": columns, "hold": hold}
    kwargs |= {f"judge_kwargs.{key}": value for key, value in {"base_url": url, "model": model, **options}.items()}
    return [
        f"reward.custom_reward_function.path={Path(__file__).parent}/judged_reward.py",
        *(
            f"+reward.custom_reward_function.reward_kwargs.{key}={value}"
            for key, value in kwargs.items()
            if value != ""
        ),
    ]


def logged_steps(folder: Path) -> dict[int, dict[str, float]]:
    """verl's metrics by step, as far as the run has come."""
    log = folder / "metrics.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return {record["step"]: record["data"] for record in records}


def dumped_rollouts(folder: Path, step: int) -> list[dict]:
    """What verl dumped of a step's rollouts: `uid` is `{prompt}_{session}_{output}`, plus `output` and `score`."""
    return [json.loads(line) for line in (folder / "rollouts" / f"{step}.jsonl").read_text().splitlines()]
