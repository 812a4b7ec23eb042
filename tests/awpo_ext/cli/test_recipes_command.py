"""`awpo recipes`: the recipes and docs, as files; and no message that sends people to an index where we are not."""

import re
import subprocess

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.cli.recipes import first_comment
from reward_models.errors import install_extra
from tests.paths import RECIPES, ROOT
from tests.project import EXTRAS


def test_every_recipe_is_listed_with_what_it_does():
    listed = CliRunner().invoke(app, ["recipes", "list"]).output
    for script in RECIPES.glob("run_*.sh"):
        assert f"{first_comment(script)}\n" in listed and len(first_comment(script)) > 20


def test_a_copy_runs_from_its_folder_and_overwrites_nothing(tmp_path):
    assert CliRunner().invoke(app, ["recipes", "copy", str(tmp_path)]).exit_code == 0
    recipe = subprocess.run(
        ["bash", "recipes/run_awpo_qwen3.sh"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "DRY_RUN": "1"},
    )  # fmt: skip
    assert "data/toolrl/train.parquet is missing" in recipe.stderr
    again = CliRunner().invoke(app, ["recipes", "copy", str(tmp_path)])
    assert again.exit_code == 1 and "exists" in again.output


@pytest.mark.parametrize("folder", ["awpo_ext", "reward_models", "recipes", "docs", "benchmarks", "README.md"])
def test_nobody_is_told_to_install_it_from_an_index(folder):
    files = [ROOT / folder] if (ROOT / folder).is_file() else (ROOT / folder).rglob("*")
    texts = {path: path.read_text() for path in files if path.suffix in {".md", ".py", ".sh", ".txt"}}
    texts = {
        path: text for path, text in texts.items() if path.name != "release.md"
    }  # it is about the day when they are
    assert [path for path, text in texts.items() if re.search(r"pip install ['\"]?awpo[-_]ext(?!.* @ )", text)] == []


def test_an_extra_that_a_message_names_exists():
    offered = set(EXTRAS)
    named = {
        extra
        for package in ("awpo_ext", "reward_models")
        for path in (ROOT / package).rglob("*.py")
        for extra in re.findall(r"install_extra\(['\"](\w+)['\"]\)", path.read_text())
    }
    page = set(re.findall(r"`\.\[([\w,]+)\]`", (ROOT / "docs" / "install.md").read_text()))
    assert named <= offered == {extra for some in page for extra in some.split(",")} | {"fuzz"}
    assert install_extra("eval", "bfcl").startswith("pip install -e '.[eval,bfcl]'")
