"""`awpo eval ...`: options are read and results printed here; the work is done in `awpo_ext.evaluate`."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from awpo_ext.cli.console import group, json_option, names, progress, resumable, stdout
from awpo_ext.cli.eval_options import Asking, with_asking
from reward_models.errors import UserError

if TYPE_CHECKING:
    from awpo_ext.evaluate.session import Plan
    from awpo_ext.evaluate.types import Benchmark

TEMPLATE = "template"  # of --thinking

app = group("eval", "Evaluate a model, and compare two.")


@app.command()
@with_asking()
def tool(
    asking: Asking,
    data: Annotated[Path, typer.Option(help="A parquet file in verl's RL schema, as awpo data makes it.")],
    verifier: Annotated[str, typer.Option(help="A verifier's name, or package.module:Class.")] = "strict",
    verifier_kwargs: Annotated[dict, json_option("--verifier-kwargs", "The verifier's options")] = "{}",
    thinking: Annotated[
        str,
        typer.Option(
            help="opened: the prompt ends in an open thought; auto: the answer's tags say; template: of --checkpoint's."
        ),
    ] = "template",
    samples: Annotated[int, typer.Option(help="Answers to each row.")] = 1,
    k: Annotated[list[int] | None, typer.Option("--k", help="Report pass@k; may be given several times.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check options, verifier and, where they are there, rows; ask nothing.")
    ] = False,
) -> None:
    """A verifier on the rows of a parquet file: full marks or not, pass@k, and the reasons."""
    from awpo_ext.evaluate.tool import Tool, checked_verifier
    from reward_models.parsing import THINKING

    plan = _plan(asking, samples, tuple(k or ()))
    if thinking not in (TEMPLATE, *THINKING):
        raise UserError(f"--thinking {thinking}: must be one of {', '.join((TEMPLATE, *THINKING))}")
    if dry_run:
        asking.check()
        checked_verifier(verifier, verifier_kwargs)
        rows = (
            f"{len(Tool(data, verifier, verifier_kwargs).tasks())} rows"
            if data.exists()
            else "not there yet, not checked"
        )
        typer.echo(f"evaluation of {asking.checkpoint or asking.model}: options are valid; {data}: {rows}")
        return
    benchmark = Tool(data, verifier, verifier_kwargs, asking.thinking() if thinking == TEMPLATE else thinking)
    # equal answers would make pass@k the accuracy
    _run(benchmark, asking, plan, temperature=0.0 if samples == 1 else 1.0)


@app.command()
@with_asking()
def bfcl(
    asking: Asking,
    categories: Annotated[str, typer.Option(help="Comma-separated categories or groups of BFCL.")] = "single_turn",
    mode: Annotated[str, typer.Option(help="prompt: BFCL's system prompt; tools: the chat API's tools=.")] = "prompt",
    official_name: Annotated[
        str | None, typer.Option(help="A model name that bfcl-eval knows, for `bfcl evaluate` on the same answers.")
    ] = None,
    tool_parser: Annotated[
        str | None, typer.Option(help="With --checkpoint and --mode tools: vLLM's --tool-call-parser.")
    ] = None,
) -> None:
    """The Berkeley Function Calling Leaderboard, scored by the official bfcl-eval package."""
    from awpo_ext.evaluate.bfcl import TEMPERATURE, Bfcl
    from awpo_ext.evaluate.template import check_tools

    plan = _plan(asking)
    sampling = asking.sampling(TEMPERATURE)
    parser = f" --enable-auto-tool-choice --tool-call-parser {shlex.quote(tool_parser)}" if tool_parser else ""
    with contextlib.closing(Bfcl(names(categories), mode)) as benchmark:
        with asking.served(parser) as found:
            chat = asking.chat(found, sampling)
            if mode == "tools":
                check_tools(chat)
            result = _evaluate(benchmark, chat, found, plan)
        folder = benchmark.write_official(asking.out / "bfcl", official_name or found["name"], result["answers"])
    _show(result, asking.out)
    stdout().print(f"For the official runner: {escape(str(folder))} (docs/evaluation.md says how)")


@app.command()
@with_asking()
def apibank(
    asking: Asking,
    data: Annotated[Path, typer.Option(help="A folder with level-{1,2,3}-api_processed.json of ToolRL's repository.")],
    levels: Annotated[str, typer.Option(help="Comma-separated.")] = "1,2,3",
) -> None:
    """API-Bank, levels 1 to 3: the call's name and parameters equal the gold ones."""
    from awpo_ext.evaluate.apibank import ApiBank

    plan = _plan(asking)
    _run(ApiBank(data, _levels(levels)), asking, plan, temperature=0.0)


@app.command("mmlu_pro")
@with_asking(max_tokens=2048)
def mmlu_pro(
    asking: Asking,
    data: Annotated[
        Path | None, typer.Option(help="A folder with test and validation as .jsonl or .parquet; default: the hub.")
    ] = None,
    subjects: Annotated[str | None, typer.Option(help="Comma-separated subjects; default: all.")] = None,
) -> None:
    """MMLU-Pro with the prompts, extraction and metric of lm-eval."""
    from awpo_ext.evaluate.mmlu_pro import SUBJECTS, MmluPro

    plan = _plan(asking)
    _run(MmluPro(list(SUBJECTS) if subjects is None else names(subjects), data), asking, plan, temperature=0.0)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="result.json of one model, for instance before training.")],
    second: Annotated[Path, typer.Argument(help="result.json of the other.")],
    out: Annotated[Path | None, typer.Option(help="A JSON file for the comparison.")] = None,
) -> None:
    """Two models on the same tasks: difference with a paired bootstrap interval, and McNemar's exact test."""
    from awpo_ext.evaluate.compare import compare as compared
    from awpo_ext.evaluate.results import read_result

    console = stdout()
    found = compared(read_result(first), read_result(second))
    shown = Table(
        "category", "tasks", "first", "second", "difference", "95 %", "only first", "only second", "McNemar p"
    )
    for row in found["rows"]:
        shown.add_row(
            escape(row["category"]),
            str(row["tasks"]),
            *(f"{100 * row[key]:.1f} %" for key in ("first", "second")),
            f"{100 * row['difference']:+.1f}",
            f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}",
            str(row["only_first"]),
            str(row["only_second"]),
            f"{row['p']:.3g}" if "p" in row else "-",
        )
    console.print(shown)
    for note in found["notes"]:
        console.print(f"[yellow]note:[/yellow] {escape(note)}")
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _plan(asking: Asking, samples: int = 1, ks: tuple[int, ...] = ()) -> Plan:
    from awpo_ext.evaluate.session import Plan

    return Plan(asking.out, asking.limit, samples, ks, asking.concurrency)


def _run(benchmark: Benchmark, asking: Asking, plan: Plan, temperature: float) -> None:
    """`temperature` is the benchmark's own."""
    sampling = asking.sampling(temperature)
    with asking.served() as found:
        result = _evaluate(benchmark, asking.chat(found, sampling), found, plan)
    _show(result, asking.out)


def _evaluate(benchmark: Benchmark, chat: Any, model: dict[str, Any], plan: Plan) -> dict[str, Any]:
    from awpo_ext.evaluate.session import evaluate

    with resumable(), progress() as bars:

        def stage(name: str, total: int, done: int) -> Callable[[], None]:
            if done:
                stdout().print(f"{done} of {total} answers are there already")
            return bars(name, total, done)

        return evaluate(benchmark, chat, model, plan, stage)


def _levels(text: str) -> list[int]:
    try:
        return [int(part) for part in names(text)]
    except ValueError:
        raise UserError(f"--levels {text!r}: must be numbers, such as 1,2,3") from None


def _show(result: dict[str, Any], out: Path) -> None:
    """Print it; exit code 1 where requests failed and another run is needed."""
    from awpo_ext.evaluate import report

    console = stdout()
    headings, *rows = report.cells(result)
    table = Table(*headings)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for line in report.reasons(result):
        console.print(escape(line))
    for note in result["notes"]:
        console.print(f"[yellow]note:[/yellow] {escape(note)}")
    console.print(f"{escape(str(out))}: result.json, result.md, result.html")
    if result["unanswered"]:
        raise typer.Exit(1)
