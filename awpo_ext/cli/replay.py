"""`awpo replay`: a run again, as it was and as it would have been."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import json_option, progress, resumable, stdout
from reward_models.errors import UserError


def replay_command(
    run: Annotated[Path, typer.Argument(help="A run with a record, or verl's rollout dumps (.jsonl).")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of algorithm.awpo, or preset=<name>; again for more.")
    ] = None,
    verifier: Annotated[str | None, typer.Option(help="Another verifier, by name or package.module:Class.")] = None,
    verifier_kwargs: Annotated[dict, json_option("--verifier-kwargs", "The verifier's options")] = "{}",
    judge: Annotated[str | None, typer.Option(help="Another judge, by name or package.module:Class.")] = None,
    judge_kwargs: Annotated[dict, json_option("--judge-kwargs", "The judge's options")] = "{}",
    steps: Annotated[str | None, typer.Option(help="Only these steps: 12, or 10-20.")] = None,
    rewards: Annotated[bool, typer.Option(help="Recompute the outcomes too, by the run's own verifier.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Ask the judge's server without a word about the cost.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the report and the judge's verdicts.")] = Path("replay"),
) -> None:
    """Recompute a run's rewards and advantages, and say what another judge, verifier or setting would change.

    Exit code 1 where the recomputed numbers are not the recorded ones.
    """
    from awpo_ext.record.compare import as_rows
    from awpo_ext.record.replay import EQUAL, NO_TEXT, Change, parse_settings, replay

    console = stdout()

    def confirm(estimate: str) -> None:
        if not yes:
            raise UserError(f"{estimate}. Nothing was asked yet: --yes asks, and a cut replay goes on where it was")
        console.print(estimate, highlight=False)

    change = Change(parse_settings(settings or []), verifier, verifier_kwargs, judge, judge_kwargs)
    with resumable(), progress() as stage:
        found = replay(run, change, out, _range(steps), confirm, stage, rewards)
    console.print(f"{found.rollouts:,} rollouts of {found.updates:,} updates", highlight=False)
    for text in found.missing:
        console.print(f"[yellow]missing[/yellow] {escape(text)}", highlight=False)
    wrong = _show_check(console, found, EQUAL)
    if found.unread:
        said = f"{found.unread:,} rollouts could not be given to the verifier or judge: {found.problem or NO_TEXT}"
        console.print(escape(said), highlight=False)
    if found.comparison is not None:
        wide = Console(width=120)
        figures = found.comparison.figures()
        table = Table("", "as it was", "as it would be", "difference", title="95 % intervals over prompts")
        for row in as_rows(figures):
            table.add_row(*row)
        wide.print(table)
        _show_movers(wide, found.comparison.movers())
        _write(out / "replay.json", figures, found, change)
        console.print(f"Report: {escape(str(out / 'replay.json'))}", highlight=False)
    if wrong:
        raise typer.Exit(1)


def _show_check(console: Any, found: Any, equal: float) -> bool:
    """Whether the recomputed numbers differ."""
    wrong = False
    if found.checked is not None:
        wrong = not found.checked.difference <= equal
        said = "[red]differ from[/red]" if wrong else "[green]equal[/green]"
        console.print(f"Advantages {said} the recorded ones: largest difference {found.checked.difference:.1e}")
    if found.rewards is not None:
        different = found.rewards["different"]
        said = "[red]differ[/red]" if different else "[green]are the recorded ones[/green]"
        counts = (
            f"{found.rewards['recomputed']:,} recomputed, {different:,} differ, {found.rewards['unread']:,} not kept"
        )
        console.print(f"Outcomes {said}: {counts}", highlight=False)
        wrong = wrong or bool(different)
    elif found.checked is not None:
        console.print("Outcomes are taken from the record", highlight=False)
    return wrong


def _show_movers(console: Any, movers: list[dict[str, Any]]) -> None:
    table = Table("step", "group", "session", "advantage", "outcome", "reasoning", title="Rollouts that move most")
    for row in movers:
        pairs = [
            " to ".join("none" if x is None else f"{x:.3f}" for x in row[name])
            for name in ("advantage", "outcome", "reasoning")
        ]
        table.add_row(str(row["step"]), escape(row["group"][:12]), str(row["session"]), *pairs)
    console.print(table)


def _write(path: Path, figures: Any, found: Any, change: Any) -> None:
    from awpo_ext.record.json_values import finite

    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in asdict(change).items() if value and not key.endswith("_kwargs")}
    report = {
        "change": settings,
        "updates": found.updates,
        "rollouts": found.rollouts,
        "missing": found.missing,
        "figures": {name: {side: asdict(value) for side, value in sides.items()} for name, sides in figures.items()},
        "movers": found.comparison.movers(),
    }
    path.write_text(json.dumps(finite(report), indent=1, allow_nan=False), encoding="utf-8")


def _range(text: str | None) -> list[int] | None:
    if text is None:
        return None
    first, dash, last = text.partition("-")
    try:
        return list(range(int(first), int(last if dash else first) + 1))
    except ValueError:
        raise UserError(f"--steps {text}: give one step, or two as in 10-20") from None
