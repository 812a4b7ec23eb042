"""What a judge's latency adds to a training step: python benchmarks/judge_overlap.py --latency 0 2

Trains a tiny model by stock main_ppo on CPU (the tests' helpers) against a mock judge. One run has all latencies, which
take turns by step, so that a change of the machine's load meets them alike. verl scores a rollout as soon as its own
generation ends, so all but the last ones are judged while others still generate. Prints verl's own timing_s/* by
latency, as medians over the steps after the first. Of a step's parts only `gen` waits for the judge; verl looks for
finished rollouts every 2 s, so it comes in multiples of that.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "reward_models")]

from tests.e2e.stock_verl import CPU, Run, cpu_environment, judge_overrides, logged_steps, start, wait  # noqa: E402
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer  # noqa: E402

PARTS = ("step", "gen", "old_log_prob", "adv", "update_actor", "update_weights")


def latency_of(step: int, latencies: list[float]) -> float:
    return latencies[step % len(latencies)]


def train(model: Path, folder: Path, args: argparse.Namespace) -> Run:
    """One run; the latency changes as soon as a step is logged."""
    steps = 1 + args.rounds * len(args.latency)
    with FaultyServer(latency_s=latency_of(1, args.latency)) as server:
        process = start(
            folder,
            model,
            f"trainer.total_training_steps={steps}",
            "trainer.total_epochs=1000",
            f"data.train_batch_size={args.prompts}",
            f"data.max_response_length={args.tokens}",
            f"actor_rollout_ref.actor.ppo_mini_batch_size={args.prompts // 2}",
            f"actor_rollout_ref.rollout.max_model_len={128 + args.tokens}",
            f"actor_rollout_ref.rollout.max_num_seqs={args.at_once}",
            "actor_rollout_ref.rollout.ignore_eos=True",
            *args.overrides,
            *judge_overrides(server.base_url, MODEL, ledger=folder / "ledger.jsonl"),
        )
        try:
            ends_at = time.monotonic() + args.timeout
            while process.poll() is None and time.monotonic() < ends_at:
                with contextlib.suppress(ValueError):  # a line that is being written
                    server.latency_s = latency_of(len(logged_steps(folder)) + 1, args.latency)
                time.sleep(0.1)
        finally:
            run = wait(process, folder, timeout=1)
    assert run.returncode == 0, run.console[-4000:]
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 2.0], help="of the judge, in seconds")
    parser.add_argument("--rounds", type=int, default=4, help="steps with each latency; one more comes first")
    parser.add_argument("--prompts", type=int, default=16, help="a step, with 4 rollouts each")
    parser.add_argument("--tokens", type=int, default=256, help="of each response")
    parser.add_argument("--at-once", type=int, default=16, help="sequences that vLLM generates at once")
    parser.add_argument("--timeout", type=float, default=900, help="of the whole run, in seconds")
    parser.add_argument("overrides", nargs="*", help="for verl")
    args = parser.parse_intermixed_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and so the run that is under way ends too
    print(f"{args.prompts} prompts x 4 rollouts of {args.tokens} tokens; load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as work:
        model = Path(work) / "tiny"
        make = [sys.executable, str(CPU / "make_model.py"), str(model), "--tiny"]
        subprocess.run(make, check=True, timeout=200, env=cpu_environment(), capture_output=True)
        (folder := Path(work) / "run").mkdir()
        run = train(model, folder, args)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
    show(run, args.latency)


def show(run: Run, latencies: list[float]) -> None:
    first = None
    print("latency" + "".join(f"{part:>15s}" for part in PARTS) + "   judging, summed   added to generation")
    for latency_s in latencies:
        steps = [step for step in run.steps if step > 1 and latency_of(step, latencies) == latency_s]
        mine = [run.steps[step] for step in steps]
        seconds = {part: median(metrics.get(f"timing_s/{part}", 0.0) for metrics in mine) for part in PARTS}
        summed = median(metrics["awpo/judge/latency_p50_s"] * metrics["awpo/judge/answers"] for metrics in mine)
        first = first or seconds
        added = seconds["gen"] - first["gen"]
        print(f"{latency_s:6.1f}s" + "".join(f"{seconds[part]:14.2f}s" for part in PARTS), end="")
        print(f"{summed:17.1f}s{added:14.2f}s = {added / first['step']:.1%} of the first's step")
        for name in ("step", "gen"):
            shown = (f"{step}: {metrics[f'timing_s/{name}']:.1f}" for step, metrics in zip(steps, mine, strict=True))
            print(f"    {name}: " + ", ".join(shown))
        latency = (f"{metrics['awpo/judge/latency_p50_s']:.2f}" for metrics in mine)
        print("    the judge's latency, p50: " + ", ".join(latency))


if __name__ == "__main__":
    main()
