"""Hypothesis strategies and a slow reference for matching: few names and values, so that calls collide."""

import itertools
import json

from hypothesis import strategies as st

from reward_models.parsing import ToolCall
from reward_models.verifiers.compare import ANYTHING, Difference, compare_any
from reward_models.verifiers.expected import ExpectedCall, ExpectedObject
from reward_models.verifiers.schema import read_tools

NAMES, ARGUMENTS = ["f", "g", "h"], ["a", "b", "c"]
TYPES = ["integer", "number", "string", "boolean", "array", "object", "any"]

values = st.sampled_from([0, 1, True, False, 1.0, 2, None, "a", "1", "", [1], [1.0], [[1]], {"k": "v"}, {"k": 1}, {}])
accepted_values = st.one_of(
    values,
    st.builds(
        ExpectedObject,
        st.dictionaries(st.sampled_from(["k", "l"]), st.lists(values, min_size=1, max_size=2).map(tuple), max_size=2),
        st.frozensets(st.sampled_from(["k", "l"])),
    ),
)


@st.composite
def expected_calls(draw, min_size=0):
    calls = []
    for _ in range(draw(st.integers(min_size, 4))):
        names = draw(st.lists(st.sampled_from(ARGUMENTS), unique=True))
        arguments = {name: tuple(draw(st.lists(accepted_values, min_size=1, max_size=3))) for name in names}
        optional = draw(st.frozensets(st.sampled_from(names))) if names else frozenset()
        calls.append(ExpectedCall(draw(st.sampled_from(NAMES)), arguments, optional))
    return tuple(calls)


predicted_call = st.builds(
    ToolCall,
    st.sampled_from([*NAMES, "unknown"]),
    st.dictionaries(st.sampled_from([*ARGUMENTS, "x"]), values, max_size=3),
)
predicted_calls = st.lists(predicted_call, max_size=4)


@st.composite
def tool_texts(draw):
    """The tools of a row as JSON: none at all, or f, g and h with some schema."""
    if draw(st.booleans()):
        return ""
    tools = []
    for name in NAMES:
        properties = {argument: {"type": draw(st.sampled_from(TYPES))} for argument in ARGUMENTS}
        required = draw(st.lists(st.sampled_from(ARGUMENTS), unique=True))
        parameters = {"type": "object", "properties": properties, "required": required}
        tools.append({"name": name, "parameters": parameters})
    return json.dumps(tools)


toolboxes = tool_texts().map(read_tools)


def plain_value(accepted):
    """The plain value that is the first choice everywhere inside of an acceptable one."""
    if isinstance(accepted, ExpectedObject):
        return {name: plain_value(choices[0]) for name, choices in accepted.fields.items()}
    return accepted


def right_call(expected, tools, choose=lambda options: options[0], give_optional=True):
    """A right call; "" marks absence, so an argument with that choice is left out where it may be, and never chosen."""
    required = tools[expected.name].required if expected.name in tools else frozenset()
    arguments = {}
    for name, accepted in expected.arguments.items():
        may_be_absent = name in expected.optional and name not in required
        options = [plain_value(value) for value in accepted if value != ""] or [""]
        if may_be_absent and (not give_optional or options == [""]):
            continue
        arguments[name] = choose(options)
    return ToolCall(expected.name, arguments)


def slow_loss(wanted, given, tools):
    """Units lost by pairing two calls, counted one by one; None where their names differ."""
    if wanted.name != given.name:
        return None
    tool, lost = tools.get(given.name), 0
    right, off_schema = {}, {}
    for name, value in given.arguments.items():
        off_schema[name] = tool is not None and tool.violates(name, value)
        shape = tool.shape.field(name) if tool else ANYTHING
        difference = compare_any(value, wanted.arguments.get(name, ()), shape)
        only_blank = set(map(repr, wanted.arguments.get(name, ()))) == {"''"}
        stands_for_absence = value == "" and name in wanted.optional and off_schema[name]
        stands_for_absence = stands_for_absence and not (only_blank and name in tool.required)
        right[name] = difference is Difference.EQUAL and not stands_for_absence
    for name in wanted.arguments:
        if name in wanted.optional and not (tool and name in tool.required):
            continue
        lost += name not in right or (off_schema[name] and not right[name])
        lost += not right.get(name, False)
    for name in given.arguments:
        needed = name in wanted.arguments and (name not in wanted.optional or (tool and name in tool.required))
        lost += not right[name] and (off_schema[name] or not needed)
        lost += not right[name]
    return lost


def slow_units(expected, predicted, tools):
    """(units of each expected call, units of each predicted call)."""

    def units(call):
        required = tools[call.name].required if call.name in tools else frozenset()
        return 1 + 2 * sum(name not in call.optional or name in required for name in call.arguments)

    return [units(call) for call in expected], [1 + 2 * len(call.arguments) for call in predicted]


def slow_score(expected, predicted, tools, ordered=False):
    """The best score over every way to pair the calls."""
    left, right = slow_units(expected, predicted, tools)
    total = sum(left) + sum(right)
    if not total:
        return 1.0
    loss = [[slow_loss(wanted, call, tools) for call in predicted] for wanted in expected]
    best = total
    for size in range(min(len(expected), len(predicted)) + 1):
        for rows in itertools.combinations(range(len(expected)), size):
            for columns in itertools.permutations(range(len(predicted)), size):
                if ordered and list(columns) != sorted(columns):
                    continue
                losses = [loss[i][j] for i, j in zip(rows, columns, strict=True)]
                if None in losses:
                    continue
                rest = sum(left) - sum(left[i] for i in rows) + sum(right) - sum(right[j] for j in columns)
                best = min(best, sum(losses) + rest)
    return 1.0 - best / total


def greedy_score(expected, predicted, tools):
    """The score of taking, for each expected call in turn, the unused predicted call with the least loss."""
    left, right = slow_units(expected, predicted, tools)
    total = lost = sum(left) + sum(right)
    unused = set(range(len(predicted)))
    for i, wanted in enumerate(expected):
        gains = {j: slow_loss(wanted, predicted[j], tools) for j in sorted(unused)}
        gains = {j: loss - left[i] - right[j] for j, loss in gains.items() if loss is not None}
        if gains:
            best = min(gains, key=gains.__getitem__)
            lost += gains[best]
            unused.remove(best)
    return 1.0 - lost / total if total else 1.0
