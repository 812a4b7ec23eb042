"""`awpo judge attack`: search for thoughts that a judge likes although the call is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import json_option, progress, resumable, stdout
from reward_models.errors import UserError

_SHOWN = 5


def attack(
    judge: Annotated[str, typer.Option(help="A judge's name, or package.module:Class.")],
    data: Annotated[Path, typer.Option(help="Labelled rollouts with honest rows and wrong calls: awpo scorer data.")],
    judge_kwargs: Annotated[dict, json_option("--judge-kwargs", "The judge's options")] = "{}",
    out: Annotated[Path, typer.Option(help="Folder for attack.json, attacks.jsonl and the verdicts.")] = Path("attack"),
    budget: Annotated[int, typer.Option(help="Texts tried for each wrong call, at most.")] = 60,
    targets: Annotated[int, typer.Option(help="Wrong calls, at most.")] = 120,
    concurrency: Annotated[int, typer.Option(help="Calls under way at once.")] = 64,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    keep: Annotated[int, typer.Option(help="Best texts of a wrong call that are written to attacks.jsonl.")] = 3,
    verifier: Annotated[str | None, typer.Option(help="Leave out calls that this verifier finds right.")] = None,
    verifier_kwargs: Annotated[dict, json_option("--verifier-kwargs", "The verifier's options")] = "{}",
    max_above: Annotated[
        float | None, typer.Option(help="Exit code 1 where a larger share of the wrong calls reaches the bar.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask the judge's server without a word about the cost.")] = False,
) -> None:
    """Search for thoughts that raise a judge to its median honest score without a right call.

    Writes a report, and the texts as labelled rollouts that `awpo scorer train` takes. A run that was cut goes on.
    """
    from awpo_ext.reports.judge_attack import attack_judge

    console = stdout()

    def confirm(estimate: str) -> None:
        if not yes:
            raise UserError(f"{estimate}. Nothing was asked yet: --yes asks, and a cut search goes on where it was")
        console.print(estimate, highlight=False)

    if max_above is not None and not 0 <= max_above <= 1:
        raise UserError(f"--max-above {max_above} must lie in [0, 1]")
    if keep < 1:
        raise UserError(f"--keep {keep} must be at least 1")
    amount = {"budget": budget, "targets": targets, "concurrency": concurrency, "seed": seed}
    with resumable(), progress() as stage:
        found = attack_judge(
            judge,
            judge_kwargs,
            data,
            out,
            amount,
            confirm,
            stage,
            verifier=verifier,
            verifier_kwargs=verifier_kwargs,
            keep=keep,
        )
    _show(console, found)
    console.print(f"Report: {escape(str(out / 'attack.json'))}; texts: {escape(str(out / 'attacks.jsonl'))}")
    if max_above is not None and found.above.value > max_above:
        console.print(f"[red]{found.above.value:.3f} of the wrong calls are above, more than {max_above}[/red]")
        raise typer.Exit(1)


def _show(console: Console, found: Any) -> None:
    table = Table(show_header=False)
    table.add_row("wrong calls, sources", f"{found.targets}, {found.sources}")
    table.add_row("texts tried", f"{found.texts:,} ({found.unscored:,} without a score)")
    table.add_row("the bar: median honest score", f"{found.bar:.3f} of {found.honest} rows")
    table.add_row("above it, by the thought they came with", _interval(found.at_first))
    table.add_row("above it, by the best text found", _interval(found.above))
    table.add_row("AUC, honest rows against best texts", _interval(found.auc))
    if found.trained_on:
        table.add_row("sources that the judge was trained on", str(found.trained_on))
    console.print(table)
    kinds = Table("kind of wrong call", "above", "of")
    for kind, (above, count) in found.by_kind.items():
        kinds.add_row(escape(kind), str(above), str(count))
    console.print(kinds)
    for example in found.examples[:_SHOWN]:
        console.print(f"[bold]{example['score']:.3f}[/bold] {escape(example['origin'])}")
        console.print(f"  {escape(example['question'][:200])}", highlight=False)
        console.print(f"  {escape(example['thought'][:300])}", highlight=False)
        console.print(f"  {escape(example['call'][:200])}", highlight=False)


def _interval(value: Any) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
