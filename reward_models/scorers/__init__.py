"""Scorers: small models, trained here, that judge the reasoning of a rollout."""
