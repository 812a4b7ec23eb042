"""What the model itself wrote in a rollout: one text, or several where tools and the user spoke in between.

An agent loop that keeps them apart puts them into `extra_info["turns"]`: for each user turn a text, or a list of texts.
`Rollout.response` is then the whole trajectory as one text, others' words included: for a judge to read, not to parse.
"""

from __future__ import annotations

from reward_models.types import Rollout


def turns_of(rollout: Rollout) -> list[list[str]] | None:
    """The model's texts by user turn, None where the rollout has one text. ValueError where `turns` has another form."""
    turns = rollout.extra_info.get("turns")
    if turns is None:
        return None
    turns = [[turn] if isinstance(turn, str) else list(turn) for turn in turns]
    if not all(isinstance(step, str) for turn in turns for step in turn):
        raise ValueError("extra_info['turns'] must be a list with, for each turn, a text or a list of texts")
    return turns


def own_texts(rollout: Rollout) -> list[str]:
    """Everything that the model wrote, in order; at least one text, which may be empty."""
    turns = turns_of(rollout)
    texts = [rollout.response] if turns is None else [step for turn in turns for step in turn]
    return texts or [""]
