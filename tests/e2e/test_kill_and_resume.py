"""kill -9 in mid-training, then the same command: it goes on from the checkpoint with the same columns and config."""

import os
import signal
import time

import pytest
from expected import expected_of_step
from stock_verl import logged_steps, main_ppo, start

from awpo_ext.config import AwpoConfig

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CONFIG = AwpoConfig(gate="threshold", clip_schedule="inverse")
COMMAND = [
    "trainer.total_training_steps=4",
    "trainer.save_freq=2",
    "+algorithm.awpo.gate=threshold",
    "+algorithm.awpo.clip_schedule=inverse",
]


def test_killed_in_mid_training_the_same_command_resumes(tiny_model, tmp_path):
    process = start(tmp_path, tiny_model, *COMMAND)
    deadline = time.monotonic() + 400
    while 3 not in logged_steps(tmp_path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    before = logged_steps(tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 in before and 4 not in before, (tmp_path / "console.log").read_text()[-6000:]

    resumed = main_ppo(tmp_path, tiny_model, *COMMAND)
    assert resumed.returncode == 0, resumed.console[-6000:]
    assert list(resumed.steps) == [3, 4]  # step 3 was lost with the kill: the checkpoint is of step 2
    for step, logged in resumed.steps.items():
        _, result, radius = expected_of_step(tmp_path, step, CONFIG)
        assert logged["awpo/gate/mean"] == pytest.approx(float(result.gate.mean()))
        assert logged["awpo/applied_clip_radius"] == pytest.approx(float(radius), rel=1e-5)
        assert {key for key in logged if key.startswith("awpo/")} == {key for key in before[2] if "awpo/" in key}
