"""The `awpo` command: its groups. Nothing heavy is imported here or in the groups' modules, only where a command runs."""

import os
import sys
from typing import Annotated

import typer

from awpo_ext import __version__
from awpo_ext.cli import ablation, data, eval, judge, plan, recipes, replay, run, scorer, scorer_models, view
from awpo_ext.cli.console import group

app = group(
    "awpo",
    """AWPO for verl: data, checks, evaluation, and figures of a run.

    A judge, verifier or tool of your own is found in the current folder. AWPO_TRACEBACK=1 shows where an error comes from.
    """,
)
app.add_typer(data.app)
app.add_typer(judge.app)
app.add_typer(scorer.app)
scorer_models.register(scorer.app)
app.add_typer(eval.app)
app.add_typer(ablation.app)
app.add_typer(recipes.app)
app.command("plan")(plan.plan_command)
app.command("replay")(replay.replay_command)
app.command()(view.view)
for command in (run.doctor, run.follow, run.summary):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"awpo-ext {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    # Last, so that nothing installed is hidden by a file here. `python -m` has it first, and so do the recipes' runs.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
