"""The house rules, held by a test: who may import whom, where verl and the terminal are, and how long a file may be."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT

PACKAGES = ("awpo_ext", "reward_models")
LIMIT = 300  # lines a file

# reward_models, lowest first; a room imports from its own layer and from those below.
LAYERS = (
    (
        "errors",
        "lazy",
        "types",
        "options",
        "statistics",
        "ray_job",
        "per_loop",
        "registry",
        "private_files",
        "sandbox",
        "parsing",
    ),
    ("rollout_view", "verl_row", "labelled", "encoders", "llm_client"),
    ("verifiers", "scorers"),
    ("judges",),
    ("judge_eval", "reward", "reward_columns", "details"),
)
FRONT_ROOM = {
    "__init__",
    "advantage",
    "clipping",
    "components",
    "config",
    "gating",
    "groups",
    "inputs",
    "metrics",
    "reliability",
    "signals",
    "trl_mixin",
}


@cache
def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


@cache
def imports() -> list[tuple[str, str]]:
    """(module, what it imports), modules of ours by their full name."""
    found = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(name, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                found += [(name, target if target in modules() else node.module) for target in full]
    return found


def room(module: str) -> str:
    return [*module.split("."), "__init__"][1]


def test_no_file_is_too_long():
    files = [path for folder in (*PACKAGES, "tests", "benchmarks", "recipes") for path in (ROOT / folder).rglob("*.py")]
    long = {str(path.relative_to(ROOT)): n for path in files if (n := len(path.read_text().splitlines())) > LIMIT}
    assert long == {}


def test_reward_models_knows_nothing_of_awpo_ext():
    assert [(m, t) for m, t in imports() if m.startswith("reward_models") and t.startswith("awpo_ext")] == []


def test_layers_of_reward_models():
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    inside = [(m, t) for m, t in imports() if m.startswith("reward_models.") and t.startswith("reward_models.")]
    unknown = {room(name) for pair in inside for name in pair} - set(layer)
    assert unknown == set(), "a new room: give it its layer in this file and in docs/architecture.md"
    assert [(m, t) for m, t in inside if room(m) != room(t) and layer[room(m)] < layer[room(t)]] == []


def test_the_method_stands_alone():
    rooms = {path.stem for path in (ROOT / "awpo_ext").glob("*.py")} - {"__main__"}
    assert rooms <= FRONT_ROOM, "the front room holds the method alone"
    front = {f"awpo_ext.{name}" for name in rooms} | {
        "awpo_ext",
        "reward_models.errors",
        "reward_models.lazy",
        "reward_models.options",
        "reward_models.types",
    }
    inside = [(m, t) for m, t in imports() if modules()[m].parent == ROOT / "awpo_ext" and room(m) != "__main__"]
    assert [(m, t) for m, t in inside if t.split(".")[0] in PACKAGES and t not in front] == []


@pytest.mark.parametrize(
    ("packages", "home"),
    [(("verl", "vllm"), "awpo_ext.verl_plugin"), (("typer", "rich"), "awpo_ext.cli")],
)
def test_one_home_for(packages, home):
    assert [(m, t) for m, t in imports() if t.split(".")[0] in packages and not m.startswith(home)] == []


def test_no_circles():
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for module, target in imports():
        if target in graph and target != module:
            graph[module].add(target)
    while free := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in free:
            del graph[name]
    tied = {name: targets & graph.keys() for name, targets in graph.items()}
    # what only leads into a circle is none
    while outer := [name for name in tied if not any(name in targets for targets in tied.values())]:
        for name in outer:
            del tied[name]
    assert tied == {}
