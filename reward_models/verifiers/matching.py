"""How well predicted calls fit the expected ones: an optimal assignment under a loss that counts both ways.

A call is worth 1 unit for its name, and 1 for the name and 1 for the value of each argument. What an expected call
wants and does not get is lost, and so is what a predicted call holds and nobody wants:

    score = 1 - lost units / (units of the expected calls + units of the predicted calls)        in [0, 1]

Optional arguments count on the predicted side only, so the denominator does not depend on the assignment: the least
loss is the best score, and a linear assignment finds it. A call that is left over adds to loss and units alike, hence
never raises the score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from reward_models.parsing import ToolCall
from reward_models.verifiers.compare import ANYTHING, EQUAL, Difference, Normalise, compare_any
from reward_models.verifiers.expected import ExpectedCall
from reward_models.verifiers.schema import Tool

# Predicted calls beyond the expected number of them; with more, nothing is matched and the score is 0.
MAX_SPURIOUS = 128

Pairs = list[tuple[int, int]]
_SCALARS = frozenset({str, int, float, bool, type(None)})


class MatchCode(str, Enum):
    """What was found, besides `Difference`s of values. EXACT stands alone."""

    EXACT = "exact"
    TOO_MANY_CALLS = "too_many_calls"  # not matched, see MAX_SPURIOUS
    UNKNOWN_TOOL = "unknown_tool"  # a call to a tool that the row does not offer
    MISSING_CALL = "missing_call"
    EXTRA_CALL = "extra_call"
    REPEATED_CALL = "repeated_call"  # an extra call that equals another predicted one
    WRONG_ORDER = "wrong_order"  # ordered mode: missing in one place, extra in another
    MISSING_ARGUMENT = "missing_argument"
    EXTRA_ARGUMENT = "extra_argument"
    OFF_SCHEMA = "off_schema"  # a wrong value that breaks the argument's schema as well


# The main reason is the first of these that was found.
_PRECEDENCE = {code.value: place for place, code in enumerate([*MatchCode, *Difference])}


@dataclass(frozen=True)
class Match:
    """The best assignment.

    `score` is in [0, 1] and 1 only where every call is right and none is over. `pairs` are (expected, predicted)
    indices. `codes` are without repetition, the main one first. `parts`:
        name: share of all calls, expected and predicted, that have a partner of their name;
        parameter_names: of the paired calls, shared argument names / all of their argument names;
        values: of the paired calls, right values / shared argument names;
        missing, extra: number of expected and of predicted calls without a partner.
    The shares are 1 where there is nothing to count, but parameter_names and values are 0 without any pair.
    """

    score: float
    pairs: tuple[tuple[int, int], ...]
    parts: Mapping[str, float]
    codes: tuple[str, ...]


class _Pair(NamedTuple):
    """What one predicted call earns for one expected call of its name; `loss` is in units."""

    loss: int
    shared: int
    names: int
    right: int
    codes: tuple[str, ...]


_EXACT_PARTS = {"name": 1.0, "parameter_names": 1.0, "values": 1.0, "missing": 0.0, "extra": 0.0}
_NO_PARTS = {"name": 0.0, "parameter_names": 0.0, "values": 0.0}


@dataclass(frozen=True)
class Matcher:
    """The rules of a match: `ordered` calls or not, and how strings are normalised before they are compared."""

    ordered: bool = False
    normalise: Normalise | None = None

    def __post_init__(self) -> None:
        # Here and not in the middle of a run: the first import takes a third of a second.
        import scipy.optimize  # noqa: F401

    def match(
        self, expected: Sequence[ExpectedCall], predicted: Sequence[ToolCall], tools: Mapping[str, Tool]
    ) -> Match:
        """Match the calls. `tools` by name may be empty: then nothing is checked against a schema and 1 is not 1.0.

        The expected values are right whatever the schema says. Without calls on both sides the match is exact. The
        result does not depend on the order of the predicted calls unless `ordered`.
        """
        if self._fits_in_place(expected, predicted, tools):
            pairs = tuple((i, i) for i in range(len(expected)))
            return Match(1.0, pairs, _EXACT_PARTS, (MatchCode.EXACT.value,))
        if len(predicted) > len(expected) + MAX_SPURIOUS:
            parts = {**_NO_PARTS, "missing": float(len(expected)), "extra": float(len(predicted))}
            return Match(0.0, (), parts, (MatchCode.TOO_MANY_CALLS.value,))
        return _Assignment(self, expected, predicted, tools).solve()

    def _fits_in_place(
        self, expected: Sequence[ExpectedCall], predicted: Sequence[ToolCall], tools: Mapping[str, Tool]
    ) -> bool:
        # The usual right answer has the calls in the order of the truth: no assignment is needed.
        if len(expected) != len(predicted):
            return False
        for wanted, given in zip(expected, predicted, strict=True):
            if wanted.name != given.name or self.pair(wanted, given, tools.get(given.name)).loss:
                return False
        return True

    def pair(self, wanted: ExpectedCall, given: ToolCall, tool: Tool | None) -> _Pair:
        """Compare the arguments of two calls of one name."""
        arguments = given.arguments
        shape = tool.shape if tool else ANYTHING
        loss = shared = right = absent = 0
        codes: list[str] = []
        for name, accepted in wanted.arguments.items():
            if name not in arguments:
                if _must_be_given(name, wanted, tool):
                    loss += 2
                    absent += 1
                    codes.append(MatchCode.MISSING_ARGUMENT.value)
                continue
            value = arguments[name]
            shared += 1
            kind = type(value)
            if kind in _SCALARS and kind is type(accepted[0]) and value == accepted[0] and value != "":
                # The usual case needs no schema.
                right += 1
                continue
            difference = compare_any(value, accepted, shape.field(name), self.normalise)
            if difference is EQUAL and not (value == "" and _marks_absence(name, wanted, tool)):
                right += 1
                continue
            off_schema = tool is not None and tool.violates(name, value)
            codes.append((Difference.WRONG_TYPE if difference is EQUAL else difference).value)
            if off_schema:
                codes.append(MatchCode.OFF_SCHEMA.value)
            # A wrong value of an optional argument is worth as much as an argument that nobody wants, and so is,
            # on both sides, a value that breaks the schema: its name earns nothing.
            loss += 4 if off_schema and _must_be_given(name, wanted, tool) else 2
        extra = len(arguments) - shared
        if extra:
            codes.append(MatchCode.EXTRA_ARGUMENT.value)
        return _Pair(loss + 2 * extra, shared, shared + absent + extra, right, tuple(codes))


def _must_be_given(name: str, wanted: ExpectedCall, tool: Tool | None) -> bool:
    # BFCL marks arguments as optional that its schema requires; the schema wins.
    return name not in wanted.optional or (tool is not None and name in tool.required)


def _marks_absence(name: str, wanted: ExpectedCall, tool: Tool | None) -> bool:
    # "" among the values of an optional argument that is no string says that it may be absent, not that "" is right.
    # Where it may not be absent and there is no other value, "" is what the row wants.
    if name not in wanted.optional or tool is None:
        return False
    is_all_there_is = name in tool.required and all(value == "" for value in wanted.arguments[name])
    return not is_all_there_is and tool.violates(name, "")


class _Assignment:
    """One match that is not exact in place; predicted calls are in a canonical order unless it matters."""

    def __init__(
        self,
        rules: Matcher,
        expected: Sequence[ExpectedCall],
        predicted: Sequence[ToolCall],
        tools: Mapping[str, Tool],
    ) -> None:
        self.rules, self.expected, self.predicted, self.tools = rules, expected, predicted, tools
        self.keys = [_canonical(call) for call in predicted] if len(predicted) > 1 else [""]
        order = range(len(predicted))
        # So that ties between assignments fall alike for every permutation of the calls.
        self.order = list(order) if rules.ordered else sorted(order, key=self.keys.__getitem__)
        self.units_of_expected = [self._units(call) for call in expected]
        self.units_of_predicted = [1 + 2 * len(call.arguments) for call in predicted]
        self.candidates: dict[tuple[int, int], _Pair] = {}

    def solve(self) -> Match:
        pairs = self._in_order() if self.rules.ordered else self._in_any_order()
        units = sum(self.units_of_expected) + sum(self.units_of_predicted)
        lost = units + sum(self._gain(*pair) for pair in pairs)
        return Match(1.0 - lost / units, tuple(sorted(pairs)), self._parts(pairs), self._codes(pairs))

    def _units(self, call: ExpectedCall) -> int:
        tool = self.tools.get(call.name)
        return 1 + 2 * sum(_must_be_given(name, call, tool) for name in call.arguments)

    def _pair(self, i: int, j: int) -> _Pair:
        if (i, j) not in self.candidates:
            wanted, given = self.expected[i], self.predicted[j]
            self.candidates[i, j] = self.rules.pair(wanted, given, self.tools.get(given.name))
        return self.candidates[i, j]

    def _gain(self, i: int, j: int) -> int:
        """What pairing the two adds to the loss, against leaving both over: always negative, the names agree."""
        return self._pair(i, j).loss - self.units_of_expected[i] - self.units_of_predicted[j]

    def _in_any_order(self) -> Pairs:
        # Calls of different names earn nothing together, so each name is a problem of its own.
        expected_of, predicted_of = {}, {}
        for i, call in enumerate(self.expected):
            expected_of.setdefault(call.name, []).append(i)
        for j in self.order:
            predicted_of.setdefault(self.predicted[j].name, []).append(j)
        pairs: Pairs = []
        for name, rows in expected_of.items():
            columns = predicted_of.get(name, [])
            if len(rows) == 1 and columns:
                pairs.append((rows[0], min(columns, key=lambda j, i=rows[0]: self._gain(i, j))))
            elif len(columns) == 1:
                pairs.append((min(rows, key=lambda i, j=columns[0]: self._gain(i, j)), columns[0]))
            elif columns:
                pairs += self._assign(rows, columns)
        return pairs

    def _assign(self, rows: list[int], columns: list[int]) -> Pairs:
        from scipy.optimize import linear_sum_assignment

        gains = [[self._gain(i, j) for j in columns] for i in rows]
        return [(rows[a], columns[b]) for a, b in zip(*linear_sum_assignment(gains), strict=True)]

    def _in_order(self) -> Pairs:
        """The best pairs that do not cross: an alignment by dynamic programming."""
        m, n = len(self.expected), len(self.predicted)
        best = [[0] * (n + 1) for _ in range(m + 1)]
        for i in reversed(range(m)):
            for j in reversed(range(n)):
                best[i][j] = min(best[i + 1][j], best[i][j + 1])
                if self.expected[i].name == self.predicted[j].name:
                    best[i][j] = min(best[i][j], self._gain(i, j) + best[i + 1][j + 1])
        pairs, i, j = [], 0, 0
        while i < m and j < n:
            if best[i][j] == best[i + 1][j]:
                i += 1
            elif best[i][j] == best[i][j + 1]:
                j += 1
            else:
                pairs.append((i, j))
                i, j = i + 1, j + 1
        return pairs

    def _parts(self, pairs: Pairs) -> dict[str, float]:
        m, n = len(self.expected), len(self.predicted)
        chosen = [self._pair(*pair) for pair in pairs]
        shared, names = sum(pair.shared for pair in chosen), sum(pair.names for pair in chosen)
        nothing = 1.0 if pairs else 0.0
        return {
            "name": 2.0 * len(pairs) / (m + n),
            "parameter_names": shared / names if names else nothing,
            "values": sum(pair.right for pair in chosen) / shared if shared else nothing,
            "missing": float(m - len(pairs)),
            "extra": float(n - len(pairs)),
        }

    def _codes(self, pairs: Pairs) -> tuple[str, ...]:
        codes = {code for pair in pairs for code in self._pair(*pair).codes}
        paired = {j for _, j in pairs}
        matched = {i for i, _ in pairs}
        missing = {call.name for i, call in enumerate(self.expected) if i not in matched}
        if missing:
            codes.add(MatchCode.MISSING_CALL.value)
        keys = {self.keys[j] for j in paired}
        for j in self.order:
            if j in paired:
                continue
            name = self.predicted[j].name
            codes.add(MatchCode.EXTRA_CALL.value)
            if self.tools and name not in self.tools:
                codes.add(MatchCode.UNKNOWN_TOOL.value)
            if self.keys[j] in keys:
                codes.add(MatchCode.REPEATED_CALL.value)
            if name in missing:
                codes.add(MatchCode.WRONG_ORDER.value)
            keys.add(self.keys[j])
        return tuple(sorted(codes, key=_PRECEDENCE.__getitem__)) or (MatchCode.EXACT.value,)


def _canonical(call: ToolCall) -> str:
    """A text that is the same for equal calls only, whatever the order of their arguments; 1, 1.0 and true differ."""
    return json.dumps([call.name, call.arguments], sort_keys=True, default=repr)
