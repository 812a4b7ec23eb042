"""What the verifiers that read a response by its dialect share."""

from __future__ import annotations

from reward_models.parsing import DIALECTS, ParsedResponse


def require_dialect(owner: str, dialect: str) -> None:
    """Raise ValueError unless `dialect` is `auto` or a name of DIALECTS."""
    if dialect != "auto" and dialect not in DIALECTS:
        raise ValueError(f"{owner}: dialect={dialect!r} is not known; known: auto, {', '.join(DIALECTS)}")


def problem_codes(parsed: ParsedResponse) -> tuple[str, ...]:
    """The codes of the parser's problems in the order of the text, without repetition; its status where it has none."""
    return tuple(dict.fromkeys(problem.code.value for problem in parsed.problems)) or (parsed.status.value,)
