"""What the verifiers that read a response by its dialect share."""

from __future__ import annotations

from typing import Annotated

from reward_models.options import OneOf
from reward_models.parsing import DIALECTS, ParsedResponse

Dialect = Annotated[str, OneOf(("auto", *DIALECTS))]


def problem_codes(parsed: ParsedResponse) -> tuple[str, ...]:
    """The codes of the parser's problems in the order of the text, without repetition; its status where it has none."""
    return tuple(dict.fromkeys(problem.code.value for problem in parsed.problems)) or (parsed.status.value,)
