"""`awpo judge ...`: try a judge, look after the LLM judge's cache."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.judge_try import try_command
from reward_models.llm_client.cache import cache_stats, clear_cache

app = typer.Typer(name="judge", help="The LLM judge and its cache.", no_args_is_help=True)
cache_app = typer.Typer(name="cache", help="The answers that the judge keeps on disk.", no_args_is_help=True)
app.add_typer(cache_app)
app.command("try")(try_command)


@app.callback()
def main() -> None:
    """The LLM judge and its cache."""


FolderArgument = Annotated[Path, typer.Argument(help="The judge's cache_dir.")]


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None


@cache_app.command()
def stats(folder: FolderArgument) -> None:
    """Entries, size and age."""
    with _errors_as_messages():
        found = cache_stats(folder)
    table = Table(show_header=False)
    table.add_row("entries", str(found.entries))
    table.add_row("size", f"{found.bytes / 1e6:.1f} MB")
    for name, days in (("oldest", found.oldest_days), ("newest", found.newest_days)):
        table.add_row(name, "-" if days is None else f"{days:.1f} days ago")
    Console(soft_wrap=True).print(table)


@cache_app.command()
def clear(folder: FolderArgument) -> None:
    """Forget all answers; safe while a training run uses them."""
    with _errors_as_messages():
        typer.echo(f"{clear_cache(folder)} answers removed")
