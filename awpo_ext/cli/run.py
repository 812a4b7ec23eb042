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

from awpo_ext.cli.console import stderr, stdout
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


def follow(
    log: Annotated[Path, typer.Option(help="Where the whole log goes; its folder is made.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the whole run; verl's progress bar says them otherwise.")
    ] = None,
) -> None:
    """Show one line a step of a run, with the time left, and the guard's alarms.

    Reads the run's console from standard input, and keeps it in a file.
    """
    from awpo_ext.reports.progress import Progress

    progress = Progress(steps)
    log.parent.mkdir(parents=True, exist_ok=True)
    # Whoever reads a run's console must not end: the run would end too, as it writes to a closed pipe.
    sys.stdin.reconfigure(errors="replace")
    kept = True
    with open(log, "wb", buffering=0) as whole:
        for line in sys.stdin:
            try:
                if kept:
                    whole.write(line.encode())
            except OSError as error:
                kept = False
                stderr().print(
                    f"The log {log} ends here ({error.strerror}). The run goes on.", style="red", markup=False
                )
            if short := progress.line(line):
                typer.echo(short)


def summary(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="For each run its folder or its metrics files (verl's file logger), oldest first; NAME=PATH names it."
        ),
    ],
    figure: Annotated[
        Path, typer.Option("--figure", "--png", help="Where the figure goes, a .png, .pdf or .svg; its folder is made.")
    ] = Path("awpo.png"),
    every: Annotated[int, typer.Option(min=1, help="Show every n-th step; the first and last always.")] = 5,
) -> None:
    """Runs as a table and a figure.

    Outcome, reasoning and validation reward, the judge's leverage and reliability, what is unscored and closed, response
    length, clip fraction, entropy and KL by step. Several runs share each panel.
    """
    from awpo_ext.reports.run_figure import plot
    from awpo_ext.reports.run_files import read_runs
    from awpo_ext.reports.run_summary import HEADINGS, alarms_line, before_after, shown_rows

    found = read_runs(runs)
    for run in found:
        table = Table(title=escape(run.name if len(found) > 1 else "AWPO by step"), title_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, justify="right")
        for row in shown_rows(run.steps, every):
            table.add_row(*row)
        Console(width=120).print(table)  # a file or a pipe has no width of its own
        typer.echo(before_after(run.steps))
        typer.echo(alarms_line(run.steps))
    figure.parent.mkdir(parents=True, exist_ok=True)
    for missing in plot(found, figure):
        typer.echo(f"Not in the figure: {missing}")
    typer.echo(f"Figure: {figure}")
