"""Verdicts of the verifier `ast` beside BFCL's own AST checker, on its ground truths and on systematic changes of them.

    pip install --no-deps bfcl-eval==2026.3.23 tree-sitter==0.21.3 tree-sitter-java==0.21.0 tree-sitter-javascript==0.21.4
    pip install filelock tenacity
    python benchmarks/bfcl_agreement.py

Two levels. `calls` gives both checkers the same decoded calls, in the form in which BFCL's accepts the most. `text` gives
both the same response in real Python, Java or JavaScript, each with its own decoder.
bfcl-eval's `model_config` imports every vendor's SDK and serves only the option of dots as underscores; a stub stands
in for it. Where the official code raises, it counts as a rejection. Prints tables, and every kind of difference with an
example.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bfcl_perturbations import Call, perturbed

from awpo_ext.data.sources.bfcl_source import find_source, read_category
from reward_models.parsing import ToolCall
from reward_models.types import Rollout
from reward_models.verifiers.ast.rows import read_row
from reward_models.verifiers.ast.verifier import AstVerifier, check_calls

CATEGORIES = (
    *("simple_python", "multiple", "parallel", "parallel_multiple", "simple_java", "simple_javascript"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
)
MODEL = "stub"
# A variable, a number, a call or creation, an array, an object, a string.
_SOURCE = re.compile(
    r"-?[0-9]+(\.[0-9]+)?[A-Za-z]?|[^\W\d][\w.]*|(new )?[^\W\d][\w.]*(<[\w, ]*>)?(\[\])?[({].*[)}]|\[.*\]|\{.*\}|\".*\""
)

Verdict = tuple[bool, str]
"""Accepted or not, and why: the official error type, or our main code."""


def language_of(category: str) -> str:
    return {"simple_java": "java", "simple_javascript": "javascript"}.get(category, "python")


@dataclass(frozen=True)
class Official:
    """BFCL's checker and decoder."""

    check: Callable[..., dict[str, Any]]
    decode: Callable[..., Any]
    languages: dict[str, tuple[Any, Any]]

    @classmethod
    def load(cls) -> Official:
        stub = types.ModuleType("bfcl_eval.constants.model_config")
        stub.MODEL_CONFIG_MAPPING = {MODEL: types.SimpleNamespace(underscore_to_dot=False)}
        sys.modules.setdefault(stub.__name__, stub)
        try:
            from bfcl_eval.constants.enums import Language, ReturnFormat
            from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
            from bfcl_eval.model_handler.utils import default_decode_ast_prompting
        except ImportError as error:
            raise SystemExit(f"{error}; install what the first lines of this file say") from error
        names = ("python", "java", "javascript")
        languages = {name: (Language[name.upper()], ReturnFormat[name.upper()]) for name in names}
        return cls(ast_checker, default_decode_ast_prompting, languages)

    def on_calls(self, row: Row, calls: list[dict[str, Any]]) -> Verdict:
        try:
            language, _ = self.languages[row.language]
            result = self.check(row.entry["function"], calls, row.answers, language, row.category, MODEL)
        except Exception as error:  # the official checker raises on some rows and some values
            return False, f"raises {type(error).__name__}"
        return bool(result["valid"]), "valid" if result["valid"] else result["error_type"]

    def on_text(self, row: Row, text: str) -> Verdict:
        try:
            calls = self.decode(text, self.languages[row.language][1])
        except Exception as error:  # how the official runner treats a text that it cannot decode
            return False, f"decoder raises {type(error).__name__}"
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            return False, "decoder gives no calls"
        return self.on_calls(row, calls)


@dataclass(frozen=True)
class Row:
    category: str
    entry: dict[str, Any]
    answers: list[dict[str, Any]]
    tools_text: str
    answers_text: str

    @property
    def language(self) -> str:
        return language_of(self.category)


def rows_of(category: str) -> Iterator[Row]:
    for entry, answers in read_category(find_source(), category):
        yield Row(category, entry, answers, json.dumps(entry["function"]), json.dumps(answers))


def ours_on_calls(row: Row, calls: list[Call]) -> Verdict:
    expected = read_row(row.tools_text, row.answers_text, row.language)
    code = check_calls(expected, [ToolCall(*call) for call in calls])[0]
    return code == "accepted", code


def ours_on_text(verifier: AstVerifier, row: Row, text: str) -> Verdict:
    outcome = verifier.verify(Rollout("", row.tools_text, text, row.answers_text, f"bfcl/{row.category}"))
    return outcome.correctness == 1.0, outcome.reason


def as_text(calls: list[Call], language: str) -> str:
    """The calls as a response. In Java and JavaScript a text that cannot stand in source code is a string literal."""
    write = repr if language == "python" else _in_source
    written = (f"{name}({', '.join(f'{key}={write(value)}' for key, value in args.items())})" for name, args in calls)
    return f"[{', '.join(written)}]"


def _in_source(text: Any) -> str:
    return text if isinstance(text, str) and _SOURCE.fullmatch(text) else json.dumps(text)


@dataclass
class Tally:
    checks: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)

    def add(self, key: str, official: Verdict, ours: Verdict) -> None:
        self.checks[key] += 1
        self.accepted[key] += official[0]
        self.different[key] += official[0] != ours[0]

    def show(self, title: str) -> None:
        print(f"\n| {title} | checks | accepted by BFCL | differences | agreement |\n|---|---:|---:|---:|---:|")
        for key in [*self.checks, None]:
            checks, accepted, different = (
                sum(counter.values()) if key is None else counter[key]
                for counter in (self.checks, self.accepted, self.different)
            )
            share = f"{100 * (1 - different / checks):.3f} %"
            print(f"| {key or '**all**'} | {checks} | {accepted} | {different} | {share} |")


@dataclass
class Level:
    """The comparison at one level, `calls` or `text`."""

    name: str
    categories: Tally = field(default_factory=Tally)
    changes: Tally = field(default_factory=Tally)
    examples: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)

    def add(self, row: Row, what: str, shown: Any, official: Verdict, ours: Verdict) -> None:
        self.categories.add(row.category, official, ours)
        self.changes.add(what, official, ours)
        if official[0] != ours[0]:
            kind = (row.language, f"BFCL {official[1]}", f"ours {ours[1]}")
            self.examples.setdefault(kind, []).append(f"{row.entry['id']}, {what}: {shown}; answers {row.answers_text}")

    def show(self, every: bool) -> None:
        print(f"\n## Level {self.name}")
        self.categories.show("category")
        self.changes.show("change")
        print("\nDifferences by kind:")
        for kind, found in sorted(self.examples.items()):
            print(f"- {len(found)} x {', '.join(kind)}")
            for example in found if every else found[:1]:
                print(f"    {example}")


def compare(categories: list[str], limit: int | None = None) -> tuple[Level, Level, dict[str, float]]:
    """Both levels over the rows of the categories (the first `limit` of each), and seconds spent in each checker."""
    official, verifier = Official.load(), AstVerifier()
    on_calls, on_text = Level("calls"), Level("text")
    seconds: dict[str, float] = {"BFCL": 0.0, "ours": 0.0}

    def timed(who: str, judge: Callable[..., Verdict], *args: Any) -> Verdict:
        started = time.perf_counter()
        verdict = judge(*args)
        seconds[who] += time.perf_counter() - started
        return verdict

    for category in categories:
        for row in list(rows_of(category))[:limit]:
            for what, calls in perturbed(row.entry, row.answers, row.language, real_java=False):
                plain = [{name: arguments} for name, arguments in calls]
                theirs = timed("BFCL", official.on_calls, row, plain)
                on_calls.add(row, what, plain, theirs, timed("ours", ours_on_calls, row, calls))
            for what, calls in perturbed(row.entry, row.answers, row.language, real_java=True):
                text = as_text(calls, row.language)
                on_text.add(row, what, text, official.on_text(row, text), ours_on_text(verifier, row, text))
    return on_calls, on_text, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--categories", nargs="*", choices=CATEGORIES, default=list(CATEGORIES))
    parser.add_argument("--limit", type=int, help="rows of each category; all by default")
    parser.add_argument("--every", action="store_true", help="list every difference, not one of a kind")
    args = parser.parse_args()
    on_calls, on_text, seconds = compare(args.categories, args.limit)
    print(f"bfcl-eval {find_source().version}")
    for level in (on_calls, on_text):
        level.show(args.every)
    checks = sum(on_calls.categories.checks.values())
    print("\nSpeed on calls: " + ", ".join(f"{who} {checks / taken:,.0f}/s" for who, taken in seconds.items()))


if __name__ == "__main__":
    main()
