"""The documentation: it builds as a site without a broken link, and the reference made from the code is complete."""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from awpo_ext.config import AwpoConfig
from awpo_ext.guard.options import GuardOptions
from awpo_ext.record.options import RecordOptions
from reward_models.reward_columns import REWARD_COLUMNS
from tests.paths import ROOT

SITE = ("mkdocs", "material", "mkdocstrings")


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("docs_reference", ROOT / "docs" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(page: str) -> set[str]:
    """The first cells of a page's tables whose last cell says something."""
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`") for cells in rows if cells[-1].strip("| ")}


def test_every_key_and_column_has_its_line(reference):
    assert {field.name for field in fields(AwpoConfig)} <= described(reference.keys(AwpoConfig))
    for section in (GuardOptions, RecordOptions):
        assert {field.name for field in fields(section)} <= described(reference.keys(section))
        assert f"## {section.owner}" in reference.config_page()
    assert set(REWARD_COLUMNS) <= described(reference.columns_page())


def test_every_class_of_options_and_every_command_is_there(reference):
    page = reference.config_page()
    for name in ("RewardKwargs", "ClientConfig", "ScorerConfig", "GroupConfig"):
        assert re.search(rf"^## .*{name}$", page, re.M), name
    commands = reference.commands_page()
    assert {"awpo doctor", "awpo judge eval", "awpo recipes copy"} <= set(re.findall(r"^## (.*)$", commands, re.M))


def test_the_pages_beside_the_site_link_to_what_is_there():
    for page in ROOT.glob("*.md"):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == [], page


def test_every_page_is_in_the_navigation():
    named = re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} <= set(named)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in SITE), reason="needs mkdocs: pip install -e '.[docs]'"
)
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True, timeout=280, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stdout + done.stderr
    assert (tmp_path / "site" / "reference" / "api" / "index.html").is_file()
