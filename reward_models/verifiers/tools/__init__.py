"""Verifiers that run tools in the sandbox."""
