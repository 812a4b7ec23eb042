"""Shared by all tests: paths, hypothesis profiles, a CPU platform for whatever imports verl, and tiny models.

Tiny models run on one thread: two that wait for each other take several times as long where the cores are shared.
"""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from tests.paths import ROOT

# Subprocesses and Ray workers import the tests' own modules by name, and the recipes' as their scripts see them.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
sys.path.append(str(ROOT / "recipes" / "cpu"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("VERL_PLATFORM", "cpu")

# ci and core: the same examples each time. AWPO_TEST_PROFILE=deep: many more, and others each time.
quiet = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=300, derandomize=True, **quiet)
settings.register_profile(
    "core", max_examples=300, derandomize=True, **quiet
)  # the method's, see tests/awpo_ext/batches.py
settings.register_profile("deep", max_examples=10_000, **quiet)
settings.load_profile(os.environ.get("AWPO_TEST_PROFILE", "ci"))


@pytest.fixture(scope="session")
def one_thread():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory, one_thread):
    return _saved(tmp_path_factory, "bert")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory, one_thread):
    return _saved(tmp_path_factory, "llama")


def _saved(tmp_path_factory, kind):
    pytest.importorskip("transformers")
    from tests.reward_models.scorers.classifier.tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / kind, kind)
