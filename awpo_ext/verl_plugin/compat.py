"""The version of verl this plugin was written for, and the shape of everything in it that it reaches beyond verl's hooks.

Whatever verl changes shows here first, as one message at start-up, not as a wrong number in training.
"""

import inspect
from importlib.metadata import version
from typing import Any

from packaging.specifiers import SpecifierSet

from reward_models.errors import UserError

SUPPORTED = SpecifierSet(">=0.9.1,<0.11", prereleases=True)  # and the shapes below have to fit
TESTED = "0.9.1"

# What could not be set up in this process, and why: a run with AWPO is refused with it, others go on.
unavailable: dict[str, str] = {}

# method of verl's PPOTrainer that AwpoTrainerMixin overrides -> its parameters
TRAINER_METHODS = {
    "__init__": ("self", "config"),
    "_setup": ("self",),
    "fit": ("self", "agent_loop_manager"),
    "_compute_advantage": ("self", "batch", "metrics"),
    "_update_actor": ("self", "batch", "metrics"),
    "_compute_metrics": ("self", "batch", "metrics", "timing_raw", "global_steps", "epoch"),
    "_val_metrics_update": (
        "self",
        "data_sources",
        "sample_uids",
        "reward_extra_infos_dict",
        "sample_turns",
        "expected_acc_counts",
    ),
    "_validate": ("self",),
    "_save_checkpoint": ("self",),
    "_load_checkpoint": ("self",),
    "on_train_begin": ("self",),
    "on_step_begin": ("self",),
    "on_validate_begin": ("self",),
}
PPO_LOSS_PARAMETERS = ("config", "model_output", "data", "dp_group")


class AwpoSetupError(UserError, RuntimeError):
    """AWPO cannot work in this run as it is set up; the message says what to set or install."""


def check_version() -> str:
    """The installed verl's version. Raises AwpoSetupError where the plugin was not written for it."""
    installed = version("verl")
    if installed not in SUPPORTED:
        raise AwpoSetupError(
            f"awpo-ext supports verl{SUPPORTED}, but verl {installed} is installed; install a supported verl "
            f"(pip install 'verl=={TESTED}') or an awpo-ext made for yours"
        )
    return installed


def check_parameters(function: Any, expected: tuple[str, ...], where: str) -> None:
    """Raise AwpoSetupError unless `function` still takes exactly the parameters this plugin was written against."""
    found = tuple(inspect.signature(function).parameters)
    if found != expected:
        raise AwpoSetupError(
            f"{where} takes {found} in verl {version('verl')}, but awpo-ext was written for {expected}; "
            f"install a verl in {SUPPORTED} that awpo-ext was tested with ({TESTED})"
        )


def check_trainer(trainer_cls: type) -> None:
    """Version and shape of the trainer that `AwpoTrainerMixin` extends."""
    check_version()
    for name, expected in TRAINER_METHODS.items():
        method = getattr(trainer_cls, name, None)
        if method is None:
            raise AwpoSetupError(
                f"verl's {trainer_cls.__name__}.{name} is gone in verl {version('verl')}; install verl {TESTED}"
            )
        check_parameters(method, expected, f"verl's {trainer_cls.__name__}.{name}")


def refuse_unavailable(*parts: str) -> None:
    """Raise AwpoSetupError where one of `parts` could not be set up in this process; without parts, where any."""
    for part, why in unavailable.items():
        if not parts or part in parts:
            raise AwpoSetupError(f"AWPO's {part} is not available in this process: {why}")
