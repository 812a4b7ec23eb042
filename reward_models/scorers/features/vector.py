"""All features of a rollout, in one order: grounding, structure, order of the sentences, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reward_models.scorers.features.agreement import AgreementFeatures, agreement_features
from reward_models.scorers.features.arguments import ArgumentFeatures, argument_features
from reward_models.scorers.features.embeddings import EmbeddingFeatures, Texts, embedding_features
from reward_models.scorers.features.grounding import ToolFeatures, ValueFeatures, grounding_features
from reward_models.scorers.features.order import OrderFeatures, OrderModel
from reward_models.scorers.features.structure import StructureFeatures, structure_features
from reward_models.scorers.features.trace import Trace

FEATURES_VERSION = 3  # raised whenever a feature comes, goes or changes its meaning
GROUPS: dict[str, tuple[str, ...]] = {
    "grounding": ToolFeatures._fields + ValueFeatures._fields + ArgumentFeatures._fields + AgreementFeatures._fields,
    "structure": StructureFeatures._fields,
    "order": OrderFeatures._fields,
    "embedding": EmbeddingFeatures._fields,
}
# What a head sees that is only one thing: beside a scorer, to show that it is more than that.
BASELINES = {"cosine": ("embedding",), "grounding": ("grounding",), "structure": ("structure", "order")}
FEATURES = tuple(name for names in GROUPS.values() for name in names)


def lexical_features(trace: Trace) -> np.ndarray:
    """What needs no model: the groups `grounding` and `structure`."""
    grounding = [grounding_features(trace), argument_features(trace), agreement_features(trace)]
    return np.concatenate([*grounding, structure_features(trace)])


def join_features(
    lexical: np.ndarray, trace: Trace, order: OrderModel, texts: Texts, vectors: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Shape (len(FEATURES),), finite."""
    return np.concatenate([lexical, order.features(trace.thought), embedding_features(texts, vectors)])


def columns_of(*groups: str) -> list[int]:
    """The columns of the named groups, in FEATURES."""
    wanted = {name for group in groups for name in GROUPS[group]}
    return [number for number, name in enumerate(FEATURES) if name in wanted]


def thought_lengths(traces: Sequence[Trace]) -> np.ndarray:
    """(N, 1): log1p of the thoughts' lengths in words; no feature, a baseline."""
    return np.array([[np.log1p(len(trace.thought.split()))] for trace in traces])
