"""AWPO for verl: the advantage estimator, the clipped loss, and the plugin that brings both into verl.

The modules of this folder are the method: `config`, `groups`, `signals`, `advantage`, `clipping`, `metrics` need torch and
numpy. Rooms: `verl_plugin` (the only place that imports verl), `cli` (the command `awpo`), `data` (rows for training),
`evaluate` (policies), `ablation`, `plan` (memory), `reports`. Importing this package costs nothing: what it exports loads
when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from awpo_ext.advantage import awpo_advantages
    from awpo_ext.clipping import awpo_policy_loss, clip_radius
    from awpo_ext.config import AwpoConfig

__version__ = "0.1.0"
__all__ = ["AwpoConfig", "__version__", "awpo_advantages", "awpo_policy_loss", "clip_radius"]

_HOMES = {
    "AwpoConfig": "config",
    "awpo_advantages": "advantage",
    "awpo_policy_loss": "clipping",
    "clip_radius": "clipping",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
