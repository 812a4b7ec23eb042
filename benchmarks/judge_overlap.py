"""What a judge's latency adds to a training step: python benchmarks/judge_overlap.py --latency 0 2

Trains a tiny model by stock main_ppo on CPU (the tests' helpers), once for each latency, against a mock judge that
answers after it. verl scores a rollout as soon as its own generation ends, so all but the last ones are judged while
others still generate. Prints verl's own timing_s/* by latency, as medians over the steps after the first. Of a step's
parts only `gen` waits for the judge; verl looks for finished rollouts every 2 s, so it comes in multiples of that.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "reward_models")]

from faulty_server import MODEL, FaultyServer  # noqa: E402
from stock_verl import CPU, Run, cpu_environment, judge_overrides, main_ppo  # noqa: E402

PARTS = ("step", "gen", "old_log_prob", "adv", "update_actor", "update_weights")


def train(model: Path, folder: Path, latency_s: float, args: argparse.Namespace) -> Run:
    folder.mkdir()
    with FaultyServer(latency_s=latency_s) as server:
        run = main_ppo(
            folder,
            model,
            f"trainer.total_training_steps={args.steps}",
            f"data.train_batch_size={args.prompts}",
            f"data.max_response_length={args.tokens}",
            f"actor_rollout_ref.actor.ppo_mini_batch_size={args.prompts // 2}",
            f"actor_rollout_ref.rollout.max_model_len={128 + args.tokens}",
            f"actor_rollout_ref.rollout.max_num_seqs={args.at_once}",
            "actor_rollout_ref.rollout.ignore_eos=True",
            *args.overrides,
            *judge_overrides(server.base_url, MODEL, ledger=folder / "ledger.jsonl"),
            timeout=520,
        )
    assert run.returncode == 0, run.console[-4000:]
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 2.0], help="of the judge, in seconds")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=16, help="a step, with 4 rollouts each")
    parser.add_argument("--tokens", type=int, default=256, help="of each response")
    parser.add_argument("--at-once", type=int, default=16, help="sequences that vLLM generates at once")
    parser.add_argument("overrides", nargs="*", help="for verl")
    args = parser.parse_intermixed_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and so the run that is under way ends too
    with tempfile.TemporaryDirectory() as work:
        model = Path(work) / "tiny"
        make = [sys.executable, str(CPU / "make_model.py"), str(model), "--tiny"]
        subprocess.run(make, check=True, timeout=200, env=cpu_environment(), capture_output=True)
        first = None
        print("latency" + "".join(f"{part:>15s}" for part in PARTS) + "   judging, summed   added to generation")
        for i, latency_s in enumerate(args.latency):
            run = train(model, Path(work) / f"run{i}", latency_s, args)
            later = [metrics for step, metrics in run.steps.items() if step > 1]
            seconds = {part: median(metrics.get(f"timing_s/{part}", 0.0) for metrics in later) for part in PARTS}
            summed = median(metrics["awpo/judge/latency_p50_s"] * metrics["awpo/judge/answers"] for metrics in later)
            first = first or seconds
            added = seconds["gen"] - first["gen"]
            print(f"{latency_s:6.1f}s" + "".join(f"{seconds[part]:14.2f}s" for part in PARTS), end="")
            print(f"{summed:17.1f}s{added:14.2f}s = {added / first['step']:.1%} of the first's step", flush=True)
            for name in ("step", "gen"):
                print(
                    f"    {name}: " + ", ".join(f"{metrics[f'timing_s/{name}']:.1f}" for metrics in later), flush=True
                )


if __name__ == "__main__":
    main()
