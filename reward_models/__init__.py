"""What scores a rollout: verifiers give the outcome reward, judges the reasoning reward.

Knows nothing of verl beyond the signature of its reward function (`reward_models.reward.compute_score`). Importing
this package costs the standard library only; models load when a judge first needs them.
"""

from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

__all__ = ["Rollout", "Scored", "Unscored", "UnscoredReason", "Verdict"]
