"""The judge that does not judge: training on the outcome alone, with the same reward columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reward_models.judges.base import Judge
from reward_models.options import Options
from reward_models.types import Rollout, Unscored, UnscoredReason, Verdict

_DISABLED = Unscored(UnscoredReason.JUDGE_DISABLED)


@dataclass(frozen=True)
class NoneConfig(Options, owner="judge 'none'"):
    """No options."""


class NoneJudge(Judge):
    """Every rollout is `Unscored(judge_disabled)`."""

    def __init__(self, **options: Any) -> None:
        NoneConfig.read(options)

    async def score(self, rollout: Rollout) -> Verdict:
        return _DISABLED
