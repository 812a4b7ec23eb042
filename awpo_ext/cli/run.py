"""`awpo doctor | follow | summary`: before, during and after a training run."""

import contextlib
import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import stdout
from reward_models.errors import UserError


def doctor(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="The Hydra overrides you pass to verl.trainer.main_ppo, to check them too."),
    ] = None,
    ray: Annotated[bool, typer.Option(help="Look inside a Ray worker too (some seconds).")] = True,
    reward: Annotated[bool, typer.Option(help="With overrides: call the reward function on the first row.")] = True,
) -> None:
    """Check the environment, and with overrides a run's configuration.

    Versions, what is registered here and in a Ray worker, which reward columns arrive, which keys verl ignores. Exit
    code 1, with the fix for each problem, where something is off.
    """
    console = stdout()
    report = _report(overrides or [], ray, reward)
    for section in report:
        table = Table(title=section.title, title_justify="left", show_header=False, title_style="bold")
        for name, value in section.facts:
            table.add_row(name, escape(value))
        console.print(table if section.facts else f"[bold]{section.title}[/bold]")
    problems = [(section.title, problem) for section in report for problem in section.problems]
    for title, problem in problems:
        console.print(f"[red]problem[/red] {title}: {escape(problem)}", highlight=False)
    if problems:
        raise typer.Exit(1)
    console.print("[green]All well.[/green]")


def _report(overrides: list[str], ray: bool, reward: bool) -> list:
    try:
        from awpo_ext.verl_plugin import doctor as checks
    except ImportError as error:
        raise UserError(f"verl's stack does not import ({error}); see docs/install.md") from error
    report = [checks.versions()]
    if report[0].problems:
        return report
    # verl warns of every engine that is not installed, and prints as it validates
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        report.append(checks.registration())
        if ray:
            report.append(checks.ray_registration())
        if overrides:
            report.append(checks.configuration(overrides))
            if reward:
                report.append(checks.reward_columns(overrides))
    return report


def follow(log: Annotated[Path, typer.Option(help="Where the whole log goes; its folder is made.")]) -> None:
    """Show one line a step of a run, and the guard's alarms.

    Reads the run's console from standard input, and keeps it in a file.
    """
    from awpo_ext.reports.run_summary import console_line

    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as whole:
        for line in sys.stdin:
            whole.write(line)
            whole.flush()
            if short := console_line(line):
                typer.echo(short)


def summary(
    metrics: Annotated[list[str], typer.Argument(help="Metrics files of one run (verl's file logger), oldest first.")],
    png: Annotated[Path, typer.Option(help="Where the figure goes; its folder is made.")] = Path("awpo.png"),
    every: Annotated[int, typer.Option(min=1, help="Show every n-th step; the first and last always.")] = 5,
) -> None:
    """A run as a table and a PNG.

    Outcome reward, reasoning reward, the judge's leverage and reliability, gate and clip radius by step.
    """
    from awpo_ext.reports.run_summary import HEADINGS, alarms_line, before_after, plot, read_steps, shown_rows

    steps = read_steps(metrics)
    table = Table(title="AWPO by step", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for row in shown_rows(steps, every):
        table.add_row(*row)
    Console(width=120).print(table)  # a file or a pipe has no width of its own
    typer.echo(before_after(steps))
    typer.echo(alarms_line(steps))
    png.parent.mkdir(parents=True, exist_ok=True)
    plot(steps, str(png))
    typer.echo(f"Figure: {png}")
