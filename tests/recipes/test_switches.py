"""The recipes' variables mean what they say, in a dry run too; nothing here needs verl or a GPU."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.paths import RECIPES

GPU = "run_awpo_qwen3.sh"


def bash(program: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; source {RECIPES}/lib.sh; {program}"],
        capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


@pytest.mark.parametrize(("given", "value"), [*((yes, "1") for yes in ("1", "true", "Yes", "ON")), ("", "0")])
def test_a_switch_that_is_on(given, value):
    assert bash('switch X 0; echo "$X"', X=given).stdout == f"{value}\n"


@pytest.mark.parametrize("given", ["0", "false", "No", "off"])
def test_a_switch_that_is_off(given):
    assert bash('switch X 1; echo "$X"', X=given).stdout == "0\n"


@pytest.mark.parametrize(
    ("program", "given"),
    [
        *(("switch X 0", given) for given in ("2", "ja", "1 ", "-", "yes; rm")),
        *(
            ("whole X 1 1 8", given)
            for given in ("0", "9", "-1", "abc", "1.5", "1e3", "0x2", "99999999999", "a[$(id)]")
        ),
        *(("choice X a a b", given) for given in ("c", "A")),
        ("Y=4; multiple X Y", "6"),
        ("need_folder X 'a folder'", "/nowhere"),
        *(("need_model X", given) for given in ("/nowhere", "./nowhere", "nowhere", "a/b/c", "bin/nothing")),
    ],
)
def test_nonsense_is_named_with_its_variable(program, given, tmp_path):
    (tmp_path / "bin").mkdir()
    result = bash(f"cd {tmp_path}; {program}", X=given)
    assert result.returncode == 2 and result.stderr.startswith(f"error: X={given}: ") and result.stdout == ""


def test_whole_numbers_models_and_defaults():
    assert bash('whole X 1 1; whole Y 7 1; echo "$X $Y"', X="008").stdout == "8 7\n"
    assert bash("need_model X; echo fine", X="Qwen/Qwen3-4B-Instruct-2507").stdout == "fine\n"
    assert bash('choice X a a b; echo "$X"', X="b").stdout == "b\n"


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ('{\n  "dialect": "qwen3_coder",\n  "options": {\n    "dialect": "other"\n  }\n}', "qwen3_coder"),
        ('{\n  "options": {\n    "dialect": "other"\n  },\n  "dialect": "glm"\n}', "glm"),
        ('{\n  "dialect": null\n}', "toolrl"),
        ('{\n  "dialect": "$(id)"\n}', "toolrl"),
        ("", "toolrl"),
        (None, "toolrl"),
    ],
)
def test_the_manifest_says_which_form_the_data_are_made_for(tmp_path, manifest, said):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert bash(f"of_manifest {tmp_path} dialect toolrl").stdout == f"{said}\n"


@pytest.fixture
def clone(tmp_path) -> Path:
    """The recipes in a folder without environment, data and outputs; `bin` has no awpo either."""
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "recipes").symlink_to(RECIPES)
    return tmp_path / "clone"


def run(clone: Path, recipe: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    given = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "DRY_RUN": "1", **environment}
    command = ["bash", f"recipes/{recipe}", *arguments]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=60, env=given)


@pytest.mark.parametrize(
    ("recipe", "environment", "said"),
    [
        (GPU, {}, "data/toolrl/train.parquet is missing; set DATA, or make it: awpo data toolrl"),
        (GPU, {"DRY_RUN": "maybe"}, "DRY_RUN=maybe"),
        (GPU, {"EVAL": "2"}, "EVAL=2"),
        (GPU, {"NNODES": "0"}, "NNODES=0"),
        (GPU, {"GPUS_PER_NODE": "abc"}, "GPUS_PER_NODE=abc"),
        (GPU, {"MODEL": "outputs/nothing/here"}, "MODEL=outputs/nothing/here"),
        (GPU, {"TOKENS_PER_GPU": "many"}, "TOKENS_PER_GPU=many"),
        ("run_awpo_multiturn.sh", {}, "data/bfcl-multi-turn/overrides.txt is missing; set DATA"),
        ("run_awpo_verl_judge.sh", {"JUDGE_GPUS": "3"}, "JUDGE_GPUS=3: must be a multiple of JUDGE_TP=2"),
        ("run_awpo_separate_async.sh", {"UPDATES": "none"}, "UPDATES=none"),
        ("run_awpo_cpu.sh", {"STEPS": "0"}, "STEPS=0"),
        ("run_awpo_cpu.sh", {"DATA": "nowhere"}, "nowhere/train.parquet is missing"),
        ("run_awpo_cpu.sh", {"MODEL": "nowhere"}, "MODEL=nowhere"),
        ("run_awpo_cpu.sh", {"SCORER": "nowhere"}, "SCORER=nowhere"),
        ("run_awpo_cpu.sh", {"JUDGE": "llm"}, "JUDGE=llm needs JUDGE_URL"),
        ("run_awpo_cpu.sh", {"JUDGE": "llm", "JUDGE_URL": "h:1", "JUDGE_MODEL": "m"}, "JUDGE_URL=h:1"),
        ("run_awpo_cpu.sh", {"THINKING": "yes"}, "THINKING=yes: must be one of template auto opened"),
        ("run_multiturn_cpu.sh", {"DRY_RUN": "2"}, "DRY_RUN=2"),
        ("run_multiturn_cpu.sh", {"THINKING": "Opened"}, "THINKING=Opened: must be one of template auto opened"),
        ("run_awpo_multiturn.sh", {"FORMAT": "qwen"}, "FORMAT=qwen: must be one of hermes qwen3_coder"),
        ("run_ablation.sh", {}, "which sweep?"),
        ("serve_judge.sh", {}, "which model?"),
        ("slurm.sh", {}, "which recipe?"),
    ],
)
def test_what_does_not_fit_ends_the_dry_run(clone, recipe, environment, said):
    result = run(clone, recipe, **environment)
    assert result.returncode == 2 and said in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_slurm_says_where_it_belongs(clone):
    recipe = f"recipes/{GPU}"
    assert "no SLURM job" in run(clone, "slurm.sh", recipe, DRY_RUN="0").stderr
    assert "nothing.sh is missing" in run(clone, "slurm.sh", "nothing.sh").stderr


@pytest.mark.parametrize("recipe", ["run_awpo_cpu.sh", "run_multiturn_cpu.sh"])
def test_a_dry_run_in_a_fresh_clone_makes_nothing(clone, recipe):
    result = run(clone, recipe, DRY_RUN="true")
    assert result.returncode == 0 and "there is no environment yet" in result.stdout, result.stderr
    assert [path.name for path in clone.iterdir()] == ["recipes"]
