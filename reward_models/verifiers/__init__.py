"""Verifiers: the outcome reward of a rollout by rule. Chosen by one key, `verifier=<name>`."""

from __future__ import annotations

from typing import Any

from reward_models.registry import build
from reward_models.verifiers.base import Outcome, Verifier

KNOWN_VERIFIERS = {
    "toolrl": "reward_models.verifiers.toolrl:ToolRLVerifier",
    "strict": "reward_models.verifiers.strict:StrictVerifier",
    "ast": "reward_models.verifiers.ast.verifier:AstVerifier",
    "format": "reward_models.verifiers.format:FormatVerifier",
    "irrelevance": "reward_models.verifiers.irrelevance:IrrelevanceVerifier",
    "exec": "reward_models.verifiers.tools.exec:ExecVerifier",
    "state": "reward_models.verifiers.tools.state:StateVerifier",
    "composite": "reward_models.verifiers.composite:CompositeVerifier",
}

__all__ = ["KNOWN_VERIFIERS", "Outcome", "Verifier", "make_verifier"]


def make_verifier(name: str, **options: Any) -> Verifier:
    """Build the verifier `name` (a key of KNOWN_VERIFIERS or `package.module:Class`); ValueError where it does not."""
    return build("verifier", name, options, KNOWN_VERIFIERS, Verifier)
