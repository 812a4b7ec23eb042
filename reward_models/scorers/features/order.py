"""Whether the sentences of a thought stand in the order of thinking. Learnt from honest thoughts, not listed.

A shuffled thought has all the right words; what betrays it is that closing sentences open it and opening ones close it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reward_models.scorers.features.trace import sentences

_WORD = re.compile(r"\w+|[?!]")
_MAX_SENTENCES = 200
_BUCKETS = 4096
_RIDGE = 3.0


class OrderFeatures(NamedTuple):
    """How well the sentences keep to the order of thinking; the defaults are for fewer than three."""

    order: float = 0.0  # correlation of the sentences' places with the places that their words suggest
    order_error: float = 0.25  # mean distance between the two, in shares of the thought
    steps_back: float = 0.5  # share of neighbouring sentences whose suggested places fall
    opening: float = 0.5  # suggested place of the first sentence
    closing: float = 0.5  # of the last one


class OrderModel:
    """Where in a thought a sentence belongs, from its words: ridge regression on hashed words and word pairs.

    weights: shape (_BUCKETS + 1,); the last is the intercept. Untrained (zeros), all places are 0.5.
    """

    def __init__(self, weights: np.ndarray | None = None) -> None:
        self.weights = np.zeros(_BUCKETS + 1) if weights is None else np.asarray(weights, dtype=float)
        if self.weights.shape != (_BUCKETS + 1,) or not np.isfinite(self.weights).all():
            raise ValueError(f"the order model needs {_BUCKETS + 1} finite weights, got shape {self.weights.shape}")

    @classmethod
    def fit(cls, thoughts: Sequence[str]) -> OrderModel:
        """Learn from honest thoughts; those of fewer than three sentences teach nothing, and none at all gives zeros."""
        rows, places = [], []
        for thought in thoughts:
            texts = _sentence_texts(thought)
            if len(texts) >= 3:
                rows += texts
                places += list(np.linspace(0, 1, len(texts)))
        if not rows:
            return cls()
        matrix = np.zeros((len(rows), _BUCKETS + 1))
        for number, text in enumerate(rows):
            buckets = _hashed(text)
            np.add.at(matrix[number], buckets, 1 / _norm(buckets))
        matrix[:, -1] = 1.0
        target = np.asarray(places) - 0.5
        # The dual form: there are fewer sentences than buckets, or hardly more.
        kernel = matrix @ matrix.T + _RIDGE * np.eye(len(rows))
        return cls(matrix.T @ np.linalg.solve(kernel, target))

    def places(self, texts: Sequence[str]) -> np.ndarray:
        """Shape (S,): the suggested place of each sentence, 0 the start and 1 the end of a thought."""
        hashed = [_hashed(text) for text in texts]
        raw = np.array([self.weights.take(buckets).sum() / _norm(buckets) for buckets in hashed])
        return np.clip(raw + self.weights[-1] + 0.5, 0, 1)

    def features(self, thought: str) -> np.ndarray:
        """The values of OrderFeatures, finite."""
        texts = _sentence_texts(thought)
        if len(texts) < 3:
            return np.array(OrderFeatures())
        suggested = self.places(texts)
        actual = np.linspace(0, 1, len(texts))
        centred, steps = suggested - suggested.mean(), actual - 0.5
        spread = float(centred @ centred)
        order = float(centred @ steps) / (spread * float(steps @ steps)) ** 0.5 if spread > 1e-18 * len(texts) else 0.0
        back = np.count_nonzero(suggested[1:] < suggested[:-1]) / (len(texts) - 1)
        error = float(np.abs(suggested - actual).mean())
        return np.array(OrderFeatures(order, error, float(back), float(suggested[0]), float(suggested[-1])))


def _sentence_texts(thought: str) -> list[str]:
    return [thought[start:end] for start, end in sentences(thought)[:_MAX_SENTENCES]]


def _hashed(text: str) -> list[int]:
    """Buckets of the words, word pairs and first words of a sentence; crc32 is the same in every process."""
    found = ["<", *_WORD.findall(text.lower())[:60]]
    items = [*found[1:], *(f"{one} {two}" for one, two in pairwise(found)), " ".join(found[:4])]
    return [_bucket(item) for item in items]


@lru_cache(maxsize=65_536)  # thoughts share most of their words
def _bucket(item: str) -> int:
    return zlib.crc32(item.encode("utf-8", "replace")) % _BUCKETS


def _norm(buckets: Sequence[int]) -> float:
    return max(1, len(buckets)) ** 0.5
