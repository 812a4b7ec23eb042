"""The score a model would give on average, from its probabilities at the place of the score that it gave.

A small model gives nearly everything the same number, but not with the same certainty (G-Eval, arXiv 2303.16634,
section 2.3). Which verdict binds is verdict.py's decision and stays so: only its number is made finer here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from reward_models.judges.client.answer import TokenOdds
from reward_models.judges.verdict import Grade, Scale
from reward_models.types import Unscored, UnscoredReason

MAX_TOP = 9  # a score of two digits may be one token or two, as the model's tokenizer likes
TOP_LOGPROBS = 10  # each adds some 90 bytes to the answer, at every token of it
MAX_TOKENS = 1024  # what then fits into the largest body that the client reads
_DIGIT = re.compile(r"[0-9]")
_END = re.compile(r"\s*\}\s*")


def expected_grade(grade: Grade, tail: Sequence[TokenOdds], scale: Scale) -> Grade | Unscored:
    """`grade` with its value replaced by the mean over the scale, weighted with the probabilities of its numbers.

    Args:
        grade: the verdict that was bound; its `score` stays as it was given.
        tail: the last tokens of the answer, see `ChatAnswer`.
        scale: with a top of at most MAX_TOP.

    The probabilities are taken where the score stands: at the last token with a digit, which must be the grade's score
    and nothing else, with only the end of the object after it. Numbers off the scale do not count. Unscored(bad_verdict)
    where there is no such token, or no probability.
    """
    place = next((i for i in reversed(range(len(tail))) if _DIGIT.search(tail[i][0])), None)
    if place is None:
        return _bad("the server sent no probabilities of the score: is logprobs on? set expected=false if it has none")
    text, odds = tail[place]
    if text.strip() != str(grade.score) or not _END.fullmatch("".join(token for token, _ in tail[place + 1 :])):
        return _bad("the score's token was not found in the answer")
    weights = [sum(odds[token] for token in odds if token.strip() == str(score)) for score in scale.scores]
    if not sum(weights) > 0:
        return _bad("no number of the scale has a probability")
    mean = sum(w * scale.to_unit(score) for w, score in zip(weights, scale.scores, strict=True)) / sum(weights)
    return replace(grade, value=min(1.0, max(0.0, mean)))


def _bad(detail: str) -> Unscored:
    return Unscored(UnscoredReason.BAD_VERDICT, detail)
