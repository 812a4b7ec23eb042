"""The command `awpo judge-eval`: its options. What it does is in judge_eval.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reward_models.judges import JudgeNotReadyError

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
    from awpo_ext.cli import (
        judge_eval_run as work,  # scipy.stats takes most of a second: the other commands do not wait for it
    )

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
    try:
        if compare:
            work.compare_reports(reports or [], out, seed)
            return
        if judge is None or data is None or reports:
            raise ValueError("give --judge and --data, or --compare and two reports or more")
        options = _options(judge_kwargs)
        kept = work.measure_judge(
            judge, options, data, out, name, amount, limits, limit=limit, retry_unscored=retry_unscored
        )
    except KeyboardInterrupt:
        typer.echo("Stopped. What was judged is kept: run the same command to go on.", err=True)
        raise typer.Exit(130) from None
    except (ValueError, OSError, JudgeNotReadyError) as error:
        raise typer.BadParameter(str(error)) from None
    if not kept:
        raise typer.Exit(1)


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as error:
        # The value is not shown: it may hold a key by mistake.
        raise ValueError(f"--judge-kwargs must be a JSON object ({error})") from None
    return options
