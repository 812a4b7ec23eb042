"""The outcome of BFCL's AST categories: 1 where the calls are right by the rules of BFCL's own checker, else 0.

The rules for one call are in `ast_rules`; here a response becomes calls, and the calls are paired with the expected
ones. docs/verifier_ast.md lists every deliberate difference from the official checker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from reward_models.options import OneOf
from reward_models.parsing import ParsedResponse, Status, ToolCall
from reward_models.parsing.thoughts import split_thought
from reward_models.parsing.types import Unreadable
from reward_models.types import Rollout
from reward_models.verifiers.ast.literals import NotALiteral, read_calls
from reward_models.verifiers.ast.rows import LANGUAGES, read_row
from reward_models.verifiers.ast.rules import AstCall, AstCode
from reward_models.verifiers.base import Outcome, Verifier
from reward_models.verifiers.reading import Reading, parse_own, problem_codes

OWNER = "verifier 'ast'"
NO_CALL = "no_call"
NOT_CALLS = "not_calls"


@dataclass(frozen=True)
class AstConfig(Reading, owner=OWNER):
    """`dialect`, `thinking`: see `parse_response`.

    In rows of Java and JavaScript `python` (call syntax) means calls in that language's syntax; with any other dialect
    an argument must be a string that holds the literal's source text, as BFCL asks of function-calling models.
    `language` is `python`, `java`, `javascript`, or `auto`: by the last part of the row's category (`extra_info` or
    `data_source`), such as `bfcl/simple_java`. `underscore_names` expects `a_b` for the tool `a.b`, for models whose
    tool names cannot hold a dot.
    """

    dialect: str = "python"
    language: Annotated[str, OneOf(("auto", *LANGUAGES))] = "auto"
    underscore_names: bool = False


class AstVerifier(Verifier):
    """BFCL's verdict as correctness 1 or 0; format and parts are empty.

    The ground truth is `extra_info["possible_answer"]` where the row has it, else `ground_truth`: BFCL's possible
    answers as a JSON list. `rollout.tools` must be there. `reason` and `reasons` are `AstCode`s, or say why there are
    no calls: the parser's codes, `no_call` for an answer without one, or `not_calls` for Java and JavaScript.
    """

    outcome_range = (0.0, 1.0)

    def __init__(self, **options: Any) -> None:
        self.config = AstConfig.read(options)

    def verify(self, rollout: Rollout) -> Outcome:
        """Judge one response. ValueError where the row's tools or possible answers are not in BFCL's form."""
        language = self._language(rollout)
        answers = rollout.extra_info.get("possible_answer") or rollout.ground_truth
        if not isinstance(answers, str):
            raise ValueError(f"extra_info['possible_answer'] must be a JSON string, got {str(answers)[:200]!r}")
        expected = read_row(rollout.tools, answers, language, self.config.underscore_names)
        if language != "python" and self.config.dialect == "python":
            thinking = rollout.extra_info.get("thinking") or self.config.thinking
            codes = _judge_source(expected, rollout.response, thinking)
        else:
            codes = _judge_parsed(expected, parse_own(rollout, self.config))
        return Outcome(0.0, float(codes == (AstCode.ACCEPTED.value,)), codes[0], reasons=codes)

    def _language(self, rollout: Rollout) -> str:
        if self.config.language != "auto":
            return self.config.language
        category = str(rollout.extra_info.get("category") or rollout.data_source).rsplit("/", 1)[-1]
        return next((name for name in ("javascript", "java") if name in category), "python")


def check_calls(expected: Sequence[AstCall], calls: Sequence[ToolCall]) -> tuple[str, ...]:
    """(ACCEPTED,) where the calls can be paired with the expected ones, in any order, so that each is right.

    Otherwise what is wrong, the main code first; of several calls, what is wrong in a pairing with the most right ones.
    """
    if len(calls) != len(expected):
        return (AstCode.WRONG_COUNT.value,)
    in_place = [wanted.check(call.name, call.arguments) for wanted, call in zip(expected, calls, strict=True)]
    if all(problem is None for problem in in_place):
        return (AstCode.ACCEPTED.value,)
    if len(expected) == 1:
        return (in_place[0].value,)
    problems = [[wanted.check(call.name, call.arguments) for call in calls] for wanted in expected]
    found = dict.fromkeys(problems[i][j].value for i, j in _pairs(problems) if problems[i][j] is not None)
    return (AstCode.NO_MATCH.value, *found) if found else (AstCode.ACCEPTED.value,)


def _pairs(problems: list[list[AstCode | None]]) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment  # not for importing the package

    costs = [[problem is not None for problem in row] for row in problems]
    return list(zip(*linear_sum_assignment(costs), strict=True))


def _judge_parsed(expected: Sequence[AstCall], parsed: ParsedResponse) -> tuple[str, ...]:
    if parsed.status is Status.VALID:
        return check_calls(expected, parsed.calls)
    return (NO_CALL,) if parsed.status is Status.ABSTAINED else problem_codes(parsed)


def _judge_source(expected: Sequence[AstCall], response: str, thinking: str) -> tuple[str, ...]:
    """Calls in Java or JavaScript syntax, after a thought or without one."""
    try:
        calls = read_calls(response[split_thought(response, thinking)[1] :])
    except Unreadable as error:
        return (error.problem.code.value,)
    except NotALiteral:
        return (NOT_CALLS,)
    return check_calls(expected, calls)
