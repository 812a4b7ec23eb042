"""The report on one judge: all measures with what they were measured on, to and from JSON."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from reward_models.judge_eval import measures, robustness
from reward_models.judge_eval.measures import Agreement, Coverage, KindResult, LengthBias, RowResult
from reward_models.judge_eval.records import rollout_hash
from reward_models.judge_eval.robustness import Canaries, Consistency, Cost, OrderBias, Speed
from reward_models.judge_eval.run import Answers, EvalConfig
from reward_models.labelled import HONEST, LabelledRollout
from reward_models.scorers.features.measure import Parts

FORMAT = 1
_SECRET = re.compile(r"(?:key|token|secret|password)$", re.IGNORECASE)


@dataclass(frozen=True)
class DataInfo:
    """What a judge was measured on. `rows_hash` stands for the rows' content; equal ones can be compared."""

    path: str
    rows_hash: str
    rows: int
    sources: int
    honest: int
    kinds: int


@dataclass(frozen=True)
class Report:
    """All that was measured of one judge. `broke` counts rows lost because the judge raised or returned no verdict.

    A part is None where it does not apply: no repeated votes, no `compare`, nothing scored, no ledger, no parts.
    """

    format: int
    name: str
    judge: str
    options: dict[str, Any]
    judge_hash: str
    made: dict[str, str]
    data: DataInfo
    coverage: Coverage
    agreement: Agreement
    kinds: dict[str, KindResult]
    length: LengthBias
    consistency: Consistency | None
    order: OrderBias | None
    canaries: Canaries | None
    speed: Speed
    cost: Cost | None
    broke: int
    rows: list[RowResult]
    parts: Parts | None = None


def make_report(
    name: str,
    judge: str,
    options: Mapping[str, Any],
    judge_hash: str,
    path: Path,
    rows: Sequence[LabelledRollout],
    answers: Answers,
    config: EvalConfig,
    parts: Parts | None = None,
) -> Report:
    """Measure; takes seconds, for the intervals. `parts` is what a scorer's parts give on the same rows."""
    results = [measures.row_result(row, record.verdict) for row, record in zip(rows, answers.first, strict=True)]
    seed = config.seed
    kinds = {row.kind for row in rows}
    return Report(
        format=FORMAT,
        name=name,
        judge=judge,
        options=shown_options(options),
        judge_hash=judge_hash,
        made=_circumstances(seed),
        data=DataInfo(
            path=str(path),
            rows_hash=rows_hash(rows),
            rows=len(rows),
            sources=len({row.source for row in rows}),
            honest=sum(row.kind == HONEST for row in rows),
            kinds=len(kinds - {HONEST}),
        ),
        coverage=measures.coverage(results, seed),
        agreement=measures.agreement(results, seed),
        kinds=measures.by_kind(results, seed),
        length=measures.length_bias(results, seed),
        consistency=robustness.consistency(answers.repeated, seed),
        order=robustness.order_bias(answers.compared, seed),
        canaries=robustness.canary_result(answers.canaries),
        speed=robustness.speed(answers, config.concurrency, seed),
        cost=robustness.cost(answers.records),
        broke=sum(record.broke for record in answers.first),
        rows=results,
        parts=parts,
    )


def shown_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A judge's options without the values of those that look like a secret by their names."""
    return {key: "(hidden)" if _SECRET.search(key) else value for key, value in options.items()}


def rows_hash(rows: Sequence[LabelledRollout]) -> str:
    """12 hex digits for ids, labels, kinds, sources, pairs and contents, in any order."""
    lines = [[row.id, row.source, row.kind, row.label, row.pair, rollout_hash(row.rollout)] for row in rows]
    text = "\n".join(sorted(json.dumps(line) for line in lines))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """A report, or a comparison, that `asdict` has made a dict of, as JSON; NaN becomes null."""
    path.write_text(json.dumps(_no_nan(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Results:
    """What a comparison needs of a report."""

    name: str
    rows_hash: str
    rows: list[RowResult]


def read_results(path: Path) -> Results:
    """The rows of a report that `write_json` wrote; ValueError names the file where it is not one."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["format"] != FORMAT:
            raise ValueError(f"format {report['format']!r}, expected {FORMAT}")
        known = [field.name for field in fields(RowResult)]
        rows = [RowResult(**{key: row[key] for key in known}) for row in report["rows"]]
        return Results(str(report["name"]), str(report["data"]["rows_hash"]), rows)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a report of `awpo judge eval` ({type(error).__name__}: {error})") from None


def _circumstances(seed: int) -> dict[str, str]:
    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return {"time": when, "seed": str(seed), "python": platform.python_version(), "awpo-ext": installed("awpo-ext")}


def _no_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _no_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(item) for item in value]
    return value
