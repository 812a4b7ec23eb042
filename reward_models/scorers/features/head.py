"""The head of a scorer: a few small networks over features, averaged. Trained in torch, used in numpy.

It is used in float64, row by row independent, so that a rollout's score cannot depend on its neighbours in a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from reward_models.options import Options, Range

CLIP = 4.0  # standard deviations: beyond, a feature says no more than it said in training
_OWNER = "scorer head"


@dataclass(frozen=True)
class HeadConfig(Options, owner=_OWNER):
    """How a head is trained; ValueError names key, value and what is allowed.

    hidden: units in each of the two layers. members: networks, each from its own seed. epochs: the most.
    patience: stop after so many epochs without a lower validation loss; the best epoch's weights are kept.
    pair_weight: of the loss on (honest, spoilt) pairs of one source, besides the cross-entropy of 1.
    """

    hidden: Annotated[int, Range(1, 1024)] = 32
    members: Annotated[int, Range(1, 64)] = 4
    epochs: Annotated[int, Range(1, 10_000)] = 60
    patience: Annotated[int, Range(1, 10_000)] = 8
    batch_size: Annotated[int, Range(2, 65_536)] = 256
    learning_rate: Annotated[float, Range(1e-6, 1)] = 2e-3
    weight_decay: Annotated[float, Range(0, 10)] = 0.05
    dropout: Annotated[float, Range(0, 0.9)] = 0.2
    pair_weight: Annotated[float, Range(0, 100)] = 0.5
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0


@dataclass(frozen=True)
class Rows:
    """What a head learns from or is stopped by.

    features: (N, F). labels: (N,) in [0, 1]. weights: (N,), positive. better: (N,) the index of the row that a row is
    the spoilt form of, or -1.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    better: np.ndarray


class Head:
    """Features to a logit, higher is better.

    mean, scale: (F,), the scale positive. layers: for every member its six arrays w1 (F, H), b1 (H,), w2 (H, H), b2 (H,),
    w3 (H,), b3 (). ValueError for other shapes or numbers that are not finite.
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray, layers: Sequence[Sequence[np.ndarray]]) -> None:
        self.mean, self.scale = np.asarray(mean, dtype=float), np.asarray(scale, dtype=float)
        self.layers = [[np.asarray(array, dtype=float) for array in member] for member in layers]
        self._check()

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N,) from (N, F)."""
        standard = np.clip((features - self.mean) / self.scale, -CLIP, CLIP)
        total = np.zeros(len(standard))
        for w1, b1, w2, b2, w3, b3 in self.layers:
            total += np.tanh(np.tanh(standard @ w1 + b1) @ w2 + b2) @ w3 + b3
        return total / len(self.layers)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """By name, for safetensors."""
        arrays = {"mean": self.mean, "scale": self.scale}
        for number, member in enumerate(self.layers):
            arrays.update({f"{number}.{name}": array for name, array in zip(_NAMES, member, strict=True)})
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Head:
        """Inverse of `to_arrays`; ValueError names what is missing, unknown or of the wrong shape."""
        members = (len(arrays) - 2) // len(_NAMES)
        wanted = {"mean", "scale", *(f"{number}.{name}" for number in range(members) for name in _NAMES)}
        if members < 1 or set(arrays) != wanted:
            off = ", ".join(sorted(set(arrays) ^ wanted)[:6])
            raise ValueError(f"the head's arrays are not those of a head; missing or unknown: {off or 'all members'}")
        layers = [[arrays[f"{number}.{name}"] for name in _NAMES] for number in range(members)]
        return cls(arrays["mean"], arrays["scale"], layers)

    def _check(self) -> None:
        size = self.mean.shape
        for number, (w1, b1, w2, b2, w3, b3) in enumerate(self.layers):
            hidden = b1.shape
            shapes = [w1.shape, w2.shape, b2.shape, w3.shape, b3.shape]
            if len(size) != 1 or len(hidden) != 1 or shapes != [size + hidden, hidden * 2, hidden, hidden, ()]:
                raise ValueError(f"member {number} of the head has arrays of shapes that do not fit {size}: {shapes}")
        every = [self.mean, self.scale, *(array for member in self.layers for array in member)]
        if self.scale.shape != size or not all(np.isfinite(array).all() for array in every) or (self.scale <= 0).any():
            raise ValueError("the head holds numbers that are not finite, or a scale that is not positive")


_NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")


def train_head(
    train: Rows, val: Rows, config: HeadConfig, progress: Callable[[int, int, float], None] | None = None
) -> Head:
    """Train on `train`, stop by `val`; the same rows, config and torch build give the same head.

    progress: called as progress(member, epoch, validation loss). The loss is the weighted cross-entropy, and
    `pair_weight` times that of the pairs' differences (Bradley-Terry).
    """
    import torch

    mean = np.average(train.features, axis=0, weights=train.weights)
    scale = np.sqrt(np.average((train.features - mean) ** 2, axis=0, weights=train.weights))
    scale = np.where(scale > 1e-6, scale, 1.0)

    def tensors(rows: Rows) -> tuple[torch.Tensor, ...]:
        standard = np.clip((rows.features - mean) / scale, -CLIP, CLIP)
        weights = rows.weights / rows.weights.mean()
        return (
            *(torch.tensor(array, dtype=torch.float32) for array in (standard, rows.labels, weights)),
            torch.tensor(rows.better),
        )

    learning, checking = tensors(train), tensors(val)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        members = [_train_member(learning, checking, config, number, progress) for number in range(config.members)]
    return Head(mean, scale, members)


def _train_member(learning: Any, checking: Any, config: HeadConfig, number: int, progress: Any) -> list[np.ndarray]:
    import torch
    from torch import nn

    torch.manual_seed(config.seed * 1000 + number)
    features, labels, weights, better = learning
    net = nn.Sequential(
        nn.Linear(features.shape[1], config.hidden),
        nn.Tanh(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, config.hidden),
        nn.Tanh(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, 1),
    )
    optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    best, best_loss, waited = copy.deepcopy(net.state_dict()), float("inf"), 0
    for epoch in range(config.epochs):
        net.train()
        for batch in torch.randperm(len(features)).split(config.batch_size):
            pairs = better[batch]
            loss = _loss(net, features[batch], labels[batch], weights[batch], features[pairs], pairs, config)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        net.eval()
        with torch.inference_mode():
            read, right, weight, pairs = checking
            loss = float(_loss(net, read, right, weight, read[pairs], pairs, config))
        if progress is not None:
            progress(number, epoch, loss)
        if loss < best_loss:
            best, best_loss, waited = copy.deepcopy(net.state_dict()), loss, 0
        else:
            waited += 1
            if waited >= config.patience:
                break
    arrays = [tensor.double().numpy() for tensor in best.values()]
    w1, b1, w2, b2, w3, b3 = arrays
    return [w1.T, b1, w2.T, b2, w3[0], b3[0]]


def _loss(
    net: Any, features: Any, labels: Any, weights: Any, better_features: Any, better: Any, config: HeadConfig
) -> Any:
    from torch.nn import functional as f

    logits = net(features)[:, 0]
    loss = f.binary_cross_entropy_with_logits(logits, labels, weight=weights)
    paired = better >= 0
    if config.pair_weight and bool(paired.any()):
        margins = net(better_features[paired])[:, 0] - logits[paired]
        loss = loss + config.pair_weight * (f.softplus(-margins) * weights[paired]).sum() / weights[paired].sum()
    return loss
