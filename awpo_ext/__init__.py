"""AWPO for verl: the advantage estimator, the clipped loss, and the plugin that brings both into verl.

Importing this package is cheap and needs nothing: the pure parts (config, advantage, clipping, metrics) need torch
and numpy, and verl is imported in `awpo_ext.verl_plugin` only.
"""

__version__ = "0.1.0"
