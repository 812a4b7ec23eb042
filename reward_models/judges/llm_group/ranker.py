"""Ask a model to compare thoughts, in both orders, and score them by their ranks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from reward_models.judges.llm.chat_judge import not_finished
from reward_models.judges.llm.rubric import Prompt
from reward_models.judges.llm.shown import ShownTask
from reward_models.judges.llm_group.preferences import Preferences, flips, pairs_to_compare, rank_scores, strengths
from reward_models.judges.llm_group.prompt import (
    LISTWISE,
    PAIRWISE,
    Entry,
    labels,
    load_comparison,
    read_entry,
)
from reward_models.judges.llm_group.verdict import pair_format, ranking_format, read_pair, read_ranking
from reward_models.llm_client import ChatAnswer, ChatRequest
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

Ask = Callable[[ChatRequest], Awaitable[ChatAnswer | Unscored]]


class PairAsker:
    """Compares two responses, in the order given. `ask` reaches the model and raises nothing."""

    def __init__(
        self, ask: Ask, reference: bool, max_tokens: int, *, structured: bool = True, rubric: str | None = None
    ) -> None:
        self.comparison = load_comparison(PAIRWISE, rubric, reference=reference)
        self._ask, self._reference, self._max_tokens = ask, reference, max_tokens
        self._format = pair_format() if structured else None

    async def compare(self, first: Rollout, second: Rollout) -> Verdict:
        """1.0 where the reasoning of `first`, shown first, is better, 0.5 for a tie, 0.0 where the second's is.

        Without a request: a thought beats none, and equal texts tie.
        """
        read, other_read = (read_entry(rollout, reference=self._reference) for rollout in (first, second))
        if isinstance(read, Unscored):
            return read
        if isinstance(other_read, Unscored):
            return other_read
        (task, one), (_, other) = read, other_read
        if not (one.thinks or other.thinks) or one == other:
            return Scored(0.5)
        if not one.thinks or not other.thinks:
            return Scored(1.0 if one.thinks else 0.0)
        preference = await self.ask_pair(task, one, other)
        return preference if isinstance(preference, Unscored) else Scored(preference)

    async def ask_pair(self, task: ShownTask, first: Entry, second: Entry) -> float | Unscored:
        """As `compare`, of two entries that both have a thought."""
        prompt = self.comparison.render(task, [first, second])
        text = await _answer(self._ask, prompt, self._max_tokens, self._format)
        return text if isinstance(text, Unscored) else read_pair(text, prompt.echoes)


class ListAsker:
    """Ranks several responses at once, in the order given."""

    def __init__(
        self, ask: Ask, reference: bool, max_tokens: int, *, structured: bool = True, rubric: str | None = None
    ) -> None:
        self.comparison = load_comparison(LISTWISE, rubric, reference=reference)
        self._ask, self._max_tokens, self._structured = ask, max_tokens, structured

    async def ask_ranking(self, task: ShownTask, entries: Sequence[Entry]) -> np.ndarray | Unscored:
        """(m, m) preferences among `entries`, see `read_ranking`."""
        prompt, names = self.comparison.render(task, entries), labels(len(entries))
        schema = ranking_format(names) if self._structured else None
        text = await _answer(self._ask, prompt, self._max_tokens, schema)
        return text if isinstance(text, Unscored) else read_ranking(text, names, prompt.echoes)


async def _answer(ask: Ask, prompt: Prompt, max_tokens: int, schema: dict | None) -> str | Unscored:
    # Greedy, and without a seed: a ranking is asked for once in each order, and equal prompts share a call.
    messages = ({"role": "user", "content": prompt.text},)
    answer = await ask(ChatRequest(messages, max_tokens, temperature=0.0, response_format=schema))
    if isinstance(answer, Unscored):
        return answer
    return not_finished(answer) or answer.text


class Ranker:
    """Ranks the responses to one request, by a list in both orders or by pairs, each in both orders."""

    def __init__(self, asker: PairAsker | ListAsker, max_pairs: int) -> None:
        self._asker, self._max_pairs = asker, max_pairs

    async def rank(self, task: ShownTask, entries: Sequence[Entry]) -> list[Verdict]:
        """One verdict for each of at least two entries, in order.

        Scored(value, spread): `value` is (n - rank) / (n - 1) among the n entries that can be ranked, ties having their
        mean rank, and `spread` the share of the entry's comparisons whose verdict changed with the order, None where
        there were none. An entry without a thought is ranked below all others and scored 0.0. Equal entries are shown
        once, and tie.

        A comparison counts where the answers to both of its orders can be read. Entries that no such comparison joins
        to the largest set of others are Unscored with the most frequent reason of the answers that failed.
        """
        distinct = list(dict.fromkeys(entry for entry in entries if entry.thinks))
        values, spread, failures = np.zeros(len(distinct)), np.full(len(distinct), np.nan), list[Unscored]()
        if len(distinct) > 1:
            preferences, failures = await self._compare(task, distinct)
            values, spread = strengths(preferences), flips(preferences)
        number = {entry: i for i, entry in enumerate(distinct)}
        found = np.array([values[number[entry]] if entry.thinks else -np.inf for entry in entries])
        ranked = ~np.isnan(found)
        scores = np.full(len(entries), np.nan)
        scores[ranked] = rank_scores(found[ranked])
        verdicts: list[Verdict] = []
        for entry, score in zip(entries, scores, strict=True):
            if not entry.thinks:
                verdicts.append(Scored(0.0))
            elif np.isnan(score):
                verdicts.append(_most_frequent(failures))
            else:
                changed = spread[number[entry]]
                verdicts.append(Scored(float(score), None if np.isnan(changed) else float(changed)))
        return verdicts

    async def _compare(self, task: ShownTask, entries: list[Entry]) -> tuple[Preferences, list[Unscored]]:
        """Everything asked in both orders at once."""
        preferences = Preferences.none(len(entries))
        if isinstance(self._asker, ListAsker):
            ranked, turned = await asyncio.gather(
                self._asker.ask_ranking(task, entries), self._asker.ask_ranking(task, entries[::-1])
            )
            if isinstance(ranked, Unscored) or isinstance(turned, Unscored):
                return preferences, [ranking for ranking in (ranked, turned) if isinstance(ranking, Unscored)]
            turned = turned[::-1, ::-1]
            for i, j in pairs_to_compare(len(entries), len(entries) ** 2):
                preferences.put(i, j, float(ranked[i, j]), float(turned[i, j]))
            return preferences, []
        pairs = pairs_to_compare(len(entries), self._max_pairs)
        orders = [*pairs, *((j, i) for i, j in pairs)]
        answers = await asyncio.gather(*(self._asker.ask_pair(task, entries[i], entries[j]) for i, j in orders))
        for (i, j), given, reverse in zip(pairs, answers[: len(pairs)], answers[len(pairs) :], strict=True):
            if not isinstance(given, Unscored) and not isinstance(reverse, Unscored):
                preferences.put(i, j, given, 1.0 - reverse)
        return preferences, [answer for answer in answers if isinstance(answer, Unscored)]


def _most_frequent(failures: Sequence[Unscored]) -> Unscored:
    """The earliest of the most frequent reasons; where nothing failed, too few comparisons joined the entry."""
    if not failures:
        return Unscored(UnscoredReason.BAD_VERDICT, "no comparison joins this response to the others")
    reason, count = Counter(failure.reason for failure in failures).most_common(1)[0]
    first = next(failure.detail for failure in failures if failure.reason is reason)
    return Unscored(reason, f"{count} of the group's comparisons failed, the first so: {first}")
