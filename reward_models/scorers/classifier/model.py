"""A trained classifier at work: rollouts in, numbers in [0, 1] out. No training, no event loop.

classifier = load(Path("my_scorer"), device="cpu")
classifier.score(rollouts)  # float64, (N,)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from reward_models.encoders.unit import out_of_memory
from reward_models.rollout_view import read_rollout
from reward_models.scorers.calibration import Calibration
from reward_models.scorers.classifier.folder import check_folder
from reward_models.scorers.classifier.text import Renderer, check_tokenizer, pad
from reward_models.types import Rollout

logger = logging.getLogger(__name__)

MAX_BATCH = 64


class Classifier:
    """A sequence-classification model with one output, its renderer and its calibration. For one thread.

    A rollout's score depends on it alone: neither its neighbours in a batch nor their order change it by more than
    rounding (below 1e-5 in float32). Where a batch does not fit into memory it is halved, and the smaller size kept.
    """

    def __init__(self, model: Any, renderer: Renderer, calibration: Calibration | None) -> None:
        self._model = model
        self._renderer = renderer
        self._calibration = calibration
        self._max_batch = MAX_BATCH

    def score(self, rollouts: Sequence[Rollout]) -> np.ndarray:
        """Float64, (N,), in [0, 1]; 0.0 without a thought.

        NaN where there is neither request nor action to judge a thought by, and where the model gave no number.
        """
        logits = self.logits(rollouts)
        given = ~np.isneginf(logits)
        scores = np.zeros(len(logits))
        scores[given] = to_unit(logits[given], self._calibration)
        return scores

    def logits(self, rollouts: Sequence[Rollout]) -> np.ndarray:
        """What the model says before calibration: float64, (N,); -inf and NaN as `score` has 0.0 and NaN."""
        encoded = [self._renderer.encode(rollout) for rollout in rollouts]
        found = np.array([-np.inf if row is None else np.nan for row in encoded])
        rows = {
            index: row
            for index, row in enumerate(encoded)
            if row is not None and read_rollout(rollouts[index]).has_evidence
        }
        # By length, so that little is padded.
        order = sorted(rows, key=lambda index: len(rows[index]))
        while order:
            batch = order[: self._max_batch]
            try:
                found[batch] = self._forward([rows[index] for index in batch])
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or len(batch) == 1:
                    raise
                self._max_batch = len(batch) // 2
                logger.warning("Out of memory with %d rollouts in a batch; %d from now on", len(batch), self._max_batch)
                _free_memory()
                continue
            order = order[len(batch) :]
        return found

    def _forward(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        import torch

        ids, mask = pad(rows, self._renderer.tokenizer.pad_token_id)
        device = self._model.device
        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor(ids, device=device), attention_mask=torch.tensor(mask, device=device)
            ).logits
        logits = logits[:, 0].double().cpu().numpy()
        return np.where(np.isfinite(logits), logits, np.nan)


def load(folder: Path, device: str = "cpu", dtype: str = "float32") -> Classifier:
    """Read a classifier's folder onto `device`, as torch names it.

    dtype: `float32`, `bfloat16` or `float16`; in the last two a neighbour in the batch may change a score by more.
    ValueError where a file is missing, broken or does not belong, or the model has not one output; nothing that comes
    with the folder is run as code.
    """
    metadata, template = check_folder(folder)
    import torch
    from transformers import AutoModelForSequenceClassification

    renderer = make_renderer(folder, metadata.max_tokens, template)
    if dtype not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"dtype={dtype!r} is not one of: float32, bfloat16, float16")
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            output_loading_info=True,
            trust_remote_code=False,
        )
    except Exception as error:  # safetensors and torch have many of their own
        raise ValueError(f"{folder}: the model cannot be loaded ({type(error).__name__}: {error})") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(f"{folder}: the weights lack {', '.join(missing[:5])}: copy the folder again, or train again")
    if model.config.num_labels != 1:
        raise ValueError(f"{folder}: the model has {model.config.num_labels} outputs; a scorer has 1")
    model.config.pad_token_id = renderer.tokenizer.pad_token_id
    return Classifier(model.eval().to(device), renderer, metadata.calibration)


def to_unit(logits: np.ndarray, calibration: Calibration | None) -> np.ndarray:
    """Logits to [0, 1], by the calibration or, without one, the logistic function; NaN stays NaN."""
    return expit(logits) if calibration is None else calibration.apply(logits)


def make_renderer(folder: Path | str, max_tokens: int, template: str) -> Renderer:
    """A renderer with the folder's tokenizer; ValueError where that does not do."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise ValueError(f"{folder}: the tokenizer cannot be loaded ({type(error).__name__}: {error})") from error
    check_tokenizer(tokenizer, str(folder))
    return Renderer(tokenizer, max_tokens, template)


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
