"""`awpo judge-eval`: measure a judge on labelled rollouts, or put several reports side by side."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from awpo_ext.judge_eval_html import comparison_page, report_page
from awpo_ext.judge_eval_show import show_comparison, show_report
from reward_models.evaluation.comparison import compare
from reward_models.evaluation.examination import Examination, ExaminationConfig, examine
from reward_models.evaluation.fitness import Limits, broken_limits
from reward_models.evaluation.report import Report, make_report, read_results, write_json
from reward_models.evaluation.verdicts import VerdictFile, judge_hash
from reward_models.judges import Judge, JudgeNotReadyError, make_judge
from reward_models.labelled import LabelledRollout, read_labelled

_LIMIT = "In [0, 1]."


def judge_eval(
    reports: Annotated[list[Path] | None, typer.Argument(help="With --compare: the JSON reports.")] = None,
    judge: Annotated[str | None, typer.Option(help="none, embedding, llm, .., or package.module:Class.")] = None,
    judge_kwargs: Annotated[str, typer.Option(help="The judge's options, as a JSON object.")] = "{}",
    data: Annotated[Path | None, typer.Option(help="Labelled rollouts: .jsonl or .parquet.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the reports and the verdicts.")] = Path("judge_eval"),
    name: Annotated[str | None, typer.Option(help="What the report calls the judge, and its files' name.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare reports instead of measuring.")] = False,
    votes: Annotated[int, typer.Option(help="Scores of the same row, for self-consistency.")] = 3,
    vote_rows: Annotated[int, typer.Option(help="On how many rows.")] = 100,
    pairs: Annotated[int, typer.Option(help="Pairs for a judge with `compare`, each in both orders.")] = 200,
    concurrency: Annotated[int, typer.Option(help="Calls under way at once.")] = 32,
    limit: Annotated[int | None, typer.Option(help="At most about so many rows, by whole sources.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    retry_unscored: Annotated[bool, typer.Option(help="Ask again where an earlier run got no score.")] = False,
    min_auc: Annotated[float | None, typer.Option(help="The low end of AUC's interval. " + _LIMIT)] = None,
    min_pair_accuracy: Annotated[float | None, typer.Option(help="The low end of its interval. " + _LIMIT)] = None,
    min_coverage: Annotated[float | None, typer.Option(help="Share of rows with a score. " + _LIMIT)] = None,
    max_ece: Annotated[float | None, typer.Option(help=_LIMIT)] = None,
    max_swayed: Annotated[float | None, typer.Option(help="Share of the attacks. " + _LIMIT)] = None,
    max_length_correlation: Annotated[float | None, typer.Option(help="Its size, within kinds. " + _LIMIT)] = None,
    max_flips: Annotated[float | None, typer.Option(help="Pairs that flip with their order. " + _LIMIT)] = None,
) -> None:
    """Measure a judge on labelled rollouts: JSON, one HTML page, a summary. Exit code 1 where a limit is not kept.

    A run that was cut goes on where it was: run it again.
    """
    try:
        if compare:
            _compare(reports or [], out, seed)
            return
        if judge is None or data is None or reports:
            raise ValueError("give --judge and --data, or --compare and two reports or more")
        limits = Limits(
            min_auc=min_auc,
            min_pair_accuracy=min_pair_accuracy,
            min_coverage=min_coverage,
            max_ece=max_ece,
            max_swayed=max_swayed,
            max_length_correlation=max_length_correlation,
            max_flips=max_flips,
        )
        config = ExaminationConfig(votes=votes, vote_rows=vote_rows, pairs=pairs, concurrency=concurrency, seed=seed)
        report, rows = _measure(judge, _options(judge_kwargs), data, out, name, config, limit, retry_unscored)
    except (ValueError, OSError, JudgeNotReadyError) as error:
        raise typer.BadParameter(str(error)) from None
    broken = broken_limits(report, limits)
    stem = out / _file_name(report.name)
    write_json(stem.with_suffix(".json"), report)
    stem.with_suffix(".html").write_text(report_page(report, rows, broken), encoding="utf-8")
    console = Console(soft_wrap=True)
    show_report(console, report)
    console.print(f"Report: {stem}.html, {stem.name}.json", markup=False, highlight=False)
    for sentence in broken:
        console.print(f"[red]refused[/red] {escape(sentence)}", highlight=False)
    if broken:
        raise typer.Exit(1)
    if any(getattr(limits, item.name) is not None for item in fields(limits)):
        console.print("[green]All limits are kept.[/green]")


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


def _measure(
    judge_name: str,
    options: Mapping[str, Any],
    data: Path,
    out: Path,
    name: str | None,
    config: ExaminationConfig,
    limit: int | None,
    retry_unscored: bool,
) -> tuple[Report, list[LabelledRollout]]:
    rows = take(read_labelled(data), limit, config.seed)
    judge = _ready(judge_name, options)
    name = name or judge_name.rpartition(":")[2]
    digest = judge_hash(judge_name, options)
    out.mkdir(parents=True, exist_ok=True)
    file = VerdictFile(out / f"{_file_name(name)}.verdicts.jsonl", digest, retry_unscored=retry_unscored)
    try:
        examination = asyncio.run(_examine(judge, rows, file, config))
    except KeyboardInterrupt:
        typer.echo("Stopped. What was judged is kept: run the same command to go on.", err=True)
        raise typer.Exit(130) from None
    finally:
        file.close()
    return make_report(name, judge_name, options, digest, data, rows, examination, config), rows


def _ready(name: str, options: Mapping[str, Any]) -> Judge:
    judge = make_judge(name, **options)
    try:
        judge.check()
    except JudgeNotReadyError:
        raise
    except Exception as error:
        raise JudgeNotReadyError(f"judge={name!r} failed in check(): {type(error).__name__}: {error}") from None
    return judge


async def _examine(
    judge: Judge, rows: Sequence[LabelledRollout], file: VerdictFile, config: ExaminationConfig
) -> Examination:
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
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


def _compare(paths: Sequence[Path], out: Path, seed: int) -> None:
    found = compare([read_results(path) for path in paths], seed)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", found)
    (out / "comparison.html").write_text(comparison_page(found), encoding="utf-8")
    console = Console(soft_wrap=True)
    show_comparison(console, found)
    console.print(f"Report: {out / 'comparison.html'}, comparison.json", markup=False, highlight=False)


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as error:
        # The value is not shown: it may hold a key by mistake.
        raise ValueError(f"--judge-kwargs must be a JSON object ({error})") from None
    return options


def _file_name(name: str) -> str:
    """The judge's name as a file's: what is not a letter, digit, dash, dot or underscore becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "judge"
