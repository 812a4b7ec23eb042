"""The packages have no type errors that mypy sees, by the settings of pyproject.toml."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.paths import ROOT


@pytest.mark.skipif(find_spec("mypy") is None, reason="needs mypy: pip install -e '.[dev]'")
@pytest.mark.timeout(600)
def test_mypy_finds_nothing(tmp_path):
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
