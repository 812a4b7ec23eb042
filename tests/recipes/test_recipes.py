"""Every recipe's configuration resolves and is one that AWPO trains: what `DRY_RUN=1` checks, without its start-up time.

A stand-in for `awpo` on PATH takes what the script would hand to `awpo doctor` and `awpo eval`; their checks then run in
this process. One recipe goes the whole way through the real command.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.config import AwpoConfig
from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.rows import RL_SCHEMA, write_parquet
from awpo_ext.verl_plugin.config_check import compose, problems
from awpo_ext.verl_plugin.driver.run_checks import awpo_section
from awpo_ext.verl_plugin.driver.template_check import template_facts
from recipes.multiturn.make_data import make
from tests.e2e.taught_model import TEMPLATES, make_tokenizer
from tests.paths import RECIPES

# recipe -> (its environment, overrides that must have arrived)
RUNS = {
    "qwen3-1.7b": ("run_awpo_qwen3.sh", {"SIZE": "1.7b"}, ["actor_rollout_ref.model.path=Qwen/Qwen3-1.7B"]),
    "qwen3-4b": ("run_awpo_qwen4b.sh", {}, ["actor_rollout_ref.model.path=Qwen/Qwen3-4B-Instruct-2507"]),
    "qwen3-8b": ("run_awpo_qwen3.sh", {"SIZE": "8b"}, ["actor_rollout_ref.model.path=Qwen/Qwen3-8B"]),
    "without a record": ("run_awpo_qwen3.sh", {"RECORD": "0"}, ["trainer.resume_mode=auto"]),
    "lora": ("run_awpo_lora.sh", {}, ["actor_rollout_ref.model.lora_rank=32", "trainer.n_gpus_per_node=1"]),
    "dapo": ("run_awpo_dapo.sh", {}, ["algorithm.filter_groups.metric=awpo"]),
    "colocate_async": (
        "run_awpo_colocate_async.sh",
        {"AHEAD": "2"},
        ["trainer.v1.colocate_async.num_warmup_batches=2"],
    ),
    "separate_async": ("run_awpo_separate_async.sh", {"UPDATES": "2"}, ["data.train_batch_size=128"]),
    "verl_judge": (
        "run_awpo_verl_judge.sh",
        {},
        ["+reward.custom_reward_function.reward_kwargs.judge_kwargs.base_url=verl"],
    ),
    "resume": ("run_awpo_qwen3.sh", {"RESUME": str(RECIPES)}, ["trainer.resume_mode=resume_path"]),
    "on a CPU": ("run_awpo_cpu.sh", {"EVAL": "yes", "STEPS": "2"}, ["trainer.total_training_steps=2"]),
    "multiturn on a CPU": (
        "run_multiturn_cpu.sh",
        {},
        ["actor_rollout_ref.rollout.agent.default_agent_loop=awpo_tool_agent"],
    ),
    "several nodes": ("slurm.sh", {"NNODES": "2", "ARGUMENTS": "recipes/run_awpo_qwen3.sh"}, ["trainer.nnodes=2"]),
}


def run(script: str, path: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(RECIPES / script), *arguments], cwd=RECIPES.parent, capture_output=True, text=True, timeout=250,
        env=os.environ | {"DRY_RUN": "true", "JUDGE": "none", "PATH": f"{path}:{os.environ['PATH']}"} | environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A folder with an `awpo` that prints the arguments it is called with, one a line, after a line `awpo`."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "awpo").write_text("#!/bin/sh\nprintf '%s\\n' awpo \"$@\"\n")
    (folder / "awpo").chmod(0o755)
    return str(folder)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder with train.parquet and val.parquet, which the recipes for GPUs do not make."""
    folder = tmp_path_factory.mktemp("rows")
    call = '<tool_call>\n{"name": "a", "parameters": {}}\n</tool_call>'
    row = {"data_source": "x", "prompt": [{"role": "user", "content": "Weather?"}], "ability": "tool_use"}
    row |= {"reward_model": {"style": "rule", "ground_truth": call}, "extra_info": {"index": 0, "tools": "[]"}}
    for name in ("train", "val"):
        write_parquet(folder / f"{name}.parquet", [row], RL_SCHEMA)
    return str(folder)


def calls_of(stdout: str) -> list[list[str]]:
    """The arguments of each call of the stand-in."""
    calls: list[list[str]] = []
    for line in stdout.splitlines():
        calls.append([]) if line == "awpo" else calls[-1].append(line)
    return calls


def overrides_of(stand_in: str, script: str, environment: dict[str, str], evaluations: int = 2) -> list[str]:
    """verl's overrides; the evaluation that follows must be one that `awpo eval tool` takes."""
    arguments = environment.get("ARGUMENTS", "").split()
    result = run(script, stand_in, *arguments, "trainer.total_epochs=3", **environment)
    assert result.returncode == 0, result.stderr
    (command, *overrides), *evaluated = calls_of(result.stdout)
    assert command == "doctor" and overrides[-1] == "trainer.total_epochs=3"  # what follows the command comes last
    assert len(evaluated) == (0 if "multiturn" in script else evaluations)
    for evaluation in evaluated:
        done = CliRunner().invoke(app, evaluation)
        assert done.exit_code == 0 and "options are valid" in done.output, done.output
    return [override for override in overrides if not override.startswith("--")]


@pytest.fixture
def multi_turn_data(tmp_path):
    """What the multi-turn recipe reads of its data before verl does."""
    write_dataset(tmp_path, make(train=1, val=1, sft_rows=0))
    (tmp_path / "tools.yaml").touch()
    (tmp_path / "overrides.txt").write_text(
        "+reward.custom_reward_function.reward_kwargs.verifier_kwargs.classes.Bank=recipes.multiturn.bank:Bank\n"
    )
    return str(tmp_path)


def test_the_multi_turn_recipe_takes_tools_and_classes_from_its_data(stand_in, multi_turn_data, monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent))
    overrides = overrides_of(stand_in, "run_awpo_multiturn.sh", {"DATA": multi_turn_data})
    assert problems(overrides) == []
    config = compose(overrides)
    assert config.actor_rollout_ref.rollout.multi_turn.tool_config_path == f"{multi_turn_data}/tools.yaml"
    assert config.reward.custom_reward_function.reward_kwargs.verifier_kwargs.classes == {
        "Bank": "recipes.multiturn.bank:Bank"
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_recipe_is_one_that_awpo_trains(stand_in, rows, name, monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent))  # the scripts put it on PYTHONPATH where their tools live there
    script, environment, arrived = RUNS[name]
    if "on a CPU" not in name:
        environment = {"DATA": rows, **environment}
    overrides = overrides_of(stand_in, script, environment)
    assert set(arrived) <= set(overrides)
    recorded = [override for override in overrides if override.startswith("+algorithm.awpo.record.path=")]
    assert len(recorded) == (environment.get("RECORD") != "0")
    assert problems(overrides) == []


def test_the_recipe_without_a_gpu_takes_every_gate(stand_in):
    overrides = overrides_of(stand_in, "run_awpo_cpu.sh", {}, evaluations=0)
    for gate in get_args(AwpoConfig.__annotations__["gate"]):
        assert problems([*overrides, f"+algorithm.awpo.gate={gate}"]) == []


def test_every_recipe_is_tested():
    scripts = {script for script, _, _ in RUNS.values()}
    assert {path.name for path in RECIPES.glob("run_*.sh")} - {
        "run_awpo_multiturn.sh",
        "run_ablation.sh",
    } <= scripts


def test_the_ablation_recipe_hands_on_its_sweep(stand_in):
    result = run("run_ablation.sh", stand_in, "recipes/ablation/qwen3.yaml", "--limit=1")
    assert calls_of(result.stdout) == [["ablation", "run", "recipes/ablation/qwen3.yaml", "--dry-run", "--limit=1"]]


def test_start_and_last_checkpoint_are_evaluated_alike_and_compared(stand_in, tmp_path):
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("40")
    arguments = ("org/model", str(tmp_path), "rows.parquet", str(tmp_path / "eval"), "--max-tokens", "99")
    result = run("evaluate.sh", stand_in, *arguments, DRY_RUN="0", DIALECT="hermes")
    before, after, compared = calls_of(result.stdout)
    assert before[:6] == ["eval", "tool", "--checkpoint", "org/model", "--out", f"{tmp_path}/eval/before"]
    assert after[3] == f"{tmp_path}/global_step_40" and after[5] == f"{tmp_path}/eval/global_step_40"
    assert before[6:] == after[6:] and after[-2:] == ["--max-tokens", "99"]
    assert after[after.index("--verifier-kwargs") + 1] == '{"dialect": "hermes"}'
    results = [f"{tmp_path}/eval/{name}/result.json" for name in ("before", "global_step_40")]
    assert compared == ["eval", "compare", *results, "--out", f"{tmp_path}/eval/compare.json"]


VERIFIER_KWARGS = "+reward.custom_reward_function.reward_kwargs.verifier_kwargs"


def test_the_form_of_calls_is_the_datas_and_a_thought_can_be_said_to_be_open(stand_in, rows, tmp_path):
    for name in ("train", "val"):
        shutil.copy(f"{rows}/{name}.parquet", tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"dialect": "hermes", "thinking": "opened"}, indent=2))
    for recipe in ("run_awpo_qwen3.sh", "run_awpo_cpu.sh"):
        result = run(recipe, stand_in, DATA=str(tmp_path), EVAL="1", THINKING="opened")
        (_, *overrides), *evaluations = calls_of(result.stdout)
        assert {f"{VERIFIER_KWARGS}.dialect=hermes", THINKING_OPENED} <= set(overrides), result.stderr
        for evaluation in evaluations:
            assert evaluation[evaluation.index("--verifier-kwargs") + 1] == '{"dialect": "hermes"}'
            assert evaluation[evaluation.index("--thinking") + 1] == "opened"
        chosen = run(recipe, stand_in, DATA=str(tmp_path), DIALECT="glm").stdout
        assert f"{VERIFIER_KWARGS}.dialect=glm" in chosen and ".thinking=" not in chosen


THINKING_OPENED = "+reward.custom_reward_function.reward_kwargs.thinking=opened"


def test_the_dry_run_reads_the_models_chat_template(stand_in, rows, multi_turn_data, tmp_path, monkeypatch):
    """A model whose template opens the thought and calls in XML."""
    monkeypatch.syspath_prepend(str(RECIPES.parent))
    make_tokenizer(TEMPLATES["qwen3.5"][1], ["Why."]).save_pretrained(tmp_path / "model")
    model = {"MODEL": str(tmp_path / "model")}
    overrides = overrides_of(stand_in, "run_awpo_qwen3.sh", {"DATA": rows, "EVAL": "0", **model}, evaluations=0)
    assert problems(overrides) == []
    assert ("responses are read with thinking", "opened (the chat template's)") in template_facts(compose(overrides))
    assert problems([*overrides, THINKING_OPENED]) == []

    turns = {"DATA": multi_turn_data, **model}
    (problem,) = problems(overrides_of(stand_in, "run_awpo_multiturn.sh", turns))
    assert "multi_turn.format=hermes" in problem and "FORMAT=qwen3_coder in the recipes" in problem
    assert problems(overrides_of(stand_in, "run_awpo_multiturn.sh", turns | {"FORMAT": "qwen3_coder"})) == []


def test_clip_higher_arrives_as_a_number(stand_in, rows):
    config = compose(overrides_of(stand_in, "run_awpo_dapo.sh", {"CLIP_HIGHER": "1.25", "DATA": rows}))
    assert awpo_section(config).clip_higher == 1.25


def test_an_unknown_size_is_named(stand_in):
    result = run("run_awpo_qwen3.sh", stand_in, SIZE="5b")
    assert result.returncode == 2 and "SIZE=5b: must be one of 1.7b 4b 8b" in result.stderr


def test_the_real_command_passes_and_names_a_misspelt_key(rows):
    """Two at a time: each takes its start-up time."""
    path = str(Path(sys.executable).parent)
    command = ["bash", str(RECIPES / "run_awpo_qwen3.sh")]
    environment = os.environ | {"DRY_RUN": "1", "JUDGE": "none", "DATA": rows, "PATH": f"{path}:{os.environ['PATH']}"}
    started = [
        subprocess.Popen(
            [*command, *extra], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        for extra in ([], ["+algorithm.awpo.gatee=ratio"])
    ]
    good, bad = [(process.communicate(timeout=250)[0], process.returncode) for process in started]
    assert good[1] == 0 and "All well." in good[0], good[0]
    assert bad[1] == 1 and "unknown key algorithm.awpo.gatee" in bad[0]
