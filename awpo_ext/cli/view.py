"""`awpo view`: the explorer of recorded runs."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated

import typer

from awpo_ext.cli.console import stdout
from reward_models.errors import UserError, install_extra


def view(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, or of their records.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write one HTML file instead, which needs no server.")] = None,
    rollouts: Annotated[int, typer.Option(min=1, help="With --export: at most so many rollouts of each run.")] = 2000,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes any that is free.")] = 8321,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    demo: Annotated[bool, typer.Option("--demo", help="Look at made-up runs, three of which have a fault.")] = False,
) -> None:
    """Look at every rollout of a run in the browser.

    Curves, groups, and for each rollout its prompt, calls, judge and advantage. Follows a run that goes on.
    Needs the extra `view`.
    """
    with TemporaryDirectory(prefix="awpo-view-") as folder:
        paths = list(runs or [])
        if demo:
            from awpo_ext.explorer.demo import write_demo_runs

            paths += write_demo_runs(Path(folder))
        if not paths:
            raise UserError("give the folder of a run, as in `awpo view outputs/cpu/runs/NAME`, or --demo")
        from awpo_ext.explorer.api import Explorer

        explorer = Explorer(paths)
        if export is not None:
            from awpo_ext.explorer.export import export_page

            export.parent.mkdir(parents=True, exist_ok=True)
            export.write_text(export_page(explorer, rollouts), encoding="utf-8")
            typer.echo(f"Written: {export} ({export.stat().st_size / 1e6:.1f} MB)")
            return
        _serve(explorer, port, browser)


def _serve(explorer, port: int, browser: bool) -> None:
    from awpo_ext.explorer.server import HOST, listen, serve

    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"awpo view needs {error.name}: {install_extra('view')}, or write a file with --export"
        ) from None
    listener = listen(port)
    address = f"http://{HOST}:{listener.getsockname()[1]}/"
    stdout().print(f"Looking at {len(explorer.names)} run(s): {address}   Ctrl-C ends it.", highlight=False)
    for run in range(len(explorer.names)):  # read while the browser opens
        Thread(target=explorer.indexes[run].refresh, daemon=True).start()
    if browser:
        webbrowser.open(address)
    serve(explorer, listener)
