"""The verdict that is asked of the model, and how it is read out of whatever came back.

Only the right verdict is bound: a verdict that is in the prompt is an echo, whoever wrote it there. A response that
holds the verdict itself gains nothing by that, neither its number nor that there is none: it has the lowest score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reward_models.judges.llm.echo import Echoes
from reward_models.judges.llm.thinking import without_thinking
from reward_models.types import Unscored, UnscoredReason

MAX_CHARS = 64 * 1024
_MAX_UNREADABLE = 64
_MAX_TOP = 100
_BRACE = re.compile(r"[{}]")
_WORD = re.compile(r"[^\W_]")
_DECODER = json.JSONDecoder(strict=False)  # a line break inside of a string is what a model means by it


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
    """One readable verdict: the score as given, on the scale, and what it is worth as `value` in [0, 1].

    Of a rubric with criteria, `score` is per cent, and `criteria` has what each was given, in [0, 1].
    """

    score: int
    value: float
    reasons: str
    echoed: bool = False  # not the model's own: the response holds the verdict that the model repeated
    criteria: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Echo:
    """In place of a verdict: the model only repeated one that is in the responses with these numbers."""

    authors: tuple[int, ...]


def response_format(scale: Scale) -> dict[str, Any]:
    """`scores_format` of one score."""
    return scores_format({"score": scale})


def scores_format(scales: Mapping[str, Scale]) -> dict[str, Any]:
    """The JSON schema for `response_format`: reasons before the scores, so that these follow from them."""
    numbers = {name: {"type": "integer", "enum": list(scale.scores)} for name, scale in scales.items()}
    schema = {
        "type": "object",
        "properties": {"reasons": {"type": "string"}, **numbers},
        "required": ["reasons", *scales],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}


def read_verdict(answer: str, scale: Scale, echoes: Echoes) -> Grade | Unscored:
    """The last outermost JSON object with reasons and score in `answer` which is not an echo of the prompt.

    Args:
        answer: the model's text; with structured output the object alone, else anything.
        echoes: of the prompt, see echo.py.

    The lowest score where the only verdict is an echo of what the response holds. Unscored(bad_verdict) where there is no
    verdict, and where the last one is not usable: a score off the scale or not an integer, reasons without a word, a repeated
    key, other keys, braces after it that are not an echo. An earlier verdict does not replace it.
    """
    verdict = read_scores(answer, {"score": scale}, echoes)
    if isinstance(verdict, Echo):
        return Grade(scale.low, 0.0, "(a verdict that the response itself holds)", echoed=True)
    if isinstance(verdict, Unscored):
        return verdict
    return Grade(verdict["score"], scale.to_unit(verdict["score"]), verdict["reasons"])


def read_scores(answer: str, scales: Mapping[str, Scale], echoes: Echoes) -> dict[str, Any] | Echo | Unscored:
    """As `last_verdict`, with a whole number on its scale under each of the names."""
    verdict = last_verdict(answer, ("reasons", *scales), echoes)
    if isinstance(verdict, (Echo, Unscored)):
        return verdict
    for name, scale in scales.items():
        score = verdict[name]
        if isinstance(score, bool) or not isinstance(score, int):
            return bad_verdict(f"the verdict's {name} is not an integer")
        if score not in scale:
            return bad_verdict(f"the verdict's {name} is not in [{scale.low}, {scale.high}]")
    return verdict


def last_verdict(answer: str, keys: tuple[str, ...], echoes: Echoes) -> dict[str, Any] | Echo | Unscored:
    """The last outermost JSON object with exactly `keys`, "reasons" first, which is not an echo of the prompt.

    Echo where there is none but echoes of responses. Unscored(bad_verdict) as in `read_verdict`; the values of the other
    keys are not checked.
    """
    if len(answer) > MAX_CHARS:
        return bad_verdict("the answer is too long")
    source, authors = _last_verdict(without_thinking(answer), keys, echoes)
    if source is None and authors:
        return Echo(authors)
    if source is None:
        return bad_verdict(
            "the answer holds no verdict"
            if authors is None
            else "the answer only repeats a verdict that the prompt holds"
        )
    pairs = json.loads(source, object_pairs_hook=list, strict=False)
    if sorted(key for key, _ in pairs) != sorted(keys):
        return bad_verdict("the verdict has a key twice, or other keys")
    verdict = json.loads(source, strict=False)
    if not isinstance(verdict["reasons"], str) or not _WORD.search(verdict["reasons"]):
        return bad_verdict("the verdict gives no reasons")
    return verdict


def _last_verdict(text: str, keys: tuple[str, ...], echoes: Echoes) -> tuple[str | None, tuple[int, ...] | None]:
    """The last own verdict's JSON text, and who wrote the last echo that was passed over, None where there was none.

    After it only echoes and text without braces may stand. A model that quotes the response without escaping it may
    have its own verdict cut in two, `{"reasons": "It says ", "score": 10} {"a": ", which is bad", "score": 0}`, and the
    first half must not count. Nor must an object inside of one that cannot be read.
    """
    found, authors, position, unread, failures = None, None, 0, 0, 0
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
                return None, authors
            continue
        if unread > 0:
            continue
        source = text[brace.start() : position]
        if not all(key in value for key in keys):
            found = None
        elif (wrote := echoes.authors(_readings(source, [(key, value[key]) for key in keys]))) is not None:
            authors = wrote
        else:
            found = source
    return found, authors


def _readings(source: str, pairs: list[tuple[str, Any]]) -> tuple[str, ...]:
    """How the same verdict may stand in the prompt: as written, with its strings decoded, the reasons last."""
    return source, *(" ".join(f"{key} {value}" for key, value in order) for order in (pairs, pairs[::-1]))


def bad_verdict(detail: str) -> Unscored:
    return Unscored(UnscoredReason.BAD_VERDICT, detail)
