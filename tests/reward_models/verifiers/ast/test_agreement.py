"""Agreement with BFCL's own AST checker on a sample of its rows; needs the packages that the benchmark names."""

import importlib.util
import sys

import pytest

from tests.paths import BENCHMARKS

NEEDED = ("bfcl_eval", "tree_sitter", "tree_sitter_java", "tree_sitter_javascript", "filelock", "tenacity")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed, see benchmarks/bfcl_agreement.py: {MISSING}")


@pytest.fixture
def agreement(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # The benchmark puts a stub in place of a module of bfcl_eval: nothing of it may stay.
    loaded = set(sys.modules)
    import bfcl_agreement

    yield bfcl_agreement
    for name in set(sys.modules) - loaded:
        if name.startswith(("bfcl_", "tree_sitter")):
            del sys.modules[name]


def test_python_rows_agree_but_for_the_assignment(agreement):
    categories = [category for category in agreement.CATEGORIES if agreement.language_of(category) == "python"]
    for level in agreement.compare(categories, limit=8)[:2]:
        assert sum(level.categories.checks.values()) > 1000
        assert level.examples == {}


def test_java_and_javascript_rows_agree_but_for_the_listed_differences(agreement):
    on_calls, _, _ = agreement.compare(["simple_java", "simple_javascript"], limit=40)
    checks, different = (sum(c.values()) for c in (on_calls.categories.checks, on_calls.categories.different))
    assert checks > 1000
    assert different / checks < 0.02
    assert on_calls.changes.different["perfect"] == 0
