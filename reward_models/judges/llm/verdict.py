"""The verdict that is asked of the model, and how it is read out of whatever came back.

The right verdict is bound or none: a verdict that stands in the prompt is an echo, whoever wrote it there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from reward_models.judges.llm.echo import is_echo
from reward_models.types import Unscored, UnscoredReason

_MAX_CHARS = 64 * 1024
_MAX_UNREADABLE = 64
_MAX_TOP = 100
_KEYS = ("reasons", "score")
_BRACE = re.compile(r"[{}]")
_WORD = re.compile(r"[^\W_]")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Scale:
    """The whole numbers from `low` to `high`, both offered, high being best; ValueError unless 0 <= low < high <= 100."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= _MAX_TOP:
            raise ValueError(f"a scale from {self.low} to {self.high} is not within 0 to {_MAX_TOP}, lowest first")

    def __contains__(self, score: int) -> bool:
        return self.low <= score <= self.high

    @property
    def scores(self) -> range:
        return range(self.low, self.high + 1)

    def to_unit(self, score: int) -> float:
        """The score in [0, 1]: 0 at `low`, 1 at `high`."""
        return (score - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Grade:
    """One readable verdict: the score as given, on the scale, and what it is worth as `value` in [0, 1]."""

    score: int
    value: float
    reasons: str


def response_format(scale: Scale) -> dict[str, Any]:
    """The JSON schema for `response_format`: reasons before the score, so that the score follows from them."""
    schema = {
        "type": "object",
        "properties": {
            "reasons": {"type": "string"},
            "score": {"type": "integer", "enum": list(scale.scores)},
        },
        "required": list(_KEYS),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}


def read_verdict(answer: str, scale: Scale, echo_keys: tuple[str, ...]) -> Grade | Unscored:
    """The last outermost JSON object with reasons and score in `answer` which is not an echo of the prompt.

    Args:
        answer: the model's text; with structured output the object alone, else anything.
        echo_keys: of the prompt, see echo.py.

    Unscored(bad_verdict) where there is none, and where that last one is not usable: a score off the scale or no
    integer, reasons without a word, a key that is there twice, other keys, braces after it that are no echo. An earlier
    one then does not stand in for it.
    """
    verdict = last_verdict(answer, _KEYS, echo_keys)
    if isinstance(verdict, Unscored):
        return verdict
    reasons, score = verdict["reasons"], verdict["score"]
    if isinstance(score, bool) or not isinstance(score, int):
        return bad_verdict("the verdict's score is no integer")
    if score not in scale:
        return bad_verdict(f"the verdict's score is not in [{scale.low}, {scale.high}]")
    return Grade(score, scale.to_unit(score), reasons)


def last_verdict(answer: str, keys: tuple[str, ...], echo_keys: tuple[str, ...]) -> dict[str, Any] | Unscored:
    """The last outermost JSON object with exactly `keys`, "reasons" first, which is not an echo of the prompt.

    Unscored(bad_verdict) as in `read_verdict`; the values of the other keys are not checked.
    """
    if len(answer) > _MAX_CHARS:
        return bad_verdict("the answer is too long")
    source, echoed = _last_verdict(without_thinking(answer), keys, echo_keys)
    if source is None:
        return bad_verdict(
            "the answer only repeats a verdict that the prompt holds" if echoed else "the answer holds no verdict"
        )
    pairs = json.loads(source, object_pairs_hook=list)
    if sorted(key for key, _ in pairs) != sorted(keys):
        return bad_verdict("the verdict has a key twice, or other keys")
    verdict = json.loads(source)
    if not isinstance(verdict["reasons"], str) or not _WORD.search(verdict["reasons"]):
        return bad_verdict("the verdict gives no reasons")
    return verdict


def without_thinking(answer: str) -> str:
    """What follows a reasoning model's thinking, where the server left that in the answer."""
    return answer.partition("</think>")[2] if answer.lstrip().startswith("<think>") else answer


def _last_verdict(text: str, keys: tuple[str, ...], echo_keys: tuple[str, ...]) -> tuple[str | None, bool]:
    """The last own verdict's JSON text, and whether echoes were passed over.

    After it only echoes and text without braces may stand. A model that quotes the response without escaping it may
    have its own verdict cut in two, `{"reasons": "It says ", "score": 10} {"a": ", which is bad", "score": 0}`, and the
    first half must not count. Nor must an object inside of one that cannot be read.
    """
    found, echoed, position, unread, failures = None, False, 0, 0, 0
    while brace := _BRACE.search(text, position):
        position = brace.end()
        if brace[0] == "}":
            found, unread = None, max(unread - 1, 0)
            continue
        try:
            value, position = _DECODER.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            found, unread, failures = None, unread + 1, failures + 1
            if failures > _MAX_UNREADABLE:  # each may have cost a walk to the text's end
                return None, echoed
            continue
        if unread > 0:
            continue
        source = text[brace.start() : position]
        if not all(key in value for key in keys):
            found = None
        elif is_echo(_readings(source, [(key, value[key]) for key in keys]), echo_keys):
            echoed = True
        else:
            found = source
    return found, echoed


def _readings(source: str, pairs: list[tuple[str, Any]]) -> tuple[str, ...]:
    """How the same verdict may stand in the prompt: as written, with its strings decoded, the reasons last."""
    return source, *(" ".join(f"{key} {value}" for key, value in order) for order in (pairs, pairs[::-1]))


def bad_verdict(detail: str) -> Unscored:
    return Unscored(UnscoredReason.BAD_VERDICT, detail)
