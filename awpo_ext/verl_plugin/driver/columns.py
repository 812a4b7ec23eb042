"""Reads the reward columns of a batch of rollouts: each value is checked, and a bad one stops the run by name. Pure.

A column of a reward function is any Python value. Here it becomes a number that means what the estimator takes it for.
"""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from awpo_ext.components import Components, as_components, columns_of
from awpo_ext.config import AwpoConfig
from awpo_ext.verl_plugin.compat import AwpoSetupError
from reward_models.reward_columns import CRITERION
from reward_models.types import UnscoredReason

Infos = Sequence[Mapping[str, Any]]  # `reward_extra_info` of each rollout

ROUNDING = 1e-6  # a score may be this far outside [0, 1]


def valid_columns(infos: Infos, names: Sequence[str]) -> torch.Tensor:
    """`(N, K)` bool: 1, 1.0 or True where the judge gave a score, 0 where it did not. AwpoSetupError for all else."""
    return torch.tensor(_read(infos, names, _flag, _FLAG), dtype=torch.bool).reshape(len(infos), len(names))


def score_columns(infos: Infos, names: Sequence[str], valid: torch.Tensor) -> torch.Tensor:
    """`(N, K)` float64 scores in [0, 1], NaN where not `valid`: there any value goes, None and text too.

    Raises:
        AwpoSetupError: a valid score that is not a number in [0, 1].
    """
    told = valid.tolist()
    rows = [
        [_checked(infos, name, i, _score, _SCORE) if told[i][k] else math.nan for k, name in enumerate(names)]
        for i in range(len(infos))
    ]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(infos), len(names)).clamp(0.0, 1.0)


def criteria_columns(infos: Infos) -> dict[str, torch.Tensor]:
    """`(N,)` float64 by name of the parts of the judge's score that every rollout has, NaN where it has no number."""
    names = [name for name in (infos[0] if infos else ()) if name.startswith(CRITERION)]
    return {
        name.removeprefix(CRITERION): torch.tensor([_part(info[name]) for info in infos], dtype=torch.float64)
        for name in names
        if all(name in info for info in infos)
    }


def _part(value: Any) -> float:
    return float(value) if isinstance(value, numbers.Real) else math.nan


def outcome_valid_column(infos: Infos, name: str) -> torch.Tensor:
    """`(N,)` bool, True where a rollout has no such column. AwpoSetupError for what is neither 0 nor 1."""
    flags = [_checked(infos, name, i, _flag, _FLAG) if name in info else True for i, info in enumerate(infos)]
    return torch.tensor(flags, dtype=torch.bool)


def outcome_range_columns(infos: Infos, lowest: float, highest: float) -> torch.Tensor:
    """`(N, 2)` float64: `outcome_min` and `outcome_max` of each row; `lowest` and `highest` where a rollout has none.

    Raises:
        AwpoSetupError: a limit that is not a finite number, or a row's lowest outcome that is not below its highest.
    """
    rows = []
    for i, info in enumerate(infos):
        low, high = (
            _checked(infos, name, i, _number, _FINITE) if name in info else limit
            for name, limit in (("outcome_min", lowest), ("outcome_max", highest))
        )
        if low >= high:
            raise AwpoSetupError(
                f"columns outcome_min={low} and outcome_max={high} of rollout {i}: give the row's range"
            )
        rows.append((low, high))
    return torch.tensor(rows, dtype=torch.float64).reshape(len(infos), 2)


def component_columns(infos: Infos, config: AwpoConfig, verified: torch.Tensor) -> Components:
    """The outcome components: their value, `<name>_valid` (1 where absent), and `<name>_min`, `<name>_max` where there.

    Args:
        verified: `(N,)` bool of `outcome_valid_column`; the others have no component.

    Raises:
        AwpoSetupError: a missing column, a valid value or a limit that is not a finite number, a value outside [0, 1] where
            nobody states another range.
    """
    names = [columns_of(name) for name in config.components]
    require_columns(infos, config.components, "+algorithm.awpo.reward_components.<name>=<weight>")
    valid = torch.stack([outcome_valid_column(infos, of.valid) & verified for of in names], dim=1)
    told, rows, ranges = valid.tolist(), [], []
    for i, info in enumerate(infos):
        rows.append(
            [_checked(infos, of.value, i, _number, _FINITE) if told[i][c] else math.nan for c, of in enumerate(names)]
        )
        ranges.append(
            [
                [_checked(infos, end, i, _number, _FINITE) for end in of[2:]]
                if of.low in info and of.high in info
                else [math.nan] * 2
                for of in names
            ]
        )
    try:
        return as_components(rows, valid, ranges, config)
    except ValueError as error:
        raise AwpoSetupError(str(error)) from error


def failure_columns(infos: Infos, names: Sequence[str]) -> torch.Tensor:
    """`(N, K)` codes of `UnscoredReason`, given as code or name; NaN where a column does not say."""
    rows = [[_failure(info.get(name)) for name in names] for info in infos]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(infos), len(names))


_JUDGED = "+algorithm.awpo.reasoning_key / +algorithm.awpo.valid_key"


def require_columns(infos: Infos, names: Sequence[str], named_by: str = _JUDGED) -> None:
    """Raise AwpoSetupError that says which columns the reward function gave, and what to set."""
    for name in names:
        lacking = [info for info in infos if name not in info]
        if lacking:
            raise AwpoSetupError(
                f"column '{name}' is missing from the reward of {len(lacking)} of {len(infos)} rollouts (columns there: "
                f"{sorted(lacking[0])}). Set reward.custom_reward_function.path=pkg://reward_models.reward "
                f"name=compute_score, or let your reward function return it, or name your columns by {named_by}"
            )


_FINITE = "a finite number"
_FLAG = "1 (or True) where it holds and 0 (or False) where it does not"
_SCORE = (
    "a score in [0, 1] where the rollout is marked as scored; mark it as unscored (0 in the valid column) otherwise"
)


def _read(infos: Infos, names: Sequence[str], parse: Callable[[Any], Any], allowed: str) -> list[list[Any]]:
    return [[_checked(infos, name, i, parse, allowed) for name in names] for i in range(len(infos))]


def _checked(infos: Infos, name: str, rollout: int, parse: Callable[[Any], Any], allowed: str) -> Any:
    value = infos[rollout][name]
    parsed = parse(value)
    if parsed is None:
        raise AwpoSetupError(
            f"column '{name}' of the reward function is {value!r} for rollout {rollout} of {len(infos)}; allowed: {allowed}"
        )
    return parsed


def _number(value: Any) -> float | None:
    """A Python or numpy number, or a tensor of one element; None for all else, and for NaN and infinities."""
    if isinstance(value, torch.Tensor):
        value = value.item() if value.numel() == 1 else None
    if not isinstance(value, numbers.Real) and not (hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _flag(value: Any) -> bool | None:
    number = _number(value)
    return bool(number) if number in (0.0, 1.0) else None


def _score(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and -ROUNDING <= number <= 1.0 + ROUNDING else None


_CODE_OF_REASON = {reason.value: float(reason.code) for reason in UnscoredReason}


def _failure(value: Any) -> float:
    if isinstance(value, str):
        return _CODE_OF_REASON.get(value, math.nan)
    number = _number(value)
    return math.nan if number is None else number
