"""Predicted and expected calls are run, and what counts is what they return: two ways to write an argument are as good.

    correctness = 2 * matched / (expected + predicted calls)         in [0, 1]

A predicted call matches an expected one of the same name that returns the same, one to one. So a call that nobody
expected costs, and so does one that is missing. Each list of calls runs in a process of its own, in its order; the tools
get JSON arguments by name.

Of an expected call with alternatives, the first MAX_VARIANTS combinations are run. A predicted call whose arguments are
themselves acceptable matches without that, if it does not raise; only one that returns the same as a combination beyond
them, by arguments that the row does not list, is not seen.

For tools that are functions of their arguments. One whose work is a side effect returns the same for any arguments; the
mode `state` sees what it did.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from reward_models.options import Range
from reward_models.parsing import Status, ToolCall
from reward_models.sandbox.jobs import RETURNED, UNKNOWN_TOOL
from reward_models.sandbox.replies import are_results
from reward_models.sandbox.snapshot import same
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome
from reward_models.verifiers.expected import ExpectedCall, ExpectedObject, read_expected
from reward_models.verifiers.irrelevance import ABSTAINED, abstention_codes
from reward_models.verifiers.matching import Matcher
from reward_models.verifiers.reading import Reading, parse_own, problem_codes
from reward_models.verifiers.tools.sandboxed import SandboxedVerifier, Trial

_OWNER = "verifier 'exec'"
_RUN = "reward_models.sandbox.jobs:run_calls"

MAX_VARIANTS = 16

_AS_LISTED = Matcher()  # whether arguments are acceptable as they are

EXACT = "exact"
NO_CALL = "no_call"
MISSING_CALL = "missing_call"  # an expected result that no call obtained
EXTRA_CALL = "extra_call"  # more calls than expected
WRONG_RESULT = "wrong_result"
CALL_RAISED = "call_raised"
UNKNOWN = "unknown_tool"


@dataclass(frozen=True)
class ExecConfig(Reading, owner=_OWNER):
    """Options of the mode.

    `tools_module`: "package.module" with the tools, or a list of such, of which a row names its own by
    `extra_info["tools_module"]`; the first is the default. Only functions in the module's `__all__`, and those marked
    with `reward_models.sandbox.tool`, can be called. `float_tolerance`: by how much numbers in results may differ,
    relative or absolute. `dialect`, `thinking`: see `parse_response`. `sandbox`: options of `SandboxConfig`.
    """

    tools_module: str | Sequence[str] = ()
    float_tolerance: Annotated[float, Range(0.0, 1.0)] = 1e-9
    sandbox: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        modules = [self.tools_module] if isinstance(self.tools_module, str) else self.tools_module
        if not modules or not all(isinstance(name, str) and name for name in modules):
            raise ValueError(
                f"{_OWNER}: tools_module={self.tools_module!r} must be 'package.module', or a list of such"
            )
        object.__setattr__(self, "tools_module", tuple(modules))


class ExecVerifier(SandboxedVerifier):
    """Correctness in [0, 1]. `parts`: `obtained`, the share of expected results that were obtained; `spurious` and
    `raised`, the numbers of predicted calls that match nothing and of those that raised.

    Where no call is expected, an answer without a call gets 1 and everything else 0.
    """

    def __init__(self, **options: Any) -> None:
        self.config = ExecConfig.read(options)
        super().__init__(_OWNER, self.config.sandbox, self.config.tools_module)

    def check(self) -> None:
        self.check_tools(modules=self.config.tools_module)

    def check_row(self, rollout: Rollout) -> None:
        read_expected(rollout)
        self._module(rollout)

    def begin(self, rollout: Rollout) -> Outcome | Trial:
        expected = read_expected(rollout)
        parsed = parse_own(rollout, self.config)
        if not expected:
            codes = abstention_codes(parsed)
            return Outcome(0.0, float(codes == (ABSTAINED,)), codes[0], reasons=codes)
        if parsed.status is not Status.VALID:
            codes = (NO_CALL,) if parsed.status is Status.ABSTAINED else problem_codes(parsed)
            return Outcome(0.0, 0.0, codes[0], reasons=codes)
        module = self._module(rollout)
        calls = [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
        variants = [_variants(call) for call in expected]
        payload = {"module": module, "calls": [call for group in variants for call in group]}
        return self.trial(
            response=(_RUN, {"module": module, "calls": calls}),
            expected=self.expected_task(json.dumps(payload), _RUN, payload),
            fits=partial(are_results, count=len(calls)),
            judge=partial(self._compare, parsed.calls, expected, [len(group) for group in variants]),
        )

    def _module(self, rollout: Rollout) -> str:
        named = rollout.extra_info.get("tools_module") or self.config.tools_module[0]
        if named not in self.config.tools_module:
            raise ValueError(f"extra_info['tools_module']={named!r} is not among {_OWNER}'s tools_module")
        return named

    def _compare(
        self,
        predicted: Sequence[ToolCall],
        expected: Sequence[ExpectedCall],
        sizes: Sequence[int],
        results: list[Any],
        expected_results: list[Any],
    ) -> Outcome:
        groups = iter(expected_results)
        accepted = [
            _returned(call, [next(groups) for _ in range(size)]) for call, size in zip(expected, sizes, strict=True)
        ]
        matches = [
            [
                given.name == wanted.name
                and result[0] == RETURNED
                and (self._is_one_of(result[1], forms) or _AS_LISTED.pair(wanted, given, None).loss == 0)
                for given, result in zip(predicted, results, strict=True)
            ]
            for wanted, forms in zip(expected, accepted, strict=True)
        ]
        pairs = _pair(matches)
        matched = {column for _, column in pairs}
        over = [result for place, result in enumerate(results) if place not in matched]
        score = 2.0 * len(pairs) / (len(expected) + len(predicted))
        codes = _codes(over, len(expected), len(predicted), len(pairs))
        parts = {
            "obtained": len(pairs) / len(expected),
            "spurious": float(len(over)),
            "raised": float(sum(result[0] != RETURNED for result in over)),
        }
        return Outcome(0.0, score, codes[0], parts=parts, reasons=codes)

    def _is_one_of(self, form: Any, accepted: Sequence[Any]) -> bool:
        return any(same(form, wanted, self.config.float_tolerance) for wanted in accepted)


def _variants(call: ExpectedCall) -> list[dict[str, Any]]:
    """The call with its acceptable values, at most MAX_VARIANTS combinations, the first of each argument first."""
    # "" on an optional argument says that it may be left out.
    choices = [
        [(name, value) for value in values if not (value == "" and name in call.optional)] or [None]
        for name, values in call.arguments.items()
    ]
    combinations = itertools.islice(itertools.product(*choices), MAX_VARIANTS)
    return [
        {"name": call.name, "arguments": {pair[0]: _plain(pair[1]) for pair in chosen if pair}}
        for chosen in combinations
    ]


def _plain(value: Any) -> Any:
    """An acceptable value as a tool takes it: nested alternatives by the first of them."""
    if isinstance(value, ExpectedObject):
        return {name: _plain(values[0]) for name, values in value.fields.items() if name not in value.optional}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _returned(call: ExpectedCall, results: list[Any]) -> list[Any]:
    forms = [result[1] for result in results if result[0] == RETURNED]
    if not forms:
        raise ValueError(f"{_OWNER}: the expected call of {call.name!r} raises {': '.join(results[0][1:])}")
    return forms


def _pair(matches: list[list[bool]]) -> list[tuple[int, int]]:
    """As many (expected, predicted) pairs as there can be."""
    from scipy.optimize import linear_sum_assignment  # not for importing the package

    rows, columns = linear_sum_assignment(matches, maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if matches[i][j]]


def _codes(over: list[Any], expected: int, predicted: int, matched: int) -> tuple[str, ...]:
    codes = {
        UNKNOWN: any(result[1] == UNKNOWN_TOOL for result in over if result[0] != RETURNED),
        CALL_RAISED: any(result[1] != UNKNOWN_TOOL for result in over if result[0] != RETURNED),
        WRONG_RESULT: any(result[0] == RETURNED for result in over) and matched < expected,
        MISSING_CALL: predicted < expected,
        EXTRA_CALL: predicted > expected,
    }
    return tuple(code for code, found in codes.items() if found) or (EXACT,)
