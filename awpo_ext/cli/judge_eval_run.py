"""What `awpo judge-eval` does: measure a judge on labelled rollouts, or put several reports side by side."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from awpo_ext.cli.judge_eval_show import escape, show_comparison, show_report
from awpo_ext.reports.judge_eval_html import comparison_page, report_page
from reward_models.judge_eval.comparison import compare
from reward_models.judge_eval.limits import Limits, broken_limits, fitness
from reward_models.judge_eval.records import VerdictFile, judge_hash
from reward_models.judge_eval.report import make_report, read_results, write_json
from reward_models.judge_eval.run import Examination, ExaminationConfig, examine
from reward_models.judges import Judge, JudgeNotReadyError, make_judge
from reward_models.labelled import LabelledRollout, read_labelled


def measure_judge(
    judge_name: str,
    options: Mapping[str, Any],
    data: Path,
    out: Path,
    name: str | None,
    amount: Mapping[str, int],
    limits: Mapping[str, float | None],
    *,
    limit: int | None = None,
    retry_unscored: bool = False,
) -> bool:
    """Measure, write `out`/NAME.{json,html}, print the summary; whether all limits are kept.

    Args:
        amount: keys of ExaminationConfig. limits: keys of Limits.
        limit: see `take`.

    Raises ValueError for options, rows or a verdicts file that do not fit, JudgeNotReadyError where the judge lacks
    something. Verdicts are kept in `out`/NAME.verdicts.jsonl as they come.
    """
    config, allowed = ExaminationConfig(**amount), Limits(**limits)
    rows = take(read_labelled(data), limit, config.seed)
    judge = _ready(judge_name, options)
    name = name or judge_name.rpartition(":")[2]
    stem = _file_name(name)
    digest = judge_hash(judge_name, options)
    out.mkdir(parents=True, exist_ok=True)
    file = VerdictFile(out / f"{stem}.verdicts.jsonl", digest, retry_unscored=retry_unscored)
    try:
        examination = asyncio.run(_examine(judge, rows, file, config))
    finally:
        file.close()
    report = make_report(name, judge_name, options, digest, data, rows, examination, config)
    broken = broken_limits(report, allowed)
    found = {"fitness": asdict(fitness(report, broken)), "refused": broken, **asdict(report)}
    write_json(out / f"{stem}.json", found)
    (out / f"{stem}.html").write_text(report_page(report, rows, broken), encoding="utf-8")
    show_report(_console(), report, broken)
    _console().print(f"Report: {escape(str(out / stem))}.html, {stem}.json", highlight=False)
    if not broken and any(value is not None for value in limits.values()):
        _console().print("[green]All limits are kept.[/green]")
    return not broken


def compare_reports(paths: Sequence[Path], out: Path, seed: int) -> None:
    """Write `out`/comparison.{json,html} and print the summary; ValueError where reports cannot be compared."""
    found = compare([read_results(path) for path in paths], seed)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", asdict(found))
    (out / "comparison.html").write_text(comparison_page(found), encoding="utf-8")
    show_comparison(_console(), found)
    _console().print(f"Report: {escape(str(out / 'comparison.html'))}, comparison.json", highlight=False)


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
    except Exception as error:  # a judge of one's own may raise anything
        raise JudgeNotReadyError(f"the judge failed in {step}: {type(error).__name__}: {error}") from None


async def _examine(
    judge: Judge, rows: Sequence[LabelledRollout], file: VerdictFile, config: ExaminationConfig
) -> Examination:
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with _not_ready_as_such("preflight()"):
            await judge.preflight()
        with Progress(*columns, console=Console(stderr=True)) as progress:

            def stage(name: str, size: int) -> Callable[[], None]:
                task = progress.add_task(name, total=size)
                return lambda: progress.advance(task)

            return await examine(judge, rows, file, config, stage)
    finally:
        try:
            await judge.aclose()
        except Exception:
            logging.getLogger(__name__).exception("The judge failed in aclose()")


def _file_name(name: str) -> str:
    """The judge's name as a file's: what is not a letter, digit, dash, dot or underscore becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "judge"


def _console() -> Console:
    return Console(soft_wrap=True)
