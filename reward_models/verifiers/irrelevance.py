"""Right is to call no tool and to answer: the mode of rows whose tools do not fit the request.

Garbage is no abstention: a text that was meant as a call and cannot be read, or no text at all, gets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reward_models.parsing import ParsedResponse, Status
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier
from reward_models.verifiers.expected import read_expected
from reward_models.verifiers.reading import Reading, problem_codes, read_own

ABSTAINED = "abstained"
CALLED = "called_a_tool"


@dataclass(frozen=True)
class IrrelevanceConfig(Reading, owner="verifier 'irrelevance'"):
    """`dialect`, `thinking`: see `parse_response`."""


class IrrelevanceVerifier(Verifier):
    """Correctness 1 for an answer without a call, else 0; `parts` is empty."""

    outcome_range = (0.0, 1.0)

    def __init__(self, **options: Any) -> None:
        self.config = IrrelevanceConfig.read(options)

    def verify(self, rollout: Rollout) -> Outcome:
        """Score one response. ValueError for a row that expects calls: to abstain there is not right."""
        expected = read_expected(rollout)
        if expected:
            raise ValueError(
                f"the row expects {len(expected)} call(s), and the verifier 'irrelevance' is for rows that expect none; "
                "'strict' takes both"
            )
        view = read_own(rollout, self.config)
        codes = abstention_codes(view.as_one)
        return Outcome(0.0, float(codes == (ABSTAINED,)), codes[0], reasons=codes, view=view)


def abstention_codes(parsed: ParsedResponse) -> tuple[str, ...]:
    """(ABSTAINED,) where no call was attempted and there is a real answer, else what stands against it."""
    if parsed.status is Status.ABSTAINED:
        return (ABSTAINED,)
    if parsed.status is Status.VALID:
        return (CALLED,)
    return problem_codes(parsed)
