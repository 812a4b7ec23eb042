"""Statistics of ragged groups on flat tensors: labels -> indices, and mean, std and spread per group. Nothing of AWPO."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


def factorize(labels: Any) -> tuple[torch.Tensor, int]:
    """Number the groups 0..M-1 in order of first appearance.

    Args:
        labels: `(N,)` labels of any hashable kind: strings, tuples, integers of any size or sign (list, numpy or torch).

    Returns:
        `(N,)` int64 group index of each rollout, and M.
    """
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    if isinstance(labels, np.ndarray) and labels.dtype != object:
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(first, kind="stable"), kind="stable")
        return torch.from_numpy(order[inverse.reshape(-1)].astype(np.int64)), len(first)
    numbers: dict[Any, int] = {}
    index = [numbers.setdefault(label, len(numbers)) for label in labels]
    return torch.tensor(index, dtype=torch.int64), len(numbers)


@dataclass(frozen=True)
class GroupStats:
    """Per group of one reward column, over the rollouts that count. All `(M,)`, float64 and int64.

    `std` is unbiased (divides by count - 1, verl's GRPO convention) and exactly 0 for groups of one or of equal values.
    `mean` of an empty group is 0.
    """

    count: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor


def centered(
    values: torch.Tensor, index: torch.Tensor, groups: int, member: torch.Tensor | None = None
) -> tuple[torch.Tensor, GroupStats]:
    """Group-relative values and their statistics.

    Args:
        values: `(N,)` float64, finite where `member`.
        index: `(N,)` group index in [0, groups).
        member: `(N,)` bool, which rollouts take part; all by default.

    Returns:
        `(N,)` values minus their group's mean, 0 for rollouts that take no part; and the `GroupStats`.
        Groups whose values are all equal come out as exact zeros, whatever the rounding of their mean.
    """
    member = torch.ones_like(index, dtype=torch.bool) if member is None else member
    values = torch.where(member, values, torch.zeros_like(values))
    zeros = torch.zeros(groups, dtype=values.dtype)
    count = torch.zeros(groups, dtype=torch.int64).index_add_(0, index, member.long())
    mean = zeros.index_add(0, index, values) / count.clamp(min=1)

    highest = torch.full_like(zeros, -torch.inf).scatter_reduce_(0, index[member], values[member], "amax")
    lowest = torch.full_like(zeros, torch.inf).scatter_reduce_(0, index[member], values[member], "amin")
    varies = (highest > lowest)[index] & member

    deviation = torch.where(varies, values - mean[index], torch.zeros_like(values))
    variance = zeros.index_add(0, index, deviation.square()) / (count - 1).clamp(min=1)
    return deviation, GroupStats(count=count, mean=mean, std=variance.sqrt())


def as_column(name: str, values: Any, length: int | None = None) -> torch.Tensor:
    """`values` as a flat float64 tensor on CPU.

    Raises:
        ValueError: not one-dimensional, or not of `length`; the message names the column.
    """
    if isinstance(values, torch.Tensor):
        column = values.detach().to(device="cpu", dtype=torch.float64)
    else:
        column = torch.from_numpy(np.array(values, dtype=np.float64, copy=True))
    if column.ndim != 1 or (length is not None and len(column) != length):
        expected = f"({length},)" if length is not None else "(N,)"
        raise ValueError(f"{name} has shape {tuple(column.shape)}; expected {expected}, one value a rollout")
    return column


def require_finite(name: str, column: torch.Tensor, where: torch.Tensor | None = None) -> None:
    """Raise ValueError that names the column and the first place whose value is NaN or infinite (among `where`)."""
    bad = ~torch.isfinite(column)
    if where is not None:
        bad &= where
    if bool(bad.any()):
        first = tuple(bad.nonzero()[0].tolist())
        place = ", ".join(map(str, first))
        raise ValueError(f"{name}[{place}] is {float(column[first])}: {int(bad.sum())} of {bad.numel()} are not finite")


def require_ranges(rows: torch.Tensor) -> None:
    """Raise ValueError where one of the `(R, 2)` ranges is none."""
    if not bool(rows.isfinite().all() and (rows[:, 0] <= rows[:, 1]).all()):
        raise ValueError("outcome_range must hold finite numbers, the lowest before the highest, for each rollout")


Labels = Sequence[Any] | np.ndarray | torch.Tensor
