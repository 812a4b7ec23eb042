"""Judges: the reasoning reward of a rollout. Chosen by one key, `judge=<name>`; one file a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reward_models.judges.base import Comparer, Judge, JudgeNotReadyError, score_all
from reward_models.lazy import lazy_exports
from reward_models.registry import build

if TYPE_CHECKING:
    from reward_models.judges.llm.prompt_judge import PromptJudge

KNOWN_JUDGES = {
    "none": "reward_models.judges.none:NoneJudge",
    "embedding": "reward_models.judges.embedding:EmbeddingJudge",
    "llm": "reward_models.judges.llm.judge:LlmJudge",
    "llm_group": "reward_models.judges.llm_group.judge:LlmGroupJudge",
    "classify": "reward_models.judges.classify:ClassifyJudge",
    "scorer": "reward_models.judges.scorer:ScorerJudge",
}

__all__ = ["KNOWN_JUDGES", "Comparer", "Judge", "JudgeNotReadyError", "PromptJudge", "make_judge", "score_all"]


def make_judge(name: str, **options: Any) -> Judge:
    """Build the judge `name` (a key of KNOWN_JUDGES or `package.module:Class`); ValueError where it does not.

    Cheap: options are checked here, packages and files by the judge's `check()`, weights load with the first score.
    """
    return build("judge", name, options, KNOWN_JUDGES, Judge)  # type: ignore[type-abstract]


# Loaded late: it brings a client with it.
__getattr__, __dir__ = lazy_exports(__name__, {"PromptJudge": "llm.prompt_judge"})
