"""Checks per second of the verifiers on BFCL's rows, beside BFCL's own checker: python benchmarks/verifiers.py

Needs the data of `bfcl-eval` (`pip install --no-deps bfcl-eval`). Its checker is timed where it can be imported, which
takes a stand-in for one module that imports every vendor's SDK. Prints medians of CPU time and ratios; never a test.

A check is all that a reward needs: reading the response, the ground truth and the tools, and the verdict. The last two are
cached by row, as in training, where a row comes back with every rollout; `cold` is without any cache. Half of the
responses are right; the others have a wrong value, a missing argument, a wrong name or an extra call, in turn. BFCL's
checker is given calls that are read already, as is `matching`, the part of `strict` that does the same work. `plain` is
ToolRL's formula written straight, for `toolrl` to be compared with.
"""

import argparse
import contextlib
import io
import json
import re
import sys
import time
import types
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

from awpo_ext.data.sources.bfcl_answers import NoAcceptableCall, first_call
from awpo_ext.data.sources.bfcl_source import find_source, read_category
from awpo_ext.data.tools import normalise_tool
from reward_models.parsing import ToolCall, render_response
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier
from reward_models.verifiers.compare import bfcl_string
from reward_models.verifiers.expected import parse_expected
from reward_models.verifiers.matching import Matcher
from reward_models.verifiers.schema import read_tools

CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple")
CACHED = (parse_expected, read_tools)


def variant(calls: list[ToolCall], number: int) -> list[ToolCall]:
    """The right calls, or with one fault."""
    first, *rest = calls
    arguments = dict(first.arguments)
    if number % 2 == 0 or not arguments:
        return calls
    name = next(iter(arguments))
    fault = number // 2 % 4
    if fault == 0:
        return [ToolCall(first.name, {**arguments, name: "wrong"}), *rest]
    if fault == 1:
        return [ToolCall(first.name, {key: value for key, value in arguments.items() if key != name}), *rest]
    if fault == 2:
        return [ToolCall("no_such_tool", arguments), *rest]
    return [*calls, first]


def rows_of(category: str) -> list[tuple[dict[str, Any], list[Any], list[ToolCall], Rollout]]:
    """(entry, possible answers, predicted calls, rollout) of each row whose answers fit its tools."""
    rows = []
    for entry, answers in read_category(find_source(), category):
        tools = [normalise_tool(tool) for tool in entry["function"]]
        try:
            found = [first_call(answer, tools) for answer in answers]
        except NoAcceptableCall:
            continue
        right = [ToolCall(call.name, call.arguments) for call in found]
        given = variant(right, len(rows))
        truth = render_response(right, "toolrl", thought="t")
        response = render_response(given, "toolrl", thought="The request needs a call.")
        extra = {"possible_answer": json.dumps(answers)}
        rows.append(
            (entry, answers, given, Rollout("", json.dumps(entry["function"]), response, truth, category, extra))
        )
    return rows


def plain_toolrl(response: str, truth: str) -> float:
    """ToolRL's reward written straight from its formula: no bounds, no caches, no reasons."""
    score = float(re.fullmatch(r"<think>.*?</think>\n<tool_call>\n.*?\n</tool_call>", response, re.DOTALL) is not None)
    wanted, given = (
        [json.loads(line) for line in text.split("<tool_call>")[1].split("</tool_call>")[0].strip().split("\n")]
        for text in (truth, response)
    )

    def jaccard(left: Counter, right: Counter) -> float:
        union = sum((left | right).values())
        return sum((left & right).values()) / union if union else 1.0

    earned = jaccard(Counter(call["name"] for call in wanted), Counter(call["name"] for call in given))
    possible = 1.0
    for call in wanted:
        names = call["parameters"]
        possible += 1 + len(names)
        gains = [
            jaccard(Counter(list(names)), Counter(list(other["parameters"])))
            + sum(other["parameters"].get(name) == value for name, value in names.items())
            if other["name"] == call["name"]
            else 0.0
            for other in given
        ]
        if gains and max(gains) > 0:
            earned += max(gains)
            given.pop(gains.index(max(gains)))
    return score + 6 * earned / possible - 3


def rate(check: Callable[[Any], Any], rows: list[Any], repeats: int) -> float:
    """Median checks per second of `repeats` passes over the rows, after one that is not counted."""
    rates = []
    for number in range(repeats + 1):
        started = time.process_time()
        for row in rows:
            check(row)
        if number:
            rates.append(len(rows) / (time.process_time() - started))
    return median(rates)


def bfcl_checker() -> Callable[..., dict[str, Any]] | None:
    """BFCL's `ast_checker` by category, or None where it cannot be imported."""
    stand_in = types.ModuleType("bfcl_eval.constants.model_config")
    config = types.SimpleNamespace(underscore_to_dot=False)
    stand_in.MODEL_CONFIG_MAPPING = {"none": config}
    sys.modules[stand_in.__name__] = stand_in
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from bfcl_eval.constants.enums import Language
            from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
    except ImportError as error:
        print(f"bfcl-eval's checker cannot be imported here: {error}")
        return None
    return lambda entry, calls, answers, category: ast_checker(
        entry["function"], calls, answers, Language.PYTHON, category, "none"
    )


def cold_rate(check: Callable[[Any], Any], rows: list[Any]) -> float:
    """Checks per second with every cache empty at every row."""
    spent = 0.0
    for row in rows:
        for function in CACHED:
            function.cache_clear()
        started = time.process_time()
        check(row)
        spent += time.process_time() - started
    return len(rows) / spent


def measure(category: str, checker: Callable[..., dict[str, Any]] | None, repeats: int) -> dict[str, float]:
    """Checks per second by what was measured, and how many rows were right for the two that give a verdict."""
    rows = rows_of(category)
    verifiers = {
        "strict": make_verifier("strict", dialect="toolrl"),
        "no schema": make_verifier("strict", dialect="toolrl", schema=False),
        "toolrl": make_verifier("toolrl"),
    }
    rates = {name: rate(lambda row, v=v: v.verify(row[3]), rows, repeats) for name, v in verifiers.items()}
    assert all(
        abs(plain_toolrl(r.response, r.ground_truth) - verifiers["toolrl"].verify(r).outcome) < 1e-9 for *_, r in rows
    )
    rates["plain"] = rate(lambda row: plain_toolrl(row[3].response, row[3].ground_truth), rows, repeats)
    rates["cold"] = cold_rate(lambda row: verifiers["strict"].verify(row[3]), rows)
    # What stands between the two checkers' verdicts is listed by benchmarks/bfcl_agreement.py.
    matcher = Matcher(normalise=bfcl_string)
    read = [(parse_expected(row[3].extra_info["possible_answer"]), row[2], read_tools(row[3].tools)) for row in rows]
    rates["matching"] = rate(lambda row: matcher.match(*row), read, repeats)
    rates["matching: right"] = sum(matcher.match(*row).score == 1.0 for row in read)
    if checker is not None:
        given = [
            (entry, [{c.name: c.arguments} for c in calls], answers, category) for entry, answers, calls, _ in rows
        ]
        rates["bfcl-eval"] = rate(lambda row: checker(*row), given, repeats)
        rates["bfcl-eval: right"] = sum(checker(*row)["valid"] for row in given)
    return {"rows": len(rows), **rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    checker = bfcl_checker()
    columns = [
        "rows",
        "strict",
        "no schema",
        "cold",
        "toolrl",
        "plain",
        "matching",
        "bfcl-eval",
        "  right by matching, bfcl-eval",
    ]
    print(f"checks per second of CPU time, 1 process, median of {repeats} passes")
    print(f"{'category':18s}" + "".join(f"{column:>11s}" for column in columns))
    for category in CATEGORIES:
        found = measure(category, checker, repeats)
        line = "".join(f"{found.get(column, float('nan')):11.0f}" for column in columns[:-1])
        print(
            f"{category:18s}{line}   {found['matching: right']:.0f}, {found.get('bfcl-eval: right', float('nan')):.0f}"
        )
        if checker is not None:
            ratios = [found[name] / found["bfcl-eval"] for name in columns[1:-1]]
            print(f"{'  / bfcl-eval':29s}" + "".join(f"{ratio:10.2f}x" for ratio in ratios))


if __name__ == "__main__":
    main()
