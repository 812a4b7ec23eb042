"""`awpo plan`: print the estimate of `awpo_ext.plan` for verl's overrides."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import stdout
from awpo_ext.plan.advice import SAFE, cached_tokens, changes, fits, worst
from awpo_ext.plan.memory import GIB, Setup, phases
from awpo_ext.plan.models import Architecture, PlanError, find
from awpo_ext.plan.verl_setup import read_setup

# MiB, as nvidia-smi shows them
_GPUS = {"h200": 143771, "h100": 81559, "a100-80": 81920, "a100-40": 40960, "l40s": 46068, "4090": 24564, "a10": 23028}
_SHOWN_CHANGES = 6


def plan_command(
    overrides: Annotated[list[str] | None, typer.Argument(help="The overrides of verl.trainer.main_ppo.")] = None,
    gpu: Annotated[str, typer.Option(help=f"Memory of one GPU in GiB, or one of {', '.join(_GPUS)}.")] = "h100",
    model: Annotated[
        str | None, typer.Option(help="A folder or name, where it is not actor_rollout_ref.model.path's.")
    ] = None,
) -> None:
    """Memory of a run on each GPU.

    What each phase of a step needs, whether it fits, and which key to change. Exit code 1 where it does not fit.
    """
    console = stdout()
    size = _gpu_bytes(gpu)
    config = _compose(overrides or [])
    name = model or str(config.actor_rollout_ref.model.path)
    architecture = find(name)
    setup, notes = read_setup(config, architecture)
    _show(console, name, architecture, setup, size)
    for note in notes:
        console.print(f"[yellow]note:[/yellow] {escape(note)}")
    if not fits(setup, size):
        raise typer.Exit(1)


def _compose(overrides: list[str]) -> Any:
    try:
        from awpo_ext.verl_plugin.config_check import compose
    except ImportError as error:
        raise PlanError(f"verl's configuration cannot be read ({error}); see docs/quickstart.md") from None
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return compose(overrides)
    except Exception as error:  # Hydra's many kinds
        raise PlanError(f"Hydra refuses the overrides: {' '.join(str(error).split())}") from None


def _gpu_bytes(text: str) -> int:
    if text.lower() in _GPUS:
        return _GPUS[text.lower()] << 20
    number = re.fullmatch(r"(\d+(?:\.\d+)?)(?:gib|gb|g)?", text.lower())
    if number is None or not 1 <= float(number[1]) <= 10_000:
        raise PlanError(f"--gpu {text}: give GiB, such as 80, or one of {', '.join(_GPUS)}")
    return int(float(number[1]) * GIB)


def _show(console: Console, name: str, model: Architecture, setup: Setup, gpu: int) -> None:
    kv = model.kv_bytes_per_token(setup.rollout_element)
    console.print(
        f"{escape(name)}: {model.parameters / 1e9:.2f} B parameters, "
        f"{(model.parameters - model.embedding_parameters) / 1e9:.2f} B without embeddings, {kv / 1024:.0f} KiB of KV a token"
    )
    console.print(
        f"one of {setup.shards} GPUs of {gpu / GIB:.1f} GiB; micro batches of {setup.update_tokens} tokens (update) and "
        f"{setup.log_prob_tokens} (log probs)"
    )
    found = phases(setup, gpu)
    table = Table("GiB", *found)
    for part in dict.fromkeys(part for parts in found.values() for part in parts):
        table.add_row(part, *(f"{parts[part] / GIB:.2f}" if part in parts else "" for parts in found.values()))
    table.add_section()
    table.add_row("sum", *(f"{sum(parts.values()) / GIB:.2f}" for parts in found.values()))
    console.print(table)
    if setup.colocated:
        tokens = cached_tokens(setup, gpu)
        console.print(
            f"the KV cache holds {tokens} tokens: {tokens // setup.max_len} sequences of {setup.max_len} at once, of "
            f"max_num_seqs={setup.max_num_seqs}"
        )
    if fits(setup, gpu):
        console.print(f"[green]fits[/green] (each phase below {SAFE:.0%} of the GPU)")
        return
    console.print(
        f"[red]does not fit[/red]: the phase '{worst(setup, gpu)}' is the largest; each must stay below {SAFE:.0%}"
    )
    for change in changes(setup, gpu)[:_SHOWN_CHANGES]:
        verdict = "[green]fits[/green]" if change.fits else "helps"
        console.print(f"  {verdict}: {escape(change.override)} -> peak {change.peak / GIB:.1f} GiB")
