"""What the verifiers that read a response by its dialect share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from reward_models.options import OneOf, Options
from reward_models.parsing import THINKING, ParsedResponse, check_dialect
from reward_models.rollout_view import RolloutView, read_rollout, read_text
from reward_models.types import Rollout


@dataclass(frozen=True)
class Reading(Options):
    """The options of a verifier that reads responses.

    dialect: "auto", a name of `parsing.DIALECTS`, or a parser of vLLM or verl.
    thinking: see `parse_response`; a row's own comes first.
    """

    dialect: str = "auto"
    thinking: Annotated[str, OneOf(THINKING)] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dialect(self.dialect, f"{self.owner}: ")


def read_own(rollout: Rollout, config: Reading) -> RolloutView:
    """The rollout as a verifier's options say that it reads."""
    return read_rollout(rollout, config.dialect, config.thinking)


def parse_own(rollout: Rollout, config: Reading, text: str | None = None) -> ParsedResponse:
    """One of the model's own texts; unless one is given, all of them as one response."""
    if text is None:
        return read_own(rollout, config).as_one
    return read_text(rollout, text, config.dialect, config.thinking)


def problem_codes(parsed: ParsedResponse) -> tuple[str, ...]:
    """The codes of the parser's problems in the order of the text, without repetition; its status where it has none."""
    return tuple(dict.fromkeys(problem.code.value for problem in parsed.problems)) or (parsed.status.value,)
