"""The classify judge against real vLLM on the CPU: a classifier trained here, served by `vllm serve`."""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from reward_models.judges import make_judge, score_all
from reward_models.labelled import write_labelled
from reward_models.scorers.classifier.model import load
from reward_models.scorers.classifier.training import TrainConfig, train_classifier
from tests.reward_models.scorers.classifier.tiny_models import labelled_rows, save_tiny

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
START_S = 500  # on a machine that does other work beside it


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(params=["llama", "bert"])
def served(request, tmp_path):
    """A trained folder and the URL of a server that has it."""
    pytest.importorskip("vllm")
    base = save_tiny(tmp_path / "base", request.param)
    write_labelled(tmp_path / "rows.jsonl", labelled_rows(24))
    config = TrainConfig(str(base), "labels", max_tokens=160, epochs=12, learning_rate=3e-3, device="cpu")
    train_classifier(config, tmp_path / "rows.jsonl", tmp_path / "scorer", quiet=True)
    port = free_port()
    command = shutil.which("vllm", path=str(Path(sys.executable).parent)) or "vllm"
    options = ["--runner", "pooling", "--dtype", "float32", "--enforce-eager", "--max-model-len", "512"]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_PLUGINS": "none",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
    }
    with open(tmp_path / "vllm.log", "w") as log:
        server = subprocess.Popen(
            [command, "serve", str(tmp_path / "scorer"), "--host", "127.0.0.1", "--port", str(port), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        wait_until_up(server, port, tmp_path / "vllm.log")
        yield tmp_path / "scorer", f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def wait_until_up(server, port, log):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-5000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(1)
    pytest.fail(log.read_text()[-5000:])


@pytest.mark.timeout(1800)
def test_scores_of_vllm_are_those_of_the_process(served):
    folder, base_url = served
    rollouts = [row.rollout for row in labelled_rows(16, seed=7)]
    random.Random(0).shuffle(rollouts)
    judge = make_judge("classify", scorer=str(folder), base_url=base_url)
    judge.check()

    async def main():
        try:
            await judge.preflight()
            return await score_all(judge, rollouts)
        finally:
            await judge.aclose()

    verdicts = asyncio.run(main())
    expected = load(folder).score(rollouts)
    assert max(expected) - min(expected) > 0.2
    assert [verdict.value for verdict in verdicts] == pytest.approx(expected, abs=1e-3)
