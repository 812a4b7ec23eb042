"""`awpo scorer train-classifier | calibrate | card | distil`: classifiers as scorers, and what they learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import json_option, progress, resumable, stdout
from reward_models.errors import UserError


def _show(title: str, figures: dict[str, Any]) -> None:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in figures.items():
        shown = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name, escape(shown))
    stdout().print(table)


FolderArgument = Annotated[Path, typer.Argument(help="The classifier's folder.")]


def train_classifier(
    data: Annotated[Path, typer.Argument(help="Labelled rollouts, .jsonl or .parquet.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    base: Annotated[str, typer.Option(help="Encoder or decoder: a folder, or a Hugging Face id.")],
    val: Annotated[Path | None, typer.Option(help="Validation rows; left out, sources are kept apart.")] = None,
    objective: Annotated[str, typer.Option(help="pairs, scores or labels.")] = "pairs",
    max_tokens: Annotated[int, typer.Option(help="Longest input.")] = 512,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Pairs or rows at once.")] = 8,
    accumulate: Annotated[int, typer.Option(help="Batches a step.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW.")] = 5e-5,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.01,
    warmup: Annotated[float, typer.Option(help="Share of the steps.")] = 0.1,
    checkpoints: Annotated[int, typer.Option(help="Validations and checkpoints an epoch.")] = 1,
    patience: Annotated[int, typer.Option(help="Stop after this many validations without a lower loss.")] = 2,
    val_fraction: Annotated[float, typer.Option(help="Of the sources, without --val.")] = 0.1,
    lora_rank: Annotated[int, typer.Option(help="0: all weights are trained.")] = 0,
    bf16: Annotated[bool, typer.Option(help="Compute in bfloat16.")] = False,
    device: Annotated[str, typer.Option(help="auto or cpu.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of split, head and order.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a sequence-classification model to score reasoning."""
    from reward_models.scorers.classifier import training

    config = training.TrainConfig(
        base_model=base,
        objective=objective,
        max_tokens=max_tokens,
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup=warmup,
        checkpoints=checkpoints,
        patience=patience,
        val_fraction=val_fraction,
        lora_rank=lora_rank,
        bf16=bf16,
        device=device,
        seed=seed,
    )
    figures = training.train_classifier(config, data, out, val, resume=resume)
    _show(f"{out}: validation", figures)


def calibrate(
    folder: FolderArgument,
    data: Annotated[Path, typer.Option(help="Labelled rollouts that it was not trained on.")],
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1.")] = "cpu",
) -> None:
    """Fit the map from the model's output to [0, 1] on held-out rows, and keep it in the folder; for all scorers."""
    from reward_models.scorers.classifier import measures as classifier_measures
    from reward_models.scorers.features import training
    from reward_models.scorers.features.folder import FAMILY
    from reward_models.scorers.metadata import read_family

    fit = training.calibrate if read_family(folder) == FAMILY else classifier_measures.calibrate
    figures = fit(folder, data, device)
    _show(f"{folder}: calibration", figures)


def card(folder: FolderArgument) -> None:
    """Write the model card, README.md, with the figures that were measured."""
    from reward_models.scorers.card import write_card

    typer.echo(write_card(folder))


def distil(
    rollouts: Annotated[list[Path], typer.Argument(help="JSON lines of rollouts, verl's dumps, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The file to make, .jsonl or .parquet.")],
    judge: Annotated[str, typer.Option(help="A judge's name, or package.module:Class.")] = "llm",
    judge_kwargs: Annotated[dict, json_option("--judge-kwargs", "The judge's options")] = "{}",
    dataset: Annotated[
        list[Path] | None, typer.Option(help="For verl's dumps: the parquet that was trained on.")
    ] = None,
    margin: Annotated[float | None, typer.Option(help="Make pairs of scores at least so far apart.")] = None,
    concurrency: Annotated[int, typer.Option(help="Rollouts at the judge at once.")] = 64,
) -> None:
    """Let a judge score rollouts, and write them as labelled rollouts. A stopped run goes on where it was."""
    if out.exists():
        raise UserError(f"{out}: already exists; choose another file, or remove it")
    figures = _distil(rollouts, out, judge, judge_kwargs, dataset or [], margin, concurrency)
    _show(f"{out}: distilled from {judge}", figures)


def _distil(
    paths: list[Path],
    out: Path,
    name: str,
    options: dict[str, Any],
    dataset: list[Path],
    margin: float | None,
    concurrency: int,
) -> dict[str, Any]:
    import asyncio
    from importlib.metadata import version

    from reward_models.judge_eval.distil import describe
    from reward_models.judge_eval.distil import distil as score_all
    from reward_models.judges import make_judge
    from reward_models.scorers.data.rollout_files import read_rollouts

    judge = make_judge(name, **options)
    judge.check()
    files = read_rollouts(paths, dataset)
    provenance = {"made_by": f"awpo scorer distil {version('awpo-ext')}", **describe(name, judge, options)}

    async def work(advance: Callable[[], None]) -> Any:
        try:
            await judge.preflight()
            return await score_all(
                judge, files.found, out, provenance, margin=margin, concurrency=concurrency, progress=advance
            )
        finally:
            await judge.aclose()

    with resumable(), progress() as stage:
        done = asyncio.run(work(stage("scored", len(files.found))))
    return {
        "rows": done.rows,
        "pairs": done.pairs,
        "unscored": dict(done.unscored) or "none",
        "lines left out": dict(files.left_out) or "none",
    }


def register(app: typer.Typer) -> None:
    """Add the commands to `awpo scorer`."""
    app.command("train-classifier")(train_classifier)
    app.command()(calibrate)
    app.command()(card)
    app.command()(distil)
