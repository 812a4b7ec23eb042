"""Unit-length sentence embeddings for a scorer: cached, in batches of like length, and halved where memory runs out."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

_BATCH = 32
NO_ENCODER = "none"
STATIC = "static"  # `static:SOURCE` is the table that reward_models/encoders/static.py makes of the encoder SOURCE


class Encoder:
    """A SentenceTransformer with a cache. Blocking, and for one thread.

    cache_size: embeddings kept, the least recently used goes first. A prompt's request and tools recur in each of its
    rollouts, so most of a batch's texts but the thoughts are found here.
    """

    def __init__(self, model: Any, cache_size: int = 8192) -> None:
        self.model = model
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._cache_size = cache_size
        self._batch = _BATCH

    def embed(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """A float64 vector of length 1 for each different text. RuntimeError or MemoryError where even one is too much."""
        found = {}
        for text in dict.fromkeys(texts):
            if text in self._cache:
                self._cache.move_to_end(text)
                found[text] = self._cache[text]
        missing = sorted((text for text in dict.fromkeys(texts) if text not in found), key=len)
        while missing:
            try:
                vectors = self._encode(missing)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or self._batch == 1:
                    raise
                self._batch //= 2
                logger.warning("Out of memory: the scorer embeds %d texts at once from now on", self._batch)
                continue
            for text, vector in zip(missing, vectors, strict=True):
                found[text] = self._cache[text] = vector
            missing = []
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return found

    def _encode(self, texts: list[str]) -> np.ndarray:
        vectors = self.model.encode(texts, batch_size=self._batch, convert_to_numpy=True, show_progress_bar=False)
        vectors = np.asarray(vectors, dtype=float)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class NoEncoder:
    """In place of an encoder: all texts are alike, so that a scorer goes by what it counts alone. Some 20 times as fast."""

    model = None

    def embed(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        return dict.fromkeys(texts, np.zeros(1))


def load_encoder(source: str, device: str = "cpu") -> Encoder | NoEncoder:
    """Load a sentence-transformers folder or hub id, or nothing for NO_ENCODER; no code that comes with it is run.

    `static:SOURCE` loads SOURCE and distils it, which takes a full encoder of 22M parameters half a minute of one core.
    RuntimeError where `device` is missing; where the weights are, whatever sentence-transformers raises.
    """
    if source == NO_ENCODER:
        return NoEncoder()
    from sentence_transformers import SentenceTransformer

    static, given = split_source(source)
    model = SentenceTransformer(given, device=device, trust_remote_code=False)
    if static:
        from reward_models.encoders.static import distil

        model = distil(model)
    return Encoder(model)


def split_source(source: str) -> tuple[bool, str]:
    """Whether the encoder is to be distilled, and what is to be loaded; `static` alone names nothing to load: ""."""
    kind, _, rest = source.partition(":")
    return (True, rest) if kind == STATIC else (False, source)


def encoder_name(source: str) -> str:
    """The source for metadata: a hub id whole, of a path the last two parts, since the rest is private."""
    static, given = split_source(source)
    return f"{STATIC}:" * static + "/".join(Path(given).parts[-2:])


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, on a GPU or on the CPU, or Python itself says that memory ran out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
