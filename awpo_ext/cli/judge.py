"""`awpo judge eval | try | attack | cache`: measure a judge, try it on one rollout, look after the LLM judge's cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from awpo_ext.cli import judge_attack
from awpo_ext.cli.console import group, json_option, progress, resumable, stdout
from reward_models.errors import UserError

app = group("judge", "Judges of reasoning: measure one, try one, and the LLM judge's cache.")
cache_app = group("cache", "The answers that the LLM judge keeps on disk.")
app.add_typer(cache_app)
app.command("attack")(judge_attack.attack)

JudgeKwargs = Annotated[dict, json_option("--judge-kwargs", "The judge's options")]
FolderArgument = Annotated[Path, typer.Argument(help="The judge's cache_dir.")]
_JUDGES = "none, embedding, llm, scorer, .., or package.module:Class."
_LIMIT = "In [0, 1]."


@app.command("eval")
def evaluate(
    reports: Annotated[list[Path] | None, typer.Argument(help="With --compare: the JSON reports.")] = None,
    judge: Annotated[str | None, typer.Option(help=_JUDGES)] = None,
    judge_kwargs: JudgeKwargs = "{}",
    data: Annotated[Path | None, typer.Option(help="Labelled rollouts: .jsonl or .parquet.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the reports and the verdicts.")] = Path("judge_eval"),
    name: Annotated[str | None, typer.Option(help="What the report calls the judge, and its files' name.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare reports instead of measuring.")] = False,
    votes: Annotated[int, typer.Option(help="Scores of the same row, for self-consistency.")] = 3,
    vote_rows: Annotated[int, typer.Option(help="On how many rows.")] = 100,
    pairs: Annotated[int, typer.Option(help="Pairs for a judge with `compare`, each in both orders.")] = 200,
    concurrency: Annotated[int, typer.Option(help="Calls under way at once.")] = 32,
    limit: Annotated[int | None, typer.Option(help="At most about this many rows, by whole sources.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    retry_unscored: Annotated[bool, typer.Option(help="Ask again where an earlier run got no score.")] = False,
    parts: Annotated[
        bool,
        typer.Option("--parts", help="judge=scorer: also what cosines, grounding, structure or length give alone."),
    ] = False,
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
    from awpo_ext.cli.judge_show import escape, show_comparison, show_report
    from awpo_ext.reports.judge_eval import compare_reports, measure_judge

    console = stdout()
    if compare:
        show_comparison(console, compare_reports(reports or [], out, seed))
        console.print(f"Report: {escape(str(out / 'comparison.html'))}, comparison.json", highlight=False)
        return
    if judge is None or data is None or reports:
        raise UserError("give --judge and --data, or --compare and two reports or more")
    limits = {
        "min_auc": min_auc,
        "min_pair_accuracy": min_pair_accuracy,
        "min_coverage": min_coverage,
        "max_ece": max_ece,
        "max_swayed": max_swayed,
        "max_length_correlation": max_length_correlation,
        "max_flips": max_flips,
    }
    amount = {"votes": votes, "vote_rows": vote_rows, "pairs": pairs, "concurrency": concurrency, "seed": seed}
    with resumable(), progress() as stage:
        found = measure_judge(
            judge,
            judge_kwargs,
            data,
            out,
            name,
            amount,
            limits,
            stage,
            limit=limit,
            retry_unscored=retry_unscored,
            parts=parts,
        )
    show_report(console, found.report, found.broken)
    console.print(f"Report: {escape(str(found.stem))}.html, {found.stem.name}.json", highlight=False)
    if found.broken:
        raise typer.Exit(1)
    if any(value is not None for value in limits.values()):
        console.print("[green]All limits are kept.[/green]")


@app.command("try")
def try_one(
    file: Annotated[Path, typer.Option(help="One rollout as JSON: response, question, tools, ..; or a list of them.")],
    judge: Annotated[str, typer.Option(help=_JUDGES)] = "llm",
    judge_kwargs: JudgeKwargs = "{}",
) -> None:
    """Score one rollout, and show the verdict, its reasons, the prompt and the cost; llm_group ranks a list of them."""
    from reward_models.judges.trial import try_judge

    typer.echo(try_judge(judge, judge_kwargs, file))


@cache_app.command()
def stats(folder: FolderArgument) -> None:
    """Entries, size and age."""
    from reward_models.llm_client.cache import cache_stats

    found = cache_stats(folder)
    table = Table(show_header=False)
    table.add_row("entries", str(found.entries))
    table.add_row("size", f"{found.bytes / 1e6:.1f} MB")
    for name, days in (("oldest", found.oldest_days), ("newest", found.newest_days)):
        table.add_row(name, "-" if days is None else f"{days:.1f} days ago")
    stdout().print(table)


@cache_app.command()
def clear(folder: FolderArgument) -> None:
    """Forget all answers; safe while a training run uses them."""
    from reward_models.llm_client.cache import clear_cache

    typer.echo(f"{clear_cache(folder)} answers removed")
