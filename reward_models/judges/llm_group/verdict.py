"""The verdicts of a comparison: asked for by a JSON schema, read by the rules of `llm/verdict.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reward_models.judges.llm.echo import Echoes
from reward_models.judges.llm.verdict import Echo, bad_verdict, last_verdict
from reward_models.judges.llm_group.prompt import LISTWISE, PAIRWISE, VERDICT_KEYS
from reward_models.types import Unscored

_PREFERENCE = {"A": 1.0, "tie": 0.5, "B": 0.0}


def ranking_format(labels: Sequence[str]) -> dict[str, Any]:
    """`response_format` of a ranking: the reasons first. That no label comes twice is not for a grammar to say."""
    ranking = {
        "type": "array",
        "items": {"type": "string", "enum": list(labels)},
        "minItems": len(labels),
        "maxItems": len(labels),
    }
    return _format(LISTWISE, ranking)


def pair_format() -> dict[str, Any]:
    """`response_format` of a comparison of two: the reasons first."""
    return _format(PAIRWISE, {"type": "string", "enum": list(_PREFERENCE)})


def read_ranking(answer: str, names: Sequence[str], echoes: Echoes) -> np.ndarray | Unscored:
    """(m, m) preferences among the m labelled responses: [i, j] is 1.0 where i is better, 0.5 a tie, 0.0 where j is.

    Responses that hold the verdict which the model repeats rank below the others, of which then nothing is known.
    Unscored(bad_verdict) where the last verdict is not a permutation of the labels, or the model gave none of its own.
    """
    verdict = last_verdict(answer, VERDICT_KEYS[LISTWISE], echoes)
    if isinstance(verdict, Unscored):
        return verdict
    if isinstance(verdict, Echo):
        return _above([int(number in verdict.authors) for number in range(len(names))])
    ranking = verdict["ranking"]
    if not isinstance(ranking, list) or len(ranking) != len(names):
        return bad_verdict(f"the ranking does not have the {len(names)} labels")
    if not all(isinstance(name, str) for name in ranking) or set(ranking) != set(names):
        return bad_verdict("the ranking does not have each label once")
    return _above([ranking.index(name) for name in names])


def read_pair(answer: str, echoes: Echoes) -> float | Unscored:
    """1.0 where A is better, 0.5 for a tie, 0.0 where B is; Unscored(bad_verdict) as in `read_ranking`.

    A response that holds the verdict which the model repeats is the worse one.
    """
    verdict = last_verdict(answer, VERDICT_KEYS[PAIRWISE], echoes)
    if isinstance(verdict, Unscored):
        return verdict
    if isinstance(verdict, Echo):
        return (1.0 - (0 in verdict.authors) + (1 in verdict.authors)) / 2
    better = verdict["better"]
    if not isinstance(better, str) or better not in _PREFERENCE:
        return bad_verdict('the verdict is none of "A", "B" and "tie"')
    return _PREFERENCE[better]


def _above(places: Sequence[int]) -> np.ndarray:
    """Preferences by place, the lowest first; equal places tie."""
    return (np.sign(np.subtract.outer(np.array(places), np.array(places)).T) + 1.0) / 2


def _format(mode: str, verdict: dict[str, Any]) -> dict[str, Any]:
    reasons, key = VERDICT_KEYS[mode]
    schema = {
        "type": "object",
        "properties": {reasons: {"type": "string"}, key: verdict},
        "required": [reasons, key],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
