"""Shared by all tests: hypothesis profiles, and a CPU platform for whatever imports verl."""

import os
import sys

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
    "core", max_examples=1000, derandomize=True, **quiet
)  # the method's, see tests/awpo_ext/batches.py
settings.register_profile("deep", max_examples=10_000, **quiet)
settings.load_profile(os.environ.get("AWPO_TEST_PROFILE", "ci"))
