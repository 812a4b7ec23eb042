"""What scores a rollout: verifiers give the outcome reward, judges the reasoning reward.

Knows nothing of verl beyond the signature of its reward function (`reward_models.reward.compute_score`). Importing
this package costs the standard library only; models load when a judge first needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reward_models.lazy import lazy_exports
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

if TYPE_CHECKING:
    from reward_models.judges import Judge, make_judge
    from reward_models.parsing import parse_response
    from reward_models.verifiers import Outcome, Verifier, make_verifier

__all__ = [
    "Judge",
    "Outcome",
    "Rollout",
    "Scored",
    "Unscored",
    "UnscoredReason",
    "Verdict",
    "Verifier",
    "make_judge",
    "make_verifier",
    "parse_response",
]

_HOMES = {
    "Judge": "judges",
    "Outcome": "verifiers",
    "Verifier": "verifiers",
    "make_judge": "judges",
    "make_verifier": "verifiers",
    "parse_response": "parsing",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
