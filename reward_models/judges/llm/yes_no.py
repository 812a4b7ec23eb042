"""The verdict in one word: Yes or No, and the score is how probable Yes was.

For small models. Reasons that such a model has to write first make it surer and no better, while the odds of its first
word still tell a fitting thought from another one (docs/judge_quality.md). Generative verifiers score likewise
(arXiv 2408.15240, equation 4), there after finetuning for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reward_models.judges.llm.thinking import without_thinking
from reward_models.judges.llm.verdict import MAX_CHARS, Grade, Scale, bad_verdict
from reward_models.llm_client.answer import TokenOdds
from reward_models.types import Unscored

SCALE = Scale(0, 1)  # No, Yes
_WORD = re.compile(r"[\W_]*(yes|no)[\W_]*", re.IGNORECASE)
# After the word: punctuation, and the token that ends a turn, which servers list though the answer has it not.
_END = re.compile(r"[\W_]*(?:<[^<>]{0,64}>\s{0,8})?")


def said(answer: str) -> bool | None:
    """Whether the answer is the word Yes, with a reasoning model's thinking before it or not; None: neither word alone."""
    found = _WORD.fullmatch(without_thinking(answer)) if len(answer) <= MAX_CHARS else None
    return None if found is None else found[1].casefold() == "yes"


def read_yes_no(answer: str, tail: Sequence[TokenOdds]) -> Grade | Unscored:
    """The score 1 or 0 that the word gives, its value P(Yes) / (P(Yes) + P(No)) at the place of that word.

    Args:
        answer: the model's text.
        tail: the last tokens of the answer, see `ChatAnswer`.

    Spellings of a word count together: "Yes", " yes", "YES." Unscored(bad_verdict) where the answer is anything else than
    one of the words, or the word's token or its probabilities are not found.
    """
    yes = said(answer)
    if yes is None:
        return bad_verdict("the answer is not Yes or No alone")
    if not tail:
        return bad_verdict("the server sent no probabilities, which verdict=yes_no needs (logprobs)")
    place = next((i for i in reversed(range(len(tail))) if said(tail[i][0]) is not None), None)
    if (
        place is None
        or said(tail[place][0]) != yes
        or not _END.fullmatch("".join(token for token, _ in tail[place + 1 :]))
    ):
        return bad_verdict("the word's token was not found in the answer")
    odds = {True: 0.0, False: 0.0}
    for token, probability in tail[place][1].items():
        if (word := said(token)) is not None:
            odds[word] += probability
    if not sum(odds.values()) > 0:
        return bad_verdict("neither Yes nor No has a probability")
    value = odds[True] / (odds[True] + odds[False])
    return Grade(int(yes), min(1.0, max(0.0, value)), "Yes" if yes else "No")
