"""Where things are, for tests in any folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
RECIPES = ROOT / "recipes"
E2E = ROOT / "tests" / "e2e"
SHARED = ROOT.parent / "shared" / "data"  # real tool-use data; tests that use it skip where it is absent
