"""What AWPO carries from step to step, in verl's checkpoints: `global_step_<n>/awpo.json`. JSON keeps every bit of it."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError

FILE = "awpo.json"

logger = logging.getLogger(__name__)


def save_state(config: Any, step: int, state: ReliabilityState, guard: Mapping[str, Any] | None = None) -> None:
    """Write the state of `step`, and the guard's, beside what verl saves, before verl names the checkpoint as its latest."""
    folder = Path(config.trainer.default_local_dir) / f"global_step_{step}"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{FILE}.part"
    part.write_text(json.dumps({"reliability": state.as_dict(), "guard": guard}))
    os.replace(part, folder / FILE)


def load_state(config: Any, step: int, awpo: AwpoConfig) -> ReliabilityState:
    """The state of the checkpoint that verl has resumed from at `step`; a fresh one at step 0.

    A checkpoint without the file, as other estimators write them, gives a fresh state; a warning says so where the gate
    reads it.

    Raises:
        AwpoSetupError: a file that is damaged.
    """
    if not step:
        return ReliabilityState()
    file = _file(config, step)
    if not file.is_file():
        if awpo.gate == "reliability":
            logger.warning(
                "awpo-ext: %s is missing, so gate=reliability starts without evidence: the judge has no say at first",
                file,
            )
        return ReliabilityState()
    try:
        return ReliabilityState.from_dict(json.loads(file.read_text())["reliability"])
    except (ValueError, KeyError, TypeError) as error:
        raise AwpoSetupError(
            f"{file} is damaged ({error}); resume from an earlier checkpoint, or remove the file to start without evidence"
        ) from error


def load_guard(config: Any, step: int, restore: Callable[[Mapping[str, Any]], None]) -> None:
    """Give the guard what the checkpoint has of it. Without any, as from an earlier version, it begins anew.

    Raises:
        AwpoSetupError: a file that is damaged.
    """
    file = _file(config, step)
    if not step or not file.is_file():
        return
    try:
        saved = json.loads(file.read_text()).get("guard")
        if saved is not None:
            restore(saved)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AwpoSetupError(
            f"{file} is damaged ({error!r}); resume from an earlier checkpoint, or remove its key 'guard' to watch anew"
        ) from error


def _file(config: Any, step: int) -> Path:
    settings = config.trainer
    resumed = settings.resume_from_path if settings.resume_mode == "resume_path" else None
    return Path(resumed or Path(settings.default_local_dir) / f"global_step_{step}") / FILE
