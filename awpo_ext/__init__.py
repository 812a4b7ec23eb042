"""AWPO for verl: the advantage estimator, the clipped loss, and the plugin that brings both into verl.

The modules of this folder are the method: `config`, `groups`, `signals`, `advantage`, `clipping`, `metrics` need torch and
numpy. Rooms: `verl_plugin` (the only place that imports verl), `cli` (the command `awpo`), `data` (rows for training),
`evaluate` (policies), `ablation`, `plan` (memory), `reports`. Importing this package costs nothing: what it exports loads
when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reward_models.lazy import lazy_exports

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
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
