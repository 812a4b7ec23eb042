"""A trained feature scorer at work: rollouts in, numbers in [0, 1] out. No training, no event loop.

scorer = load(Path("my_scorer"))
scorer.score(rollouts)  # float64, (N,)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from reward_models.encoders.unit import NO_ENCODER, Encoder, NoEncoder, load_encoder
from reward_models.scorers.calibration import Calibration
from reward_models.scorers.features.embeddings import texts_of
from reward_models.scorers.features.folder import check_folder, read_arrays
from reward_models.scorers.features.head import Head
from reward_models.scorers.features.order import OrderModel
from reward_models.scorers.features.trace import Trace, read_trace
from reward_models.scorers.features.vector import FEATURES, join_features, lexical_features
from reward_models.types import Rollout


@dataclass(frozen=True)
class Scorer:
    """Encoder, order model, head and calibration (None: the logistic function). Blocking, and for one thread.

    A rollout's score depends on it alone: neighbours in a batch and their order change it by rounding only (below 1e-5).
    """

    encoder: Encoder | NoEncoder
    order: OrderModel
    head: Head
    calibration: Calibration | None
    baselines: Mapping[str, Head]

    def score(self, rollouts: Sequence[Rollout]) -> np.ndarray:
        """Float64, (N,), in [0, 1]; 0.0 without a thought, NaN where there is neither request nor action to judge it by."""
        return self.to_unit(self.logits(rollouts))

    def logits(self, rollouts: Sequence[Rollout]) -> np.ndarray:
        """What the head says before calibration: float64, (N,); -inf and NaN as `score` has 0.0 and NaN."""
        traces = [read_trace(rollout) for rollout in rollouts]
        found = np.array([_without_features(trace) for trace in traces], dtype=float)
        rows = [number for number, value in enumerate(found) if value == 0]
        if rows:
            found[rows] = self.head.logits(self.features([traces[number] for number in rows]))
        return found

    def features(self, traces: Sequence[Trace]) -> np.ndarray:
        """(N, len(FEATURES)) of traces that all have a thought."""
        texts = [texts_of(trace) for trace in traces]
        vectors = self.encoder.embed([text for item in texts for text in item.all()])
        rows = [
            join_features(lexical_features(trace), trace, self.order, item, vectors)
            for trace, item in zip(traces, texts, strict=True)
        ]
        return np.array(rows, dtype=float).reshape(len(traces), len(FEATURES))

    def to_unit(self, logits: np.ndarray) -> np.ndarray:
        """Logits to [0, 1]; -inf is 0.0, NaN stays."""
        values = expit(logits) if self.calibration is None else self.calibration.apply(logits)
        return np.where(np.isneginf(logits), 0.0, values)


def _without_features(trace: Trace) -> float:
    if not trace.thought.strip():
        return -np.inf
    return 0.0 if trace.has_evidence else np.nan


def load(folder: Path, device: str = "cpu") -> Scorer:
    """Read a scorer's folder onto `device`, as torch names it; ValueError where a file is missing or broken."""
    metadata = check_folder(folder)
    arrays = read_arrays(folder, metadata.head_sha256)
    try:
        encoder = load_encoder(NO_ENCODER if metadata.encoder == NO_ENCODER else str(folder), device)
    except Exception as error:  # safetensors, torch and transformers have many of their own
        raise ValueError(f"{folder}: the encoder cannot be loaded ({type(error).__name__}: {error})") from error
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        groups.setdefault(part, {})[rest] = array
    calibration = None if metadata.calibration is None else Calibration.from_json(metadata.calibration)
    if "head" not in groups or "order" not in groups:
        raise ValueError(f"{folder}: the head's file holds no head or no order model: train the scorer again")
    head = Head.from_arrays(groups.pop("head"))
    if head.mean.shape != (len(FEATURES),):
        raise ValueError(f"{folder}: the head reads {head.mean.size} features, this release makes {len(FEATURES)}")
    order = OrderModel(groups.pop("order")["weights"])
    return Scorer(encoder, order, head, calibration, {name: Head.from_arrays(part) for name, part in groups.items()})
