"""The verdicts of a comparison: asked for by a JSON schema, read by the rules of `judges/verdict.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reward_models.judges.llm.verdict import last_verdict
from reward_models.judges.llm_group.prompt import LISTWISE, PAIRWISE, VERDICT_KEYS
from reward_models.types import Unscored, UnscoredReason

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


def read_ranking(answer: str, labels: Sequence[str], echo_keys: tuple[str, ...]) -> list[int] | Unscored:
    """The places in `labels`, the best first: a permutation of range(len(labels)).

    Unscored(bad_verdict) where the last verdict is no permutation of the labels, or there is none of the model's own.
    """
    verdict = last_verdict(answer, VERDICT_KEYS[LISTWISE], echo_keys)
    if isinstance(verdict, Unscored):
        return verdict
    ranking = verdict["ranking"]
    place = {label: number for number, label in enumerate(labels)}
    if not isinstance(ranking, list) or len(ranking) != len(labels):
        return _bad(f"the ranking does not have the {len(labels)} labels")
    if not all(isinstance(label, str) and label in place for label in ranking) or len(set(ranking)) != len(labels):
        return _bad("the ranking does not have each label once")
    return [place[label] for label in ranking]


def read_pair(answer: str, echo_keys: tuple[str, ...]) -> float | Unscored:
    """1.0 where A is better, 0.5 for a tie, 0.0 where B is; Unscored(bad_verdict) as in `read_ranking`."""
    verdict = last_verdict(answer, VERDICT_KEYS[PAIRWISE], echo_keys)
    if isinstance(verdict, Unscored):
        return verdict
    better = verdict["better"]
    if not isinstance(better, str) or better not in _PREFERENCE:
        return _bad('the verdict is none of "A", "B" and "tie"')
    return _PREFERENCE[better]


def _format(mode: str, verdict: dict[str, Any]) -> dict[str, Any]:
    reasons, key = VERDICT_KEYS[mode]
    schema = {
        "type": "object",
        "properties": {reasons: {"type": "string"}, key: verdict},
        "required": [reasons, key],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}


def _bad(detail: str) -> Unscored:
    return Unscored(UnscoredReason.BAD_VERDICT, detail)
