"""What all commands share: one rule for errors, JSON options, progress bars, and the new names of what has moved.

A user's mistake is one message on stderr and exit code 1. Exit code 2 is typer's own, for a command line that it
cannot read. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from reward_models.errors import UserError

Stage = Callable[..., Callable[[], None]]
"""`stage(name, total, done=0)` opens a progress bar and returns the call that advances it by one."""

# What reward_models raises for options and rows that do not fit is a ValueError, and for a missing extra an ImportError.
USER_ERRORS = (UserError, OSError, ImportError, ValueError)
TRACEBACK = "AWPO_TRACEBACK"  # in the environment: show where the error comes from
STOPPED = "Stopped. What is done is kept: run the same command to go on."
MOVED = {
    "judge-eval": "awpo judge eval",
    "scorer eval": "awpo judge eval --judge scorer --parts",
    "scorer baselines": "awpo judge eval --judge scorer --parts",
    "--verifier-options": "--verifier-kwargs",
}

_UsageError: Any = typer.BadParameter.__base__


class _Commands(TyperGroup):
    """A group whose commands follow the rule above."""

    def invoke(self, ctx: Any) -> Any:
        with errors_as_messages():
            try:
                return super().invoke(ctx)
            except _UsageError as error:
                moved = MOVED.get(getattr(error, "option_name", ""))
                if moved:
                    error.message = f"{error.option_name} is called {moved} now"
                raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        path = " ".join([*ctx.command_path.split()[1:], args[0]])
        if path in MOVED:
            ctx.fail(f"`awpo {path}` is called `{MOVED[path]}` now")
        return super().resolve_command(ctx, args)


def group(name: str, help: str) -> typer.Typer:
    """A command group; `help` is its one line."""
    app = typer.Typer(
        name=name, help=help, cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: typer's boxes take 0.3 s to import
    )  # fmt: skip
    app.callback(help=help)(lambda: None)  # without a callback, a group of one command would be that command
    return app


@contextmanager
def errors_as_messages() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has gone, as in `awpo .. | head`: typer ends quietly
    except USER_ERRORS as error:
        if os.environ.get(TRACEBACK) or (isinstance(error, ValueError) and _foreign(error)):
            raise
        fail(message(error))
    except KeyboardInterrupt:
        stderr().print("Stopped.")
        raise typer.Exit(130) from None


def _foreign(error: BaseException) -> bool:
    """Whether a library raised it, not this project or a user's own judge: then nobody has said what is wrong."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None or frame.tb_frame.f_globals.get("__name__", "").partition(".")[0] in ("awpo_ext", "reward_models"):
        return False
    places = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return any(Path(place) in Path(frame.tb_frame.f_code.co_filename).parents for place in places if place)


@contextmanager
def resumable() -> Iterator[None]:
    """For a command that goes on where it was stopped: Ctrl-C says so."""
    try:
        yield
    except KeyboardInterrupt:
        stderr().print(STOPPED)
        raise typer.Exit(130) from None


def message(error: BaseException) -> str:
    """The error in one sentence; the file comes first where the system refuses one."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return str(error) or type(error).__name__


def fail(text: str) -> None:
    """Print the error, and exit with 1."""
    stderr().print(f"[red]error:[/red] {escape(text)}", highlight=False)
    raise typer.Exit(1)


def stdout() -> Console:
    return Console(soft_wrap=True)


def stderr() -> Console:
    return Console(stderr=True, soft_wrap=True)


def json_option(name: str, help: str) -> Any:
    """A typer option, `Annotated[dict, json_option(..)] = "{}"`, whose value is a JSON object.

    The message does not show the value: it may hold a key by mistake.
    """

    def parse(text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise UserError(f"{name} must be a JSON object ({error})") from None
        if not isinstance(value, dict):
            raise UserError(f"{name} must be a JSON object, such as '{{\"key\": 1}}'")
        return value

    return typer.Option(name, help=f"{help}, as a JSON object.", parser=parse, metavar="JSON")


@contextmanager
def progress() -> Iterator[Stage]:
    """Bars on stderr, as long as this context lasts."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description:20}"), *columns, console=Console(stderr=True)) as bars:

        def stage(name: str, total: int, done: int = 0) -> Callable[[], None]:
            task = bars.add_task(name, total=total, completed=done)
            return lambda: bars.advance(task)

        yield stage


def names(text: str) -> list[str]:
    """The parts of a comma-separated option."""
    return [part.strip() for part in text.split(",") if part.strip()]
