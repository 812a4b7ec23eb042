"""The recipes' own Python, importable: `recipes.multiturn...` as their scripts see it, and recipes/cpu/make_model.py."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "cpu")]
