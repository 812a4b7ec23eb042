"""`awpo data ...`: options are read and results printed here; the work is done in `awpo_ext.data`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import group, message, names, stderr, stdout
from reward_models.errors import UserError

if TYPE_CHECKING:
    from awpo_ext.data import Dataset

_MAX_SHOWN = 20

app = group("data", "Tool-use data for verl: convert, check, look.")

Out = Annotated[Path, typer.Option("--out", help="Folder for train, val and sft parquet and manifest.json.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the split, the order and the thoughts' templates.")]
ToolFormat = Annotated[
    str, typer.Option("--tool-format", help="json: whole schemas; compact: short signatures, for very small models.")
]
Against = Annotated[
    list[Path] | None,
    typer.Option(
        "--against", help="An evaluation set's parquet file: training rows that ask what it asks are left out."
    ),
]
Near = Annotated[
    float | None,
    typer.Option("--near", help="Questions alike by this much or more count as the same, in (0, 1]; default: 0.7."),
]
Evaluate = Annotated[bool, typer.Option("--eval", help="All rows are for evaluation: val.parquet only.")]
DropInvalid = Annotated[bool, typer.Option("--drop-invalid", help="Leave invalid rows out and list them.")]
Tokenizer = Annotated[
    str | None,
    typer.Option("--tokenizer", help="A folder or hub id: the prompt as that model's chat template writes it."),
]


def _write(out: Path, dataset: Dataset, against: list[Path] | None, near: float | None, evaluate: bool = False) -> None:
    """Keep the training rows apart from the evaluation sets, write everything, and say what was left out."""
    from awpo_ext.data import load_rows, write_dataset
    from awpo_ext.data.dedup import NEAR, without

    if evaluate:
        dataset = replace(dataset, train=[], val=[*dataset.train, *dataset.val], sft=[])
    shown: list[str] = []
    if against:
        sets = {f"{path.resolve().parent.name}/{path.name}": load_rows(path) for path in against}
        dataset, shown = without(dataset, sets, NEAR if near is None else near)
    _print_manifest(out, write_dataset(out, dataset))
    console = stdout()
    for line in shown[:_MAX_SHOWN]:
        console.print(escape(line))
    if len(shown) > _MAX_SHOWN:
        console.print(f"and {len(shown) - _MAX_SHOWN} more; their ids are in manifest.json")


def _print_manifest(out: Path, manifest: dict[str, Any]) -> None:
    console = stdout()
    table = Table("file", "rows", "kB", "median chars", "categories", "content sha256")
    for name, file in manifest["files"].items():
        categories = ", ".join(f"{category} {count}" for category, count in file["categories"].items())
        chars = str(file["prompt_and_answer_chars"]["median"])
        size = f"{(out / name).stat().st_size / 1000:.0f}"
        table.add_row(name, str(file["rows"]), size, chars, categories, file["content_sha256"][:16])
    console.print(table)
    for reason, ids in manifest["skipped"].items():
        console.print(escape(f"left out {len(ids)}: {reason}; for example {ids[0]}"))
    if "dialect" in manifest:
        console.print(f"train with verifier_kwargs.dialect={manifest['dialect']} thinking={manifest['thinking']}")
    for note in manifest.get("notes", ()):
        console.print(escape(note))
    if "train.parquet" in manifest["files"] and "sft.parquet" not in manifest["files"]:
        console.print(
            "sft.parquet was not written: no row has a written thought (a placeholder is not a thought to learn)"
        )
    console.print(f"licence: {escape(manifest['licence'])}")
    console.print(f"validation ids sha256: {manifest['val_ids_sha256']}")
    console.print(f"written to {escape(str(out))}")


@app.command()
def bfcl(
    out: Out,
    source: Annotated[
        Path | None,
        typer.Option(help="BFCL's v4 data folder, the bfcl-eval wheel, or a hub id; default: the installed package."),
    ] = None,
    categories: Annotated[
        str, typer.Option(help="Comma-separated categories, or groups of them: python, live, irrelevance, multi_turn.")
    ] = "python,live",
    val_rows: Annotated[int, typer.Option(help="Rows held out for validation, at most.")] = 64,
    sft_rows: Annotated[int, typer.Option(help="Training rows that get a written thought, at most.")] = 300,
    max_prompt_chars: Annotated[int | None, typer.Option(help="Leave out rows with a longer prompt.")] = None,
    tool_format: ToolFormat = "json",
    seed: Seed = 0,
    against: Against = None,
    near: Near = None,
    evaluate: Evaluate = False,
) -> None:
    """Convert the Berkeley Function Calling Leaderboard: Python, live, irrelevance, or multi-turn."""
    from awpo_ext.data.sources.bfcl import GROUPS, BfclOptions, convert_bfcl
    from awpo_ext.data.sources.bfcl_multi_turn import CATEGORIES, convert_multi_turn, write_tools
    from awpo_ext.data.sources.bfcl_source import find_source
    from awpo_ext.data.sources.hub import local_or_hub

    groups = {**GROUPS, "multi_turn": CATEGORIES}
    chosen = tuple(category for name in names(categories) for category in groups.get(name, (name,)))
    found = find_source(None if source is None else local_or_hub(source))
    if set(chosen).isdisjoint(CATEGORIES):
        options = BfclOptions(chosen, val_rows, sft_rows, max_prompt_chars, tool_format, seed)
        _write(out, convert_bfcl(found, options), against, near, evaluate)
        return
    if not set(chosen) <= set(CATEGORIES):
        raise UserError("--categories: multi-turn rows have a schema of their own; convert them by themselves")
    _write(out, convert_multi_turn(found, chosen, val_rows, seed), against, near, evaluate)
    write_tools(out, found)


@app.command()
def toolrl(
    out: Out,
    source: Annotated[
        str | None,
        typer.Argument(
            help="A .parquet, .json or .jsonl file, ToolRL's rlla_4k folder, or a hub id; default: ToolRL's own."
        ),
    ] = None,
    val_rows: Annotated[
        int | None, typer.Option(help="Rows held out, at most; default: the source's test split, else 64.")
    ] = None,
    sft_source: Annotated[
        str | None, typer.Option(help="Records with real thoughts (rlla_sft.json) for sft.parquet; default: SOURCE.")
    ] = None,
    sft_rows: Annotated[int | None, typer.Option(help="SFT rows, at most; default: all.")] = None,
    drop_invalid: DropInvalid = False,
    seed: Seed = 0,
    against: Against = None,
    near: Near = None,
    evaluate: Evaluate = False,
) -> None:
    """Convert data in ToolRL's format."""
    from awpo_ext.data.sources.toolrl import ToolrlOptions, convert_toolrl
    from awpo_ext.data.sources.toolrl_source import HUB_ID, read_source

    options = ToolrlOptions(val_rows, sft_rows, drop_invalid, seed)
    sft = None if sft_source is None else read_source(sft_source)
    _write(out, convert_toolrl(read_source(source or HUB_ID), options, sft), against, near, evaluate)


@app.command()
def apibank(
    source: Annotated[
        Path, typer.Argument(help="The folder with level-{1,2,3}-api_processed.json, one of them, or a hub id.")
    ],
    out: Out,
    levels: Annotated[str, typer.Option(help="Comma-separated.")] = "1,2,3",
) -> None:
    """Convert API-Bank, levels 1 to 3, in ToolRL's prompt format: all for evaluation."""
    from awpo_ext.data.sources.api_bank import convert_api_bank
    from awpo_ext.data.sources.hub import local_or_hub

    if not all(name.isdecimal() for name in names(levels)):
        raise UserError(f"--levels: {levels!r}; choose from 1, 2, 3")
    _write(out, convert_api_bank(local_or_hub(source), tuple(map(int, names(levels)))), None, None)


@app.command("openai", hidden=True)
@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(help="A .jsonl, .json or .parquet file, a folder with train.parquet, or a hub id.")
    ],
    out: Out,
    form: Annotated[
        str, typer.Option("--format", help="auto: by each record's columns; or openai, sharegpt, xlam, glaive, trl.")
    ] = "auto",
    tokenizer: Tokenizer = None,
    tools: Annotated[Path | None, typer.Option(help="A JSON list of tools for records that have none.")] = None,
    val_rows: Annotated[int, typer.Option(help="Rows held out for validation, at most.")] = 64,
    every_turn: Annotated[
        bool, typer.Option("--every-turn", help="A row for each answer, not for the last one only.")
    ] = False,
    tool_format: ToolFormat = "json",
    licence: Annotated[str, typer.Option(help="What the manifest says of the data's licence.")] = "not stated",
    keep_off_schema: Annotated[
        bool, typer.Option("--keep-off-schema", help="Keep rows whose calls break their own tools' schemas.")
    ] = False,
    drop_invalid: DropInvalid = False,
    seed: Seed = 0,
    against: Against = None,
    near: Near = None,
    evaluate: Evaluate = False,
) -> None:
    """Convert tool-call data in the form that it has: OpenAI, Anthropic, ShareGPT, Hermes, ToolACE, xLAM, Glaive, TRL."""
    from awpo_ext.data.sources.openai import OpenaiOptions, convert_openai
    from awpo_ext.data.sources.openai_tools import read_tools
    from awpo_ext.data.sources.toolrl_source import read_source
    from awpo_ext.data.template import TemplateRenderer

    options = OpenaiOptions(
        0 if evaluate else val_rows, every_turn, tool_format, drop_invalid, licence, seed, form, keep_off_schema
    )
    template = None if tokenizer is None else TemplateRenderer.load(tokenizer)
    common = () if tools is None else read_tools(_text_of(tools), str(tools))
    found = read_source(source)
    _write(out, convert_openai(found.train, found.name, options, template, common), against, near, evaluate)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Parquet files in verl's RL or SFT schema.")]) -> None:
    """Check parquet files; name file, row, field and fix of each problem, and exit with 1 if there is one."""
    from awpo_ext.data.validate import off_schema, validate_file

    console = stdout()
    failed = False
    for path in files:
        try:
            rows, problems = validate_file(path)
        except UserError as error:  # the other files are still to be looked at
            failed = True
            stderr().print(f"[red]error:[/red] {escape(message(error))}", highlight=False)
            continue
        failed = failed or bool(problems)
        for problem in problems[:_MAX_SHOWN]:
            console.print(escape(f"{path}: {problem}"))
        if len(problems) > _MAX_SHOWN:
            console.print(escape(f"{path}: and {len(problems) - _MAX_SHOWN} more"))
        verdict = f"[red]{len(problems)} problems[/red]" if problems else "[green]valid[/green]"
        console.print(f"{escape(str(path))}: {len(rows)} rows, {verdict}")
        for kind, places in ({} if problems else off_schema(rows)).items():
            console.print(escape(f"{path}: {len(places)} ground truths: {kind}; for example {places[0]}"))
    if failed:
        raise typer.Exit(1)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A parquet file in verl's RL or SFT schema.")],
    row: Annotated[int, typer.Option(help="The first row to print, of those that fit, counted from 0.")] = 0,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 1,
    category: Annotated[str | None, typer.Option(help="Only rows of this category.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only rows with this text in prompt, messages or ground truth.")
    ] = None,
    tokenizer: Tokenizer = None,
) -> None:
    """Look at rows as a person reads them."""
    from awpo_ext.cli.show_rows import PromptRenderer, render_row, select_rows
    from awpo_ext.data import load_rows

    chosen = select_rows(load_rows(file), category, search)
    if not chosen:
        asked = {"--category": category, "--search": search}
        which = " and ".join(f"{name} {value!r}" for name, value in asked.items() if value is not None)
        raise UserError(f"{file}: no row fits {which}" if which else f"{file}: there are no rows in it")
    if not 0 <= row < len(chosen):
        raise UserError(f"{file}: no row {row}; {len(chosen)} fit, counted from 0")
    renderer = None if tokenizer is None else PromptRenderer(tokenizer)
    shown = chosen[row : row + count]
    console = Console()
    for number, one in shown:
        console.rule(f"row {number}")
        console.print(render_row(one))
        if renderer is not None:
            console.print(renderer.panel(one))
    console.print(f"{len(shown)} of {len(chosen)} rows that fit")
