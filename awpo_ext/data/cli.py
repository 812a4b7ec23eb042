"""`awpo data ...`: the commands. Options are read and results printed here; the work is done in the other modules."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.data.bfcl import CATEGORIES, BfclOptions, convert_bfcl
from awpo_ext.data.bfcl_source import find_source
from awpo_ext.data.dataset import write_dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import load_rows
from awpo_ext.data.show import render_row
from awpo_ext.data.toolrl import ToolrlOptions, convert_toolrl
from awpo_ext.data.toolrl_source import HUB_ID, read_source
from awpo_ext.data.validate import validate_file

_MAX_SHOWN = 20

app = typer.Typer(name="data", help="Tool-use data for verl: convert, check, look.", no_args_is_help=True)

OutOption = Annotated[Path, typer.Option("--out", help="Folder for train, val and sft parquet and manifest.json.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the split, the order and the thoughts' templates.")]


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    """A DataError as one message on stderr and exit code 1; anything else is a bug and keeps its traceback."""
    try:
        yield
    except DataError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None


def _print_manifest(out: Path, manifest: dict[str, Any]) -> None:
    console = Console(soft_wrap=True)
    table = Table("file", "rows", "median chars", "categories", "content sha256")
    for name, file in manifest["files"].items():
        categories = ", ".join(f"{category} {count}" for category, count in file["categories"].items())
        chars = str(file["prompt_and_answer_chars"]["median"])
        table.add_row(name, str(file["rows"]), chars, categories, file["content_sha256"][:16])
    console.print(table)
    for reason, ids in manifest["skipped"].items():
        console.print(escape(f"left out {len(ids)}: {reason}"))
    if "sft.parquet" not in manifest["files"]:
        console.print("sft.parquet was not written: there is no row for it (a placeholder is no thought to learn)")
    console.print(f"validation ids sha256: {manifest['val_ids_sha256']}")
    console.print(f"written to {escape(str(out))}")


@app.command()
def bfcl(
    out: OutOption,
    source: Annotated[
        Path | None, typer.Option(help="BFCL's data folder or the bfcl-eval wheel; default: the installed package.")
    ] = None,
    categories: Annotated[str, typer.Option(help="Comma-separated categories.")] = ",".join(CATEGORIES),
    val_rows: Annotated[int, typer.Option(help="Rows held out for validation, at most.")] = 64,
    sft_rows: Annotated[int, typer.Option(help="Training rows that get a written thought, at most.")] = 300,
    max_prompt_chars: Annotated[int | None, typer.Option(help="Leave out rows with a longer prompt.")] = None,
    tool_format: Annotated[
        str, typer.Option(help="json: whole schemas; compact: short signatures, for very small models.")
    ] = "json",
    seed: SeedOption = 0,
) -> None:
    """Convert the Python categories of the Berkeley Function Calling Leaderboard."""
    with _errors_as_messages():
        chosen = tuple(name.strip() for name in categories.split(",") if name.strip())
        options = BfclOptions(chosen, val_rows, sft_rows, max_prompt_chars, tool_format, seed)
        _print_manifest(out, write_dataset(out, convert_bfcl(find_source(source), options)))


@app.command()
def toolrl(
    source: Annotated[
        str, typer.Argument(help=f"A .parquet, .json or .jsonl file, ToolRL's rlla_4k folder, or a hub id ({HUB_ID}).")
    ],
    out: OutOption,
    val_rows: Annotated[
        int | None, typer.Option(help="Rows held out, at most; default: the source's test split, else 64.")
    ] = None,
    sft_source: Annotated[
        str | None, typer.Option(help="Records with real thoughts (rlla_sft.json) for sft.parquet; default: SOURCE.")
    ] = None,
    sft_rows: Annotated[int | None, typer.Option(help="SFT rows, at most; default: all.")] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave invalid rows out and list them.")] = False,
    seed: SeedOption = 0,
) -> None:
    """Convert data in ToolRL's format, and API-Bank in the same prompt format."""
    with _errors_as_messages():
        options = ToolrlOptions(val_rows, sft_rows, drop_invalid, seed)
        sft = None if sft_source is None else read_source(sft_source)
        _print_manifest(out, write_dataset(out, convert_toolrl(read_source(source), options, sft)))


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Parquet files in verl's RL or SFT schema.")]) -> None:
    """Check parquet files; name file, row, field and fix of each problem, and exit with 1 if there is one."""
    console = Console(soft_wrap=True)
    failed = False
    for path in files:
        try:
            rows, problems = validate_file(path)
        except DataError as error:
            failed = True
            console.print(f"[red]error:[/red] {escape(str(error))}")
            continue
        failed = failed or bool(problems)
        for problem in problems[:_MAX_SHOWN]:
            console.print(escape(f"{path}: {problem}"))
        if len(problems) > _MAX_SHOWN:
            console.print(escape(f"{path}: and {len(problems) - _MAX_SHOWN} more"))
        verdict = f"[red]{len(problems)} problems[/red]" if problems else "[green]valid[/green]"
        console.print(f"{escape(str(path))}: {rows} rows, {verdict}")
    if failed:
        raise typer.Exit(1)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A parquet file in verl's RL or SFT schema.")],
    row: Annotated[int, typer.Option(help="The row to print, counted from 0.")] = 0,
) -> None:
    """Print one row as a person reads it."""
    with _errors_as_messages():
        rows = load_rows(file)
        if not 0 <= row < len(rows):
            raise DataError(f"{file}: there is no row {row}; it has {len(rows)}, counted from 0")
        Console().print(render_row(rows[row]))
