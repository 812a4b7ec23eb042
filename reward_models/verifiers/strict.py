"""The outcome reward for new recipes: format, and a correctness that counts what is wrong as well as what is right.

outcome = format (0 or `format_max`) + correctness (in [`correctness_min`, `correctness_max`]); by default in [-3, 4],
ToolRL's range. Correctness is linear in the score of the best assignment (see `matching.py`), so spurious calls cost.

What decides, in this order: the response's status (unreadable or malformed calls, or none, where calls are expected, give
the minimum); the expected values, which are right even where a schema disagrees; the row's schemas, which say where
1 equals 1.0, which arguments are required, and which wrong values are worth nothing at all. Where no call is expected,
an answer without a call gets the maximum and everything else the minimum, as in the mode `irrelevance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from reward_models.options import OneOf, Range
from reward_models.parsing import ParsedResponse, Status
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier
from reward_models.verifiers.compare import bfcl_string
from reward_models.verifiers.expected import ExpectedCall, read_expected
from reward_models.verifiers.format import WELL_FORMED, format_codes
from reward_models.verifiers.irrelevance import ABSTAINED, abstention_codes
from reward_models.verifiers.matching import Matcher
from reward_models.verifiers.reading import Reading, problem_codes, read_own
from reward_models.verifiers.schema import read_tools

_OWNER = "verifier 'strict'"
_LIMIT = 1e6
_STRINGS = {"exact": None, "bfcl": bfcl_string}

NO_CALL = "no_call"


@dataclass(frozen=True)
class StrictConfig(Reading, owner=_OWNER):
    """`dialect`, `thinking`: see `parse_response`. `ordered`: calls must come in the order of the ground truth.

    `strings`: `exact`, or `bfcl` to compare them as BFCL does (case, spaces and some punctuation aside). `schema`: use
    the row's tool definitions; a row without any is scored without them.
    """

    ordered: bool = False
    schema: bool = True
    strings: Annotated[str, OneOf(tuple(_STRINGS))] = "exact"
    format_max: Annotated[float, Range(0.0, _LIMIT)] = 1.0
    correctness_min: Annotated[float, Range(-_LIMIT, _LIMIT)] = -3.0
    correctness_max: Annotated[float, Range(-_LIMIT, _LIMIT)] = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.correctness_min >= self.correctness_max:
            raise ValueError(
                f"{_OWNER}: correctness_min={self.correctness_min} must be below correctness_max={self.correctness_max}"
            )


class StrictVerifier(Verifier):
    """Format and optimally matched correctness.

    `parts`: `score` in [0, 1], what correctness is linear in; where calls were matched also those of `matching.Match`.
    `reason` is the main code of the correctness, or of the format where the calls are all right.
    """

    def __init__(self, **options: Any) -> None:
        config = self.config = StrictConfig.read(options)
        self.outcome_range = (float(config.correctness_min), float(config.format_max + config.correctness_max))
        self.format_range = (0.0, float(config.format_max))
        self._matcher = Matcher(config.ordered, _STRINGS[config.strings])

    def check(self) -> None:
        """Raise ValueError where the package for schemas is needed and missing."""
        if self.config.schema:
            try:
                import jsonschema_rs  # noqa: F401
            except ImportError as error:
                raise ValueError(f"{_OWNER}: schema=true needs the package jsonschema-rs: {error}") from error

    def verify(self, rollout: Rollout) -> Outcome:
        """Score one response; an empty one gets the minimum. ValueError for a bad ground truth or a bad schema."""
        expected = read_expected(rollout)
        view = read_own(rollout, self.config)
        malformed = format_codes(view)
        score, parts, codes = self._match(expected, view.as_one, rollout)
        # Correct comes last only where all is well, so that it is never the reason of a lost format.
        main = codes if score < 1.0 or malformed == (WELL_FORMED,) else malformed
        reasons = tuple(dict.fromkeys((*main, *codes, *malformed)))
        return Outcome(
            format=float(self.config.format_max) if malformed == (WELL_FORMED,) else 0.0,
            correctness=self._scaled(score),
            reason=main[0],
            parts={"score": score, **parts},
            reasons=reasons,
            view=view,
        )

    def _match(
        self, expected: tuple[ExpectedCall, ...], parsed: ParsedResponse, rollout: Rollout
    ) -> tuple[float, dict[str, float], tuple[str, ...]]:
        """(score, parts, codes) of the correctness."""
        tools = read_tools(rollout.tools) if self.config.schema else {}
        if not expected:
            codes = abstention_codes(parsed)
            return float(codes == (ABSTAINED,)), {}, codes
        if parsed.status is Status.ABSTAINED:
            return 0.0, {}, (NO_CALL,)
        if parsed.status is not Status.VALID:
            return 0.0, {}, problem_codes(parsed)
        match = self._matcher.match(expected, parsed.calls, tools)
        return match.score, dict(match.parts), match.codes

    def _scaled(self, score: float) -> float:
        low, high = float(self.config.correctness_min), float(self.config.correctness_max)
        # The end is met exactly: low + (high - low) need not be high in floats.
        return high if score >= 1.0 else min(high, low + (high - low) * score)
