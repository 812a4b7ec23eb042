"""The estimate of `awpo plan` beside the measured peak memory of real training steps on this machine's CPU.

    python benchmarks/plan_memory.py MODEL_FOLDER [CASE ...]

Only MODEL_FOLDER's config.json is read. Each case runs in a process of its own: random weights in float32, AdamW, one
thread, two steps of plain PyTorch on random tokens; measured is the peak of the resident set less what it was before
the model was made. On a CPU nothing is sharded, no engine runs beside, and the optimizer makes no temporaries of the
whole model.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from awpo_ext.plan.memory import Setup, phases
from awpo_ext.plan.models import read

# name: batch, length, checkpointing
CASES = {
    "1 x 256": (1, 256, False),
    "2 x 512": (2, 512, False),
    "2 x 512, checkpointing": (2, 512, True),
    "4 x 512": (4, 512, False),
    "4 x 512, checkpointing": (4, 512, True),
    "8 x 512, checkpointing": (8, 512, True),
}


def estimate(folder: Path, case: str) -> dict[str, int]:
    batch, length, checkpointing = CASES[case]
    setup = Setup(
        model=read(folder / "config.json"),
        shards=1,
        update_tokens=batch * length,
        log_prob_tokens=1,
        compute=4,
        checkpointing=checkpointing,
        colocated=False,
        fused_optimizer_temporaries=False,
        overhead=0,
    )
    return phases(setup, 1 << 40)["update"]


def measure(folder: Path, case: str) -> int:
    """In this process: bytes that two training steps took at their peak."""
    import psutil
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(1)
    batch, length, checkpointing = CASES[case]
    me, peak, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], me.memory_info().rss)
            time.sleep(0.005)

    warm = torch.nn.Linear(64, 64)
    warm(torch.zeros(1, 64)).sum().backward()
    gc.collect()
    before = me.memory_info().rss
    threading.Thread(target=watch, daemon=True).start()
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    if checkpointing:
        model.gradient_checkpointing_enable()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    tokens = torch.randint(0, model.config.vocab_size, (batch, length))
    for _ in range(2):
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)  # kept, as with several micro batches
    done.set()
    return peak[0] - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--inside", action="store_true", help="measure one case in this process")
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(measure(arguments.folder, arguments.cases[0])))
        return
    print(f"machine load {os.getloadavg()[0]:.1f}")
    print("| case | weights, gradients, optimizer | activations | logits | estimate | measured | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for case in arguments.cases or CASES:
        command = [sys.executable, __file__, str(arguments.folder), case, "--inside"]
        # glibc returns large blocks at once, so that the peak is of what lives
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        measured = json.loads(out.splitlines()[-1])
        parts = estimate(arguments.folder, case)
        total = sum(parts.values())
        static = total - parts["activations"] - parts["logits"]
        sizes = (static, parts["activations"], parts["logits"], total, measured)
        print(f"| {case} | {' | '.join(f'{size / 1e9:.2f} GB' for size in sizes)} | {total / measured:.2f} |")


if __name__ == "__main__":
    main()
