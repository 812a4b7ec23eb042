"""Puts AWPO into verl's registry of trainers: each trainer is replaced by a subclass of itself under its own name.

On a verl whose trainers have another shape the subclass does one thing: it refuses runs with AWPO before a model loads.
"""

import logging
from typing import Any

from awpo_ext.verl_plugin import compat
from awpo_ext.verl_plugin.compat import AwpoSetupError, check_trainer
from awpo_ext.verl_plugin.driver import estimator

logger = logging.getLogger(__name__)


def extend(trainer_base: Any) -> None:
    """Replace the trainers in the registry of verl's `trainer_base`; called when verl imports it."""
    mixin = _mixin(trainer_base)
    for name, trainer in list(trainer_base.TRAINER_REGISTRY.items()):
        if not issubclass(trainer, mixin):
            extended = type(f"Awpo{trainer.__name__}", (mixin, trainer), {})
            trainer_base.TRAINER_REGISTRY[name] = extended


def _mixin(trainer_base: Any) -> type:
    try:
        check_trainer(trainer_base.PPOTrainer)
        from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin
    except Exception as error:
        compat.unavailable["trainer"] = str(error)
        logger.error("awpo-ext: AWPO is not available in this process: %s", error)
        return RefusingMixin
    return AwpoTrainerMixin


class RefusingMixin:
    """For a verl that awpo-ext does not know: runs without AWPO pass through, one with it is refused."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        if config.algorithm.adv_estimator == estimator.NAME:
            raise AwpoSetupError(compat.unavailable["trainer"])
        super().__init__(config, *args, **kwargs)
