"""`awpo ablation ...`: run a sweep, or only make its table from the finished cells."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from awpo_ext.cli.console import group, resumable, stdout

if TYPE_CHECKING:
    from awpo_ext.ablation.sweep import Sweep

app = group("ablation", "Presets x judges x seeds on one recipe.")

SweepFile = Annotated[Path, typer.Argument(help="The sweep, YAML or JSON; recipes/ablation/ has examples.")]


def _read(path: Path) -> Sweep:
    from awpo_ext.ablation.sweep import check_spec, read_sweep

    sweep = read_sweep(path)
    for cell in sweep.cells():
        check_spec(cell)
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
    from awpo_ext.ablation.sweep import run_cell

    sweep = _read(file)
    console = stdout()
    if dry_run:
        _dry_run(sweep)
        return
    waiting = [cell for cell in sweep.cells() if not cell.done]
    total = len(sweep.cells())
    console.print(f"{total} runs, {total - len(waiting)} of them done")
    with resumable():
        states = [run_cell(cell, lambda text: console.print(escape(text))) for cell in waiting[:limit]]
    _table(sweep)
    if "failed" in states:
        raise typer.Exit(1)


def _dry_run(sweep: Sweep) -> None:
    console = stdout()
    failed = False
    for cell in sweep.cells():
        environment = os.environ | cell.spec()["environment"] | {"OUT": str(cell.folder.resolve()), "DRY_RUN": "1"}
        result = subprocess.run(cell.command(), env=environment, capture_output=True, text=True)
        console.print(
            f"{cell.name}: {'configuration is valid' if result.returncode == 0 else 'configuration is refused'}"
        )
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
    from awpo_ext.ablation.report import markdown, plot, report

    out = Path(sweep.out)
    out.mkdir(parents=True, exist_ok=True)
    figures = report(sweep)
    (out / "table.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "table.md").write_text(markdown(figures))
    plot(sweep, out / "ablation.png")
    typer.echo(markdown(figures))
    typer.echo(f"{out}/table.md, table.json, ablation.png")
