"""`awpo recipes list|copy`: the recipes and the documentation, from wherever the package is installed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from awpo_ext.cli.console import group
from reward_models.errors import UserError

FOLDERS = ("recipes", "docs")
_PACKAGE = Path(__file__).resolve().parents[1]

app = group("recipes", "The training recipes and the documentation, as files of yours.")


def home() -> Path:
    """The folder that holds FOLDERS: in a wheel `awpo_ext/bundled`, in a clone its root."""
    for folder in (_PACKAGE / "bundled", _PACKAGE.parent):
        if all((folder / name).is_dir() for name in FOLDERS):
            return folder
    raise UserError(f"the recipes are not in this installation ({_PACKAGE}): install awpo-ext again, docs/install.md")


def first_comment(script: Path) -> str:
    """What a recipe says of itself: its first comment line after the shebang."""
    lines = script.read_text(encoding="utf-8").splitlines()[1:]
    return next((line.lstrip("# ") for line in lines if line.startswith("# ")), "")


@app.command("list")
def list_recipes() -> None:
    """Name the recipes, and say where they are."""
    folder = home() / "recipes"
    scripts = sorted(path for path in folder.glob("*.sh") if path.read_bytes().startswith(b"#!"))
    width = max(len(path.name) for path in scripts)
    for path in scripts:
        typer.echo(f"{path.name:{width}}  {first_comment(path)}")
    typer.echo(f"In {folder}; documentation in {home() / 'docs'}")


@app.command("copy")
def copy(
    out: Annotated[Path, typer.Argument(help="A folder; recipes/ and docs/ are made in it.")] = Path(),
) -> None:
    """Copy recipes/ and docs/, to read and to change. Nothing that exists is overwritten."""
    source = home()
    for name in FOLDERS:
        if (out / name).exists():
            raise UserError(f"{out / name} exists: give another folder, or remove it")
    for name in FOLDERS:
        shutil.copytree(source / name, out / name, ignore=shutil.ignore_patterns("__pycache__"))
        typer.echo(f"{out / name}")
    typer.echo("Run them from here, such as: DRY_RUN=1 bash recipes/run_awpo_qwen3.sh")
