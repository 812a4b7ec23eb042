"""Every name of verl that the plugin touches, in one list with its parameters: `verl_names.txt`. What verl changes shows here.

A line is `module:name` or, of what can be called, `module:name(parameters)`. The list is complete: what the plugin imports
from verl, and every method of verl's that a class of the plugin overrides, has to be in it.
"""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from tests.paths import ROOT

NAMES = Path(__file__).with_name("verl_names.txt")
LINES = NAMES.read_text().split("\n")[:-1]
# classes of the plugin that extend verl's; the mixin is put before PPOTrainer when verl loads
EXTENDING = (
    "awpo_ext.verl_plugin.rollout.turns:TurnsAgentLoop",
    "awpo_ext.verl_plugin.rollout.group_reward:GroupRewardManager",
    "awpo_ext.verl_plugin.rollout.state_tool:StateTool",
    "awpo_ext.verl_plugin.cpu.gloo_checkpoint:GlooCheckpointEngine",
    "awpo_ext.verl_plugin.cpu.platform:PlatformCPU",
)


def found(place):
    """What stands at `module:name`, as a line of the list."""
    module, name = place.split(":")
    value = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    if inspect.isclass(value) or not callable(value):
        return place
    return f"{place}({', '.join(inspect.signature(value).parameters)})"


@pytest.mark.parametrize("line", LINES)
def test_verl_has_what_the_plugin_touches(line):
    assert found(line.partition("(")[0]) == line


def imported():
    for path in (ROOT / "awpo_ext").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "verl":
                yield from (f"{node.module}:{alias.name}" for alias in node.names)


def overridden():
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin

    pairs = [(AwpoTrainerMixin, [PPOTrainer])]
    for place in EXTENDING:
        module, name = place.split(":")
        cls = getattr(importlib.import_module(module), name)
        pairs.append((cls, [base for base in cls.__mro__ if base.__module__.startswith("verl.")]))
    for cls, bases in pairs:
        for name, value in vars(cls).items():
            base = next((base for base in bases if name in vars(base)), None)
            if base is not None and callable(getattr(value, "__func__", value)) and name != "__module__":
                yield f"{base.__module__}:{base.__name__}.{name}"


def test_the_list_is_complete():
    listed = {line.partition("(")[0] for line in LINES}
    assert sorted({*imported(), *overridden()} - listed) == []


def test_the_parameters_that_the_trainers_check_asks_for_are_those_of_the_list():
    from awpo_ext.verl_plugin.compat import TRAINER_METHODS

    for name, parameters in TRAINER_METHODS.items():
        assert f"verl.trainer.ppo.v1.trainer_base:PPOTrainer.{name}({', '.join(parameters)})" in LINES
