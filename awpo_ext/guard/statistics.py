"""What the guard measures of one update: plain numbers by the names of `alarms.KINDS`. Pure.

A number that the rollouts do not determine is left out, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from awpo_ext.data.dedup import grams_of, matches, normalise
from reward_models.parsing import parse_response

TEXTS = 64  # rollouts of an update whose texts are read
MAX_TEXT = 2000  # characters of a text that are read
MAX_PROMPT = 4000  # characters of a request with its tools
LOOP = 30  # characters: a text that says so many again has said them before
NEARLY_NOTHING = 1e-9  # as `near` of `matches`: the most alike, however little that is
SHUT, OPEN = 0.01, 0.99  # gates below and above these are at their end
NO_SAY, ALL_SAY = 0.02, 0.98  # and so is a leverage

Values = dict[str, tuple[float, float]]
"""Name -> the value, and its weight: how many rollouts' worth of information it holds, for those that are pooled."""


@dataclass(frozen=True)
class Rollouts:
    """The numbers of N rollouts.

    group: prompts, by any label. outcome, low, high: the outcome reward and the range that its row allows.
    judge: score in [0, 1], NaN where unscored. judged: whether a score was wanted, so that none is a failure.
    unread: why the response could not be read, "" where it was, None where nobody says. tokens: of the response.
    """

    group: Sequence[str]
    outcome: np.ndarray
    low: np.ndarray
    high: np.ndarray
    outcome_valid: np.ndarray
    judge: np.ndarray
    judged: np.ndarray
    unread: Sequence[str | None]
    tokens: np.ndarray

    @property
    def success(self) -> np.ndarray:
        """The outcome in [0, 1], from the lowest to the highest of its row; NaN where it does not count."""
        return np.where(
            self.outcome_valid, np.clip((self.outcome - self.low) / (self.high - self.low), 0.0, 1.0), np.nan
        )


@dataclass(frozen=True)
class Text:
    """A response, or its texts of all steps, with what it answers; `prompt` is the request and the tools."""

    group: str
    response: str
    prompt: str


def number_values(rollouts: Rollouts) -> Values:
    """Of all rollouts of an update; nothing in it depends on their order."""
    success, judge = rollouts.success, rollouts.judge
    told = [reason for reason in rollouts.unread if reason is not None]
    both = np.isfinite(success) & np.isfinite(judge)
    length = np.log(np.maximum(rollouts.tokens, 1.0))
    values = {
        "outcome": (_mean(success), 1.0),
        "gap": (_mean((judge - success)[both]), 1.0),
        "length": (_mean(length), 1.0),
        "unparseable": (_mean(np.array([bool(reason) for reason in told], dtype=float)), 1.0),
        "unscored": (_mean(np.isnan(judge[rollouts.judged]).astype(float)), 1.0),
    }
    agreement, information = agreement_of(rollouts.group, success, judge)
    values["reliability"] = (-agreement, information)
    return known(values)


def agreement_of(group: Sequence[str], success: np.ndarray, judge: np.ndarray) -> tuple[float, float]:
    """The correlation of judge and outcome within groups, weighted by n - 1, and the information: the sum of the weights.

    NaN and 0 where no group has two scored rollouts that differ in both. As `awpo_ext.reliability.agreement`.
    """
    summed, information = 0.0, 0
    both = np.isfinite(success) & np.isfinite(judge)
    places: dict[str, list[int]] = {}
    for i in np.flatnonzero(both):
        places.setdefault(group[i], []).append(i)
    for members in places.values():
        x, y = success[members], judge[members]
        x, y = x - x.mean(), y - y.mean()
        scale = math.sqrt(float((x @ x) * (y @ y)))
        if scale > 1e-12:
            summed += (len(members) - 1) * float(x @ y) / scale
            information += len(members) - 1
    return (summed / information, float(information)) if information else (math.nan, 0.0)


def share_values(gate: np.ndarray, leverage: float | None) -> dict[str, bool]:
    """Whether each thing that can be stuck holds in an update: of the groups' gates `(M,)` and the judge's leverage."""
    if not len(gate):
        return {}
    shut = bool(gate.max() < SHUT)
    holds = {"gate_shut": shut, "gate_open": bool(gate.min() > OPEN)}
    if leverage is not None and math.isfinite(leverage):
        holds |= {"no_say": leverage < NO_SAY and not shut, "all_say": leverage > ALL_SAY}
    return holds


def text_values(texts: Sequence[Text]) -> Values:
    """Of some texts of an update; bounded time, whatever they hold.

    repetition: share of a thought's stretches of 30 characters that it has said before.
    template: how much a thought resembles the most similar one under another prompt: the share of 5-grams in common.
    copied: share of a thought's 5-grams that the request or the tools have.
    """
    thoughts = [thought_of(text.response[: 2 * MAX_TEXT])[:MAX_TEXT] for text in texts]
    said = [i for i, thought in enumerate(thoughts) if thought.strip()]
    if not said:
        return {}
    prompts = {text.group: text.prompt[:MAX_PROMPT] for text in texts}
    given = {group: grams_of(normalise(prompt)) for group, prompt in prompts.items()}
    copied = [_share_in(thoughts[i], given[texts[i].group]) for i in said]
    values = {
        "repetition": (_mean(np.array([repeated(thoughts[i]) for i in said])), 1.0),
        "copied": (_mean(np.array([share for share in copied if share is not None])), 1.0),
    }
    names = list(dict.fromkeys(texts[i].group for i in said))
    first = set(names[::2])
    ours = [thoughts[i] for i in said if texts[i].group in first]
    others = [thoughts[i] for i in said if texts[i].group not in first]
    if ours and others:
        values["template"] = (sum(match.similarity for match in matches(ours, others, NEARLY_NOTHING)) / len(ours), 1.0)
    return known(values)


def spread(group: Sequence[str], most: int) -> list[int]:
    """Places of at most so many rollouts, evenly over the prompts: the first of each, then the second of each, and so on."""
    turn: dict[str, int] = {}
    order = []
    for i, name in enumerate(group):
        order.append((turn.get(name, 0), i))
        turn[name] = turn.get(name, 0) + 1
    return sorted(i for _, i in sorted(order)[:most])


def thought_of(response: str) -> str:
    """The thought; all of a response that has none, or whose thought does not end."""
    return parse_response(response).thought or response


def repeated(text: str) -> float:
    """Share of the stretches of LOOP characters that were there before; 0 for a shorter text."""
    count = len(text) - LOOP + 1
    return 1.0 - len({text[i : i + LOOP] for i in range(count)}) / count if count > 0 else 0.0


def known(values: Values) -> Values:
    """Without what the rollouts do not determine."""
    return {name: (value, weight) for name, (value, weight) in values.items() if math.isfinite(value) and weight > 0}


def _share_in(thought: str, given: set[str]) -> float | None:
    grams = grams_of(normalise(thought))
    return len(grams & given) / len(grams) if grams and given else None


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan
