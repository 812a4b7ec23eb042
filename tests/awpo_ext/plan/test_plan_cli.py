"""`awpo plan` on verl's own configuration."""

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app

pytest.importorskip("verl")

BASE = [
    "actor_rollout_ref.model.path=Qwen/Qwen3-4B",
    "actor_rollout_ref.actor.strategy=fsdp2",
    "actor_rollout_ref.actor.use_dynamic_bsz=True",
    "actor_rollout_ref.rollout.name=vllm",
    "actor_rollout_ref.rollout.tensor_model_parallel_size=1",
    "trainer.n_gpus_per_node=8",
]


def plan(*arguments):
    done = CliRunner().invoke(app, ["plan", *arguments])
    return done.exit_code, " ".join(done.output.split())


def test_a_run_that_fits_and_one_that_does_not_with_the_key_to_change():
    code, said = plan(*BASE)
    assert code == 0 and "4.02 B parameters, 3.63 B without embeddings, 144 KiB" in said and "fits" in said
    code, said = plan("--gpu", "16", *BASE)
    assert code == 1 and "does not fit" in said and "ppo_max_token_len_per_gpu=8192" in said


def test_verls_switches_reach_the_estimate():
    separate = plan(*BASE, "trainer.v1.trainer_mode=separate_async")
    assert "GPUs of its own" in separate[1] and "vLLM KV cache" not in separate[1]
    assert "reference weights" in plan(*BASE, "actor_rollout_ref.actor.use_kl_loss=True")[1]
    lora = (*BASE, "actor_rollout_ref.actor.use_kl_loss=True", "actor_rollout_ref.model.lora_rank=32")
    assert "reference weights" not in plan(*lora)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpu", "big"], "--gpu big"),
        (["--model", "nowhere"], "'nowhere'"),
        (["no.such.key=1"], "Hydra refuses"),
        (["actor_rollout_ref.actor.use_dynamic_bsz=False"], "ppo_micro_batch_size_per_gpu"),
    ],
)
def test_bad_input_is_named(arguments, message):
    code, said = plan(*BASE, *arguments)
    assert code == 1 and message in said
