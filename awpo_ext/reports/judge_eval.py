"""Measure a judge on labelled rollouts, or put several reports side by side: the work of `awpo judge eval`."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from awpo_ext.reports.judge_eval_html import comparison_page, report_page
from reward_models.judge_eval.comparison import Comparison, compare
from reward_models.judge_eval.limits import Limits, broken_limits, summarise
from reward_models.judge_eval.records import VerdictFile, judge_hash
from reward_models.judge_eval.report import Report, make_report, read_results, write_json
from reward_models.judge_eval.run import Answers, EvalConfig, ask_judge
from reward_models.judges import Judge, JudgeNotReadyError, make_judge
from reward_models.judges.scorer import ScorerJudge
from reward_models.labelled import LabelledRollout, read_labelled
from reward_models.scorers.features.measure import parts_of
from reward_models.scorers.sources import refuse_trained_on

Stage = Callable[[str, int], Callable[[], None]]
"""(name, how many) -> a call for each that is done; where progress is shown."""


@dataclass(frozen=True)
class Measured:
    """The report, its limits that were not kept as sentences, and the files without their suffix: `stem`.{html,json}."""

    report: Report
    broken: Sequence[str]
    stem: Path


def measure_judge(
    judge_name: str,
    options: Mapping[str, Any],
    data: Path,
    out: Path,
    name: str | None,
    amount: Mapping[str, int],
    limits: Mapping[str, float | None],
    stage: Stage,
    *,
    limit: int | None = None,
    retry_unscored: bool = False,
    parts: bool = False,
) -> Measured:
    """Measure, and write `out`/NAME.{json,html}.

    Args:
        amount: keys of EvalConfig. limits: keys of Limits.
        limit: see `take`.
        parts: measure what the parts of a feature scorer give alone; other judges have none.

    Raises ValueError for options, rows or a verdicts file that do not fit, and for rows that a learned judge was trained
    on; JudgeNotReadyError where the judge lacks something. Verdicts are kept in `out`/NAME.verdicts.jsonl as they come.
    """
    config, allowed = EvalConfig(**amount), Limits(**limits)
    rows = take(read_labelled(data), limit, config.seed)
    judge = _ready(judge_name, options)
    if judge.folder is not None:
        refuse_trained_on(judge.folder, (row.source for row in rows), data)
    name = name or judge_name.rpartition(":")[2]
    stem = out / _file_name(name)
    digest = judge_hash(judge_name, options)
    out.mkdir(parents=True, exist_ok=True)
    file = VerdictFile(_named(stem, "verdicts.jsonl"), digest, retry_unscored=retry_unscored)
    try:
        answers = asyncio.run(_ask(judge, rows, file, config, stage))
    finally:
        file.close()
    found_parts = (
        parts_of(judge.folder, judge.config.device, rows) if parts and isinstance(judge, ScorerJudge) else None
    )
    report = make_report(name, judge_name, options, digest, data, rows, answers, config, found_parts)
    broken = broken_limits(report, allowed)
    found = {"summary": asdict(summarise(report, broken)), "refused": broken, **asdict(report)}
    write_json(_named(stem, "json"), found)
    _named(stem, "html").write_text(report_page(report, rows, broken), encoding="utf-8")
    return Measured(report, broken, stem)


def _named(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")


def compare_reports(paths: Sequence[Path], out: Path, seed: int) -> Comparison:
    """Write `out`/comparison.{json,html}; ValueError where reports cannot be compared."""
    found = compare([read_results(path) for path in paths], seed)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", asdict(found))
    (out / "comparison.html").write_text(comparison_page(found), encoding="utf-8")
    return found


def take(rows: Sequence[LabelledRollout], limit: int | None, seed: int) -> list[LabelledRollout]:
    """Rows of sources drawn at random until there are `limit` or more, in their order; all where that is None."""
    if limit is None or limit >= len(rows):
        return list(rows)
    if limit < 1:
        raise ValueError(f"--limit {limit} must be at least 1")
    sources = sorted({row.source for row in rows})
    random.Random(seed).shuffle(sources)
    taken, count = set(), 0
    for source in sources:
        if count >= limit:
            break
        taken.add(source)
        count += sum(row.source == source for row in rows)
    return [row for row in rows if row.source in taken]


def _ready(name: str, options: Mapping[str, Any]) -> Judge:
    judge = make_judge(name, **options)
    with _not_ready_as_such("check()"):
        judge.check()
    return judge


@contextmanager
def _not_ready_as_such(step: str) -> Iterator[None]:
    try:
        yield
    except JudgeNotReadyError:
        raise
    except Exception as error:  # a judge written by a user may raise anything
        raise JudgeNotReadyError(f"the judge failed in {step}: {type(error).__name__}: {error}") from None


async def _ask(
    judge: Judge, rows: Sequence[LabelledRollout], file: VerdictFile, config: EvalConfig, stage: Stage
) -> Answers:
    try:
        with _not_ready_as_such("preflight()"):
            await judge.preflight()
        return await ask_judge(judge, rows, file, config, stage)
    finally:
        try:
            await judge.aclose()
        except Exception:
            logging.getLogger(__name__).exception("The judge failed in aclose()")


def _file_name(name: str) -> str:
    """The judge's name as a file's: what is not a letter, digit, dash, dot or underscore becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "judge"
