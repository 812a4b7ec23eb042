"""Thoughts compared with each other: the prompts, the verdicts and the ranks. Who asks, and when, is elsewhere."""

from reward_models.judges.ranking.prompt import LISTWISE, PAIRWISE, Entry, Task, read_rollout
from reward_models.judges.ranking.ranker import ListAsker, PairAsker, Ranker

__all__ = ["LISTWISE", "PAIRWISE", "Entry", "ListAsker", "PairAsker", "Ranker", "Task", "read_rollout"]
