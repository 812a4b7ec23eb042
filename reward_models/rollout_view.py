"""What the model itself wrote in a rollout: one text, or several where tools and the user spoke in between.

An agent loop that keeps them apart puts them into `extra_info["turns"]`: for each user turn a text, or a list of texts.
`Rollout.response` is then the whole trajectory as one text, others' words included: for a judge to read, not to parse.
"""

from __future__ import annotations

from functools import lru_cache

from reward_models.parsing import ParsedResponse, parse_response
from reward_models.types import Rollout

# Of at most 64 KiB each. A rollout is read by its verifier, its judge and for its columns, nearly at once.
CACHED_TEXTS = 128


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


def read_text(rollout: Rollout, text: str, dialect: str = "auto", thinking: str = "auto") -> ParsedResponse:
    """One of the model's own texts, read with what the row knows: its tools, and `extra_info["thinking"]`.

    The latter is there where data or a loop has put it, and comes before the argument. The same text is read once, and
    the result is shared: nobody may change it.
    """
    return _read(text, dialect, rollout.tools, rollout.extra_info.get("thinking") or thinking)


@lru_cache(maxsize=CACHED_TEXTS)
def _read(text: str, dialect: str, tools: str, thinking: str) -> ParsedResponse:
    return parse_response(text, dialect, tools=tools, thinking=thinking)
