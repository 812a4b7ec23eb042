"""The score a model would give on average, from its probabilities at the place of the score that it gave.

A small model gives nearly everything the same number, but not with the same certainty (G-Eval, arXiv 2303.16634,
section 2.3). Which verdict binds is verdict.py's decision and stays so: only its number is made finer here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from reward_models.judges.llm.verdict import Grade, Scale, bad_verdict
from reward_models.llm_client.answer import TokenOdds
from reward_models.types import Unscored

MAX_TOP = 10  # of larger scales one cannot tell what number a first digit begins
TOP_LOGPROBS = 10  # each adds some 90 bytes to the answer, at every token of it
MAX_TOKENS = 1024  # what then fits into the largest body that the client reads
# After the score: the object's end, and the token that ends a turn, which servers list though the answer has it not.
_END = re.compile(r"""\s*\}\s*(?:<[^<>{}"]*>)?""")


def expected_grade(grade: Grade, tail: Sequence[TokenOdds], scale: Scale) -> Grade | Unscored:
    """`grade` with its value replaced by the mean over the scale, weighted with the probabilities of its numbers.

    Args:
        grade: the verdict that was bound; its `score` stays as it was given.
        tail: the last tokens of the answer, see `ChatAnswer`.
        scale: with a top of at most MAX_TOP.

    The probabilities are taken where the score begins: its tokens must be the grade's score and nothing else, with only
    the end of the object after them. Numbers off the scale do not count. Where "10" is two tokens, its first one may
    stand for 1 as well: it counts as the one that is nearer to the given score. Unscored(bad_verdict) where the score's
    tokens are not found, or no number has a probability.
    """
    if not tail:
        return bad_verdict("the server sent no probabilities: set expected=false if it knows no logprobs")
    end = next((i + 1 for i in reversed(range(len(tail))) if tail[i][0].strip().isdecimal()), 0)
    start = end
    while start > 0 and tail[start - 1][0].strip().isdecimal():
        start -= 1
    given = "".join(token for token, _ in tail[start:end]).strip()
    if given != str(grade.score) or not _END.fullmatch("".join(token for token, _ in tail[end:])):
        return bad_verdict("the score's tokens were not found in the answer")
    odds: dict[str, float] = {}
    for token, probability in tail[start][1].items():
        odds[token.strip()] = odds.get(token.strip(), 0.0) + probability
    if scale.high == 10 and "10" not in odds and 10 - grade.score < abs(grade.score - 1):
        odds["10"] = odds.pop("1", 0.0)
    weights = [odds.get(str(score), 0.0) for score in scale.scores]
    if not sum(weights) > 0:
        return bad_verdict("no number of the scale has a probability")
    mean = sum(w * scale.to_unit(score) for w, score in zip(weights, scale.scores, strict=True)) / sum(weights)
    return replace(grade, value=min(1.0, max(0.0, mean)))
