"""The packages of a run without a GPU: what setup_env.sh installs is pinned, and is what runs here."""

import re
import subprocess
from importlib.metadata import version

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
import torch
from packaging.requirements import Requirement

from tests.paths import RECIPES, ROOT


def lines(name: str) -> list[str]:
    text = (RECIPES / "cpu" / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_requirements_are_pinned_and_installed():
    pinned = {normal(Requirement(line).name): Requirement(line).specifier for line in lines("constraints.txt")}
    wanted = [one for one in map(Requirement, lines("requirements.txt")) if one.marker is None or one.marker.evaluate()]
    assert {one.name for one in wanted if normal(one.name) not in pinned} == set()
    assert {one.name for one in wanted if not one.specifier.contains(version(one.name))} == set()
    names = [normal(one.name) for one in wanted]
    assert len(set(names)) == len(names)


def test_setup_env_installs_and_hashes_every_list():
    script = (RECIPES / "cpu" / "setup_env.sh").read_text()
    assert "recipes/cpu/{constraints,requirements,no_deps}.txt" in script
    assert "-c recipes/cpu/constraints.txt -r recipes/cpu/requirements.txt" in script
    extras = re.search(r'-e "\.\[(.*?)\]"', script)[1].split(",")
    offered = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
    assert set(extras) <= set(offered)


@pytest.mark.parametrize("given", ["", "bfloat16", "float32"])
def test_products_are_of_the_type_that_this_processor_multiplies_fast(given):
    shell = ["bash", "-c", f"CPU_DTYPE={given}; source {RECIPES}/cpu/env.sh; echo $CPU_DTYPE"]
    chosen = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.strip()
    fast = "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
    assert chosen == (given or fast)
    overrides = [line for line in lines("verl_overrides.txt") if "dtype" in line]
    assert len(overrides) == 3 and all(line.endswith("=${oc.env:CPU_DTYPE}") for line in overrides)
