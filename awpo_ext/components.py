"""C outcome components a rollout: named verifiable rewards whose weighted sum is the outcome (`reward_components`). Pure.

GRPO and its kin compare the sum. Where rewards are normalised one by one (`integration: decoupled`, `weighting: variation`)
each component is a reward of its own. Several reasoning signals are `awpo_ext.signals`; the two never mix.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from awpo_ext.config import ASSUMED_RANGE, AwpoConfig
from awpo_ext.groups import centered, require_finite, require_ranges
from awpo_ext.signals import normalized

ROUNDING = 1e-6  # a value may be this far outside of a range, relative above 1
SCORE = "score"  # verl's reward; its range has columns of other names


class ColumnNames(NamedTuple):
    """The columns of the reward function that belong to a component."""

    value: str
    valid: str
    low: str
    high: str


def columns_of(name: str) -> ColumnNames:
    """
    >>> columns_of("format").valid, columns_of("score").low
    ('format_valid', 'outcome_min')
    """
    low, high = ("outcome_min", "outcome_max") if name == SCORE else (f"{name}_min", f"{name}_max")
    return ColumnNames(name, f"{name}_valid", low, high)


@dataclass(frozen=True)
class Components:
    """What N rollouts have of C components, float64 and bool, in the order of `reward_components`."""

    values: torch.Tensor  # (N, C), read where valid
    valid: torch.Tensor  # (N, C)
    ranges: torch.Tensor  # (N, C, 2) lowest and highest that the row allows, finite

    def verified(self, config: AwpoConfig) -> torch.Tensor:
        """`(N,)` bool: the rollout has every component with a weight. A sum over fewer would be a reward for something
        else than its siblings', so such a rollout counts nowhere."""
        return (self.valid | (weights_of(config) == 0)).all(dim=1)

    def total(self, config: AwpoConfig, factors: list[float] | None = None) -> torch.Tensor:
        """`(N,)` the outcome, `sum_c weight_c * factor_c * value_c`; NaN where not `verified`."""
        summed = _summed(weights_of(config, factors) * torch.where(self.valid, self.values, 0.0))
        return torch.where(self.verified(config), summed, torch.nan)

    def total_range(self, config: AwpoConfig, factors: list[float] | None = None) -> torch.Tensor:
        """`(N, 2)` the lowest and the highest `total` that the row allows."""
        weighed = weights_of(config, factors)[:, None] * self.ranges
        ends = weighed.sort(dim=-1).values  # a negative weight turns a range round
        return torch.stack([_summed(ends[..., 0]), _summed(ends[..., 1])], dim=1)

    def above(self) -> torch.Tensor:
        """`(N, C)` values less the lowest that the row allows."""
        return self.values - self.ranges[..., 0]


def weights_of(config: AwpoConfig, factors: list[float] | None = None) -> torch.Tensor:
    """`(C,)` the weight of each component, times its factor (`signals.shares`)."""
    weights = torch.tensor(list(config.reward_components.values()), dtype=torch.float64)
    return weights if factors is None else weights * torch.tensor(factors, dtype=torch.float64)


def _summed(columns: torch.Tensor) -> torch.Tensor:
    """`(N,)`, one column after the other: the sum of all highest values is then the highest sum, to the last bit."""
    return sum(columns.unbind(dim=1), torch.zeros(len(columns), dtype=torch.float64))


def as_components(outcome: Any, valid: Any, ranges: Any, config: AwpoConfig) -> Components:
    """Checked components.

    Args:
        outcome: `(N, C)`, in the order of `config.reward_components`; ignored where not valid, and may be NaN there.
        valid: `(N, C)` bool, or `(N,)` for all components alike; all True by default.
        ranges: `(N, C, 2)`, NaN where the row does not say; `config.component_range` then, and by default.

    Raises:
        ValueError: other shapes; a valid value that is NaN or infinite, or outside of its row's range, or of [0, 1] where
            nobody states a range; a range that is none.
    """
    names = config.components
    values = torch.as_tensor(outcome, dtype=torch.float64, device="cpu").detach()
    n, shape = len(values), (len(values), len(names))
    if values.shape == (0,):
        values = values.reshape(shape)
    if values.shape != shape:
        raise ValueError(
            f"outcome has shape {tuple(values.shape)}; expected ({n}, {len(names)}), one column for each of "
            f"reward_components: {', '.join(names)}"
        )
    flags = torch.ones(shape, dtype=torch.bool)
    if valid is not None:
        flags = torch.as_tensor(valid, device="cpu").detach() != 0
        if flags.shape not in (shape, (n,)):
            raise ValueError(f"outcome_valid has shape {tuple(flags.shape)}; expected {shape} or ({n},)")
        flags = (flags if flags.ndim == 2 else flags.unsqueeze(1)).expand(shape)
    require_finite("outcome (where valid)", values, flags)
    return Components(values, flags, _ranges(ranges, values, flags, config))


def _ranges(given: Any, values: torch.Tensor, valid: torch.Tensor, config: AwpoConfig) -> torch.Tensor:
    """`(N, C, 2)` what each row allows: as given, else as configured, else [0, 1].

    ValueError for a value outside of a given range or of an assumed one, which must be wrong, with what to set. One outside
    of a configured range only has a p that is clipped, like any outcome.
    """
    unknown = (torch.nan, torch.nan)
    configured = [config.component_range.get(name, unknown) for name in config.components]
    limits = torch.tensor(configured, dtype=torch.float64).expand(*values.shape, 2)
    held = torch.zeros_like(valid)
    if given is not None:
        rows = torch.as_tensor(given, dtype=torch.float64, device="cpu").detach().reshape(*values.shape, 2)
        held = ~rows.isnan().any(dim=-1)
        require_ranges(rows[held])
        limits = torch.where(held.unsqueeze(-1), rows, limits)
    assumed = limits.isnan().any(dim=-1)
    limits = torch.where(assumed.unsqueeze(-1), torch.tensor(ASSUMED_RANGE, dtype=torch.float64), limits)
    slack = ROUNDING * limits.abs().amax(dim=-1).clamp(min=1.0)
    outside = (values < limits[..., 0] - slack) | (values > limits[..., 1] + slack)
    outside &= (held | assumed) & valid & (weights_of(config) != 0)
    if bool(outside.any()):
        i, c = outside.nonzero()[0].tolist()
        name, (low, high) = config.components[c], limits[i, c].tolist()
        raise ValueError(
            f"outcome component '{name}' is {float(values[i, c])} for rollout {i}, outside of [{low}, {high}]; set "
            f"algorithm.awpo.component_range.{name}=[lowest, highest], or return columns {columns_of(name).low} and "
            f"{columns_of(name).high} that hold it"
        )
    return limits


def decoupled_advantages(
    parts: Components,
    judged: torch.Tensor,
    index: torch.Tensor,
    groups: int,
    factors: list[float],
    config: AwpoConfig,
) -> torch.Tensor:
    """GDPO's advantage of the outcome (arXiv 2601.05242): each component normalised by itself, `(N,)` weighted sum of them.

    Args:
        judged: `(N,)` bool, the rollouts that have every component with a weight.
    """
    advantages = torch.zeros(len(index), dtype=torch.float64)
    for c, weight in enumerate(weights_of(config, factors).tolist()):
        if weight:
            deviation, stats = centered(parts.values[:, c], index, groups, judged)
            low = _lowest(parts.ranges[:, c, 0], index, groups)
            advantages = advantages + weight * normalized(deviation, stats, index, config, low)
    return advantages


def _lowest(values: torch.Tensor, index: torch.Tensor, groups: int) -> torch.Tensor:
    empty = torch.full((groups,), torch.inf, dtype=torch.float64)
    return empty.scatter_reduce(0, index, values, "amin")
