"""Ablations: presets x judges x seeds on one recipe, and the table made of them."""
