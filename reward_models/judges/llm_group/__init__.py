"""`judge=llm_group`: ranks the rollouts of one prompt against each other. Needs to know which rollouts are siblings."""

from reward_models.judges.llm_group.siblings import GROUP_KEY, Place, read_place

__all__ = ["GROUP_KEY", "Place", "read_place"]
