"""The public path of `AwpoTrainerMixin`, for a trainer class of your own."""

from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin

__all__ = ["AwpoTrainerMixin"]
