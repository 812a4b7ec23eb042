"""A judge and a verifier of the current folder, as the docs write them, work in every command."""

import json
import re
import subprocess
import sys

import pytest

from awpo_ext.data.rows import RL_SCHEMA, write_parquet
from reward_models.labelled import write_labelled
from tests.paths import ROOT
from tests.reward_models.judge_eval.fakes import rows

OWN = {"adding_a_judge.md": "my_judges/length.py", "verifiers.md": "my_verifiers/contains.py"}
CONSOLE = (
    "import sys; sys.path.remove(''); from awpo_ext.cli.main import app; app(sys.argv[1:])"  # as the installed `awpo`
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder: their judge and verifier, a rollout, labelled rows, rows for training."""
    folder = tmp_path_factory.mktemp("mine")
    for page, path in OWN.items():
        (code,) = re.findall(rf"```python\n# {path}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
        (folder / path).parent.mkdir()
        (folder / path).write_text(code)
    (folder / "rollout.json").write_text('{"response": "<think>a thought</think><response>hi</response>"}')
    write_labelled(folder / "labelled.jsonl", rows(6))
    row = {"data_source": "x", "prompt": [{"role": "user", "content": "Weather?"}], "ability": "t"}
    row |= {"reward_model": {"style": "rule", "ground_truth": "rain"}, "extra_info": {"index": 0, "tools": "[]"}}
    write_parquet(folder / "rows.parquet", [row], RL_SCHEMA)
    return folder


def awpo(folder, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CONSOLE, *arguments], cwd=folder, capture_output=True, text=True, timeout=250
    )
    assert "Traceback" not in done.stderr and done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_judge_try(folder):
    options = ("--judge-kwargs", json.dumps({"limit": 80}))
    assert "verdict  1.000" in awpo(
        folder, "judge", "try", "--judge", "my_judges.length:ThoughtLength", *options, "--file", "rollout.json"
    )


def test_judge_eval(folder):
    awpo(
        folder,
        "judge",
        "eval",
        "--judge",
        "my_judges.length:ThoughtLength",
        "--data",
        "labelled.jsonl",
        "--out",
        "report",
    )
    assert list((folder / "report").glob("*.json"))


def test_eval_tool(folder):
    own = ("--verifier", "my_verifiers.contains:Contains", "--data", "rows.parquet", "--out", "eval", "--dry-run")
    assert "options are valid" in awpo(
        folder, "eval", "tool", *own, "--base-url", "http://127.0.0.1:9/v1", "--model", "m"
    )


@pytest.mark.slow
def test_doctor_calls_both(folder):
    pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
    kwargs = "+reward.custom_reward_function.reward_kwargs"
    said = awpo(
        folder, "doctor", "--no-ray", "algorithm.adv_estimator=awpo", "actor_rollout_ref.actor.policy_loss.loss_mode=awpo",
        "data.train_files=rows.parquet", "data.val_files=rows.parquet", "actor_rollout_ref.rollout.name=vllm",
        "actor_rollout_ref.rollout.n=4",
        "++actor_rollout_ref.model.override_config.attn_implementation=sdpa", "trainer.n_gpus_per_node=1",
        "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True",
        "critic.enable=False", "data.train_batch_size=8", "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "reward.custom_reward_function.path=pkg://reward_models.reward", "reward.custom_reward_function.name=compute_score",
        f"{kwargs}.judge=my_judges.length:ThoughtLength", f"{kwargs}.verifier=my_verifiers.contains:Contains",
    )  # fmt: skip
    assert "All well." in said and "outcome_reason" in said
