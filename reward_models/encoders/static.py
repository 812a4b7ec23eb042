"""A sentence encoder as a table: one vector for each of its tokens, averaged over a text. Hundreds of times as fast.

What is lost is everything that words say to each other; a scorer's cosines of whole texts need little of that.
The recipe is model2vec's (Tulkens and van Dongen 2024): the encoder embeds each token alone, principal components
remove what all tokens share, and frequent tokens weigh less (Arora et al. 2017, with Zipf's law for the frequencies).
"""

from __future__ import annotations

from typing import Any

import numpy as np

_BATCH = 1024
_SIF = 1e-4  # tokens rarer than this keep their weight, more frequent ones lose it


def distil(model: Any, dims: int = 256) -> Any:
    """A SentenceTransformer of one StaticEmbedding of at most `dims` dimensions, from one whose tokenizer is a fast one.

    The table has a row for each of the tokenizer's ids; those of special tokens are zero. Ids are taken to be in the
    order of frequency, as they roughly are in WordPiece and BPE vocabularies. ValueError without a fast tokenizer.
    """
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

    try:
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    except ImportError:  # where it stood before
        from sentence_transformers.models import StaticEmbedding  # type: ignore[no-redef]

    fast = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(fast, Tokenizer):
        raise ValueError("a static encoder needs an encoder with a fast tokenizer, which this one lacks")
    special = set(model.tokenizer.all_special_ids)
    plain = np.array([number for number in range(fast.get_vocab_size()) if number not in special])
    rows = _components(_embed(model, plain), dims) * _weights(len(plain))[:, None]
    table = np.zeros((fast.get_vocab_size(), rows.shape[1]), dtype=np.float32)
    table[plain] = rows
    own = Tokenizer.from_str(fast.to_str())  # the module switches padding off in the one that it gets
    own.no_truncation()
    return SentenceTransformer(modules=[StaticEmbedding(own, embedding_weights=table)], device=str(model.device))


def _embed(model: Any, ids: np.ndarray) -> np.ndarray:
    """(N, D): the encoder's embedding of each token alone, between the special tokens that it is used to."""
    import torch

    # Not the tokenizer beneath it: that of MiniLM pads everything to 128 tokens.
    around = model.tokenizer("a", padding=False, return_special_tokens_mask=True)
    words = [place for place, added in enumerate(around["special_tokens_mask"]) if not added]
    before, after = around["input_ids"][: words[0]], around["input_ids"][words[-1] + 1 :]
    found = []
    with torch.inference_mode():
        for start in range(0, len(ids), _BATCH):
            wrapped = [[*before, int(number), *after] for number in ids[start : start + _BATCH]]
            inputs = torch.tensor(wrapped, device=model.device)
            features = {"input_ids": inputs, "attention_mask": torch.ones_like(inputs)}
            found.append(model(features)["sentence_embedding"].float().cpu().numpy())
    return np.concatenate(found)


def _components(vectors: np.ndarray, dims: int) -> np.ndarray:
    """The vectors, centred, on their first `dims` principal components."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    return centred @ axes[:, ::-1][:, :dims].astype(np.float32)


def _weights(count: int) -> np.ndarray:
    """(N,): smooth inverse frequency, the n-th most frequent of `count` tokens having a share in proportion to 1 / (n + 1)."""
    share = 1 / np.arange(2, count + 2)
    share /= share.sum()
    return (_SIF / (_SIF + share)).astype(np.float32)
