"""The run's reward function, loaded once a process, and how its errors name where it comes from."""

from collections.abc import Callable
from contextlib import contextmanager
from functools import cache

from omegaconf import DictConfig, OmegaConf

from awpo_ext.verl_plugin.compat import AwpoSetupError


def reward_function(config: DictConfig) -> tuple[Callable | None, dict]:
    """The run's own reward function with its kwargs; None where it has none."""
    settings = config.reward.get("custom_reward_function") or {}
    if not settings.get("path"):
        return None, {}
    kwargs = settings.get("reward_kwargs")
    kwargs = OmegaConf.to_container(kwargs, resolve=True) if OmegaConf.is_config(kwargs) else dict(kwargs or {})
    return _load(settings.path, settings.get("name")), kwargs


@cache
def _load(path: str, name: str) -> Callable:
    """Once a process: verl runs a file anew at each load, and range and preflight both need the function."""
    from verl.utils.import_utils import load_extern_object

    return load_extern_object(module_path=path, object_name=name)


@contextmanager
def named_reward_errors(config: DictConfig):
    """Any error inside becomes an AwpoSetupError that says whose reward function raised it."""
    settings = config.reward.custom_reward_function
    try:
        yield
    except Exception as error:
        where = f"reward.custom_reward_function (path={settings.path}, name={settings.get('name')})"
        raise AwpoSetupError(f"{where}: {error}") from error
