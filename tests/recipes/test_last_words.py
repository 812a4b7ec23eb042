"""A recipe without a GPU ends with the commands that open its own record."""

import os
import subprocess

import pytest

from tests.paths import RECIPES, ROOT


@pytest.mark.parametrize("recipe", ["run_awpo_cpu.sh", "run_multiturn_cpu.sh"])
def test_the_last_line_of_a_recipe_says_how_to_look(recipe):
    assert (RECIPES / recipe).read_text().splitlines()[-1] == "say_how_to_look"


@pytest.mark.parametrize("record", ["1", "0"])
def test_the_commands_are_of_this_run(tmp_path, record):
    script = (
        "source recipes/lib.sh; STEPS=1 OUT=$1 MODEL=; source recipes/cpu/common.sh; echo RUN=$RUN; say_how_to_look"
    )
    environment = {**os.environ, "RECORD": record, "DRY_RUN": "1"}
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=120,
    )
    run, *told = done.stdout.splitlines()
    folder = run.removeprefix("RUN=")
    assert folder.startswith(str(tmp_path)) and (
        told[-1:] == [f"Each rollout with its reward: awpo view {folder}"]
    ) == (record == "1")
    assert record == "1" or told == [], done.stderr
