"""The end-to-end tests' model: random, two layers, made once."""

import subprocess
import sys

import pytest

from tests.e2e.stock_verl import CPU, cpu_environment


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "tiny"
    make = [sys.executable, str(CPU / "make_model.py"), str(out), "--tiny"]
    subprocess.run(make, check=True, timeout=200, env=cpu_environment())
    return out
