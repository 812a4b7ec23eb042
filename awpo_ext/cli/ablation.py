"""`awpo ablation ...`: run a sweep, or only make its table from what is there."""

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from awpo_ext.ablation.report import markdown, plot, report
from awpo_ext.ablation.sweep import AblationError, Sweep, check_spec, read_sweep, run_cell

app = typer.Typer(name="ablation", help="Presets x judges x seeds on one recipe.", no_args_is_help=True)

SweepFile = Annotated[Path, typer.Argument(help="The sweep, YAML or JSON; recipes/ablation/ has examples.")]


@app.callback()
def main() -> None:
    """Presets x judges x seeds on one recipe."""


def _read(path: Path) -> Sweep:
    try:
        sweep = read_sweep(path)
        for cell in sweep.cells():
            check_spec(cell)
    except AblationError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
    return sweep


@app.command()
def run(
    file: SweepFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check each cell's configuration by the recipe's DRY_RUN=1.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Start at most this many cells in this call.")] = None,
) -> None:
    """Run every cell that is not done yet, then make the table. A cell that fails does not stop the others.

    Exit code 1 where a cell failed.
    """
    sweep = _read(file)
    console = Console(soft_wrap=True, highlight=False)
    if dry_run:
        _dry_run(sweep, console)
        return
    waiting = [cell for cell in sweep.cells() if not cell.done]
    total = len(sweep.cells())
    console.print(f"{total} runs, {total - len(waiting)} of them done")
    states = [run_cell(cell, lambda text: console.print(escape(text))) for cell in waiting[:limit]]
    _table(sweep)
    if "failed" in states:
        raise typer.Exit(1)


def _dry_run(sweep: Sweep, console: Console) -> None:
    failed = False
    for cell in sweep.cells():
        environment = os.environ | cell.spec()["environment"] | {"OUT": str(cell.folder.resolve()), "DRY_RUN": "1"}
        result = subprocess.run(cell.command(), env=environment, capture_output=True, text=True)
        console.print(f"{cell.name}: {'well' if result.returncode == 0 else 'not well'}")
        if result.returncode:
            failed = True
            console.print(escape(f"{result.stdout}{result.stderr}"))
    if failed:
        raise typer.Exit(1)


@app.command()
def table(file: SweepFile) -> None:
    """Make table.md, table.json and ablation.png from the cells that are done."""
    _table(_read(file))


def _table(sweep: Sweep) -> None:
    out = Path(sweep.out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        figures = report(sweep)
        (out / "table.json").write_text(json.dumps(figures, indent=1) + "\n")
        (out / "table.md").write_text(markdown(figures))
        plot(sweep, out / "ablation.png")
    except (OSError, ValueError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(markdown(figures))
    typer.echo(f"{out}/table.md, table.json, ablation.png")
