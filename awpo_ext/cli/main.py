"""The `awpo` command. Each sub-command's work is done elsewhere; verl is imported only by those that need it."""

import contextlib
import io
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.ablation import app as ablation_app
from awpo_ext.cli.data import app as data_app
from awpo_ext.cli.eval import app as eval_app
from awpo_ext.cli.judge import app as judge_app
from awpo_ext.cli.judge_eval import judge_eval
from awpo_ext.cli.plan import plan_command
from awpo_ext.cli.scorer import app as scorer_app
from awpo_ext.cli.scorer_models import register as add_classifier_commands

app = typer.Typer(no_args_is_help=True, add_completion=False, help="AWPO for verl.", pretty_exceptions_enable=False)
app.add_typer(ablation_app, name="ablation")
app.add_typer(data_app, name="data")
app.add_typer(eval_app, name="eval")
app.add_typer(judge_app, name="judge")
app.command("judge-eval")(judge_eval)
app.command("plan")(plan_command)
add_classifier_commands(scorer_app)
app.add_typer(scorer_app, name="scorer")


@app.callback()
def main() -> None:
    """AWPO for verl: data, checks, and figures of a run."""


@app.command()
def doctor(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="The Hydra overrides you pass to verl.trainer.main_ppo, to check them too."),
    ] = None,
    ray: Annotated[bool, typer.Option(help="Look inside a Ray worker too (some seconds).")] = True,
    reward: Annotated[bool, typer.Option(help="With overrides: call the reward function on the first row.")] = True,
) -> None:
    """Versions, what is registered (here and in a Ray worker), which reward columns arrive, which keys verl ignores.

    Exit code 1, with the fix for each problem, where something is off.
    """
    console = Console(soft_wrap=True)
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
        raise typer.BadParameter(f"verl's stack does not import ({error}); see docs/quickstart.md") from error
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


@app.command()
def follow(log: Annotated[str, typer.Option(help="Where the whole log goes.")]) -> None:
    """Read a run's console from standard input, keep it in a file, and show one line a step."""
    from awpo_ext.reports.run_summary import step_line

    with open(log, "w") as whole:
        for line in sys.stdin:
            whole.write(line)
            whole.flush()
            if short := step_line(line):
                typer.echo(short)


@app.command()
def summary(
    metrics: Annotated[list[str], typer.Argument(help="Metrics files of one run (verl's file logger), oldest first.")],
    png: Annotated[str, typer.Option(help="Where the figure goes.")] = "awpo.png",
    every: Annotated[int, typer.Option(help="Show every n-th step; the first and last always.")] = 5,
) -> None:
    """A table and a PNG of outcome reward, reasoning reward, gate and clip radius by step."""
    from awpo_ext.reports.run_summary import before_after, plot, read_steps, table

    try:
        steps = read_steps(metrics)
        Console(width=100).print(table(steps, every))  # a file or a pipe has no width of its own
        typer.echo(before_after(steps))
        plot(steps, png)
    except (OSError, ValueError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"Figure: {png}")
