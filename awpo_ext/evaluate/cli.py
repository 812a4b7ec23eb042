"""`awpo eval ...`: the commands. Options are read and results printed here; the work is done in the other modules."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from awpo_ext.evaluate import report
from awpo_ext.evaluate.chat import Sampling
from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.mmlu_pro import SUBJECTS
from awpo_ext.evaluate.results import read_result
from awpo_ext.evaluate.session import Plan, evaluate
from awpo_ext.evaluate.target import chat_with, under_evaluation

app = typer.Typer(name="eval", help="Evaluate a model, and compare two.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Folder for the answers and results; the same one again resumes.")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many rows of each category; marked PARTIAL.")]
Samples = Annotated[int, typer.Option(help="Answers to each row.")]
Ks = Annotated[list[int] | None, typer.Option("--k", help="Report pass@k; may be given several times.")]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible API, such as http://127.0.0.1:8000/v1.")]
Model = Annotated[str | None, typer.Option(help="The model's name there.")]
KeyEnv = Annotated[str, typer.Option(help="The variable that holds the API key.")]
Checkpoint = Annotated[Path | None, typer.Option(help="A Hugging Face or verl folder, to be served by vLLM here.")]
MergeTo = Annotated[Path | None, typer.Option(help="Where verl's merger puts a sharded checkpoint.")]
VllmArgs = Annotated[str, typer.Option(help="More arguments for `vllm serve`, as one text.")]
StartTimeout = Annotated[float, typer.Option(help="Seconds that vLLM may take to start.")]
Concurrency = Annotated[int, typer.Option(help="Requests at once.")]
MaxTokens = Annotated[int, typer.Option(help="Tokens of an answer, at most.")]
Temperature = Annotated[float | None, typer.Option(help="Default: the benchmark's own.")]
TopP = Annotated[float, typer.Option()]
Seed = Annotated[int, typer.Option(help="Of the sampling; the n-th answer to a row has this seed + n.")]
ExtraBody = Annotated[
    str, typer.Option(help='JSON for each request: {"chat_template_kwargs": {"enable_thinking": false}}')
]
Timeout = Annotated[float, typer.Option(help="Seconds for one request.")]
Retries = Annotated[int, typer.Option(help="Further attempts of a request that fails in a way that may pass.")]


@app.callback()
def main() -> None:
    """Evaluate a model, and compare two."""


@app.command()
def tool(
    data: Annotated[Path, typer.Option(help="A parquet file in verl's RL schema, as awpo data makes it.")],
    out: Out,
    verifier: Annotated[str, typer.Option(help="A verifier's name, or package.module:Class.")] = "strict",
    verifier_options: Annotated[str, typer.Option(help='JSON, such as {"dialect": "toolrl"}.')] = "{}",
    samples: Samples = 1,
    k: Ks = None,
    limit: Limit = None,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key_env: KeyEnv = "OPENAI_API_KEY",
    checkpoint: Checkpoint = None,
    merge_to: MergeTo = None,
    vllm_args: VllmArgs = "",
    start_timeout: StartTimeout = 900.0,
    concurrency: Concurrency = 16,
    max_tokens: MaxTokens = 1024,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    extra_body: ExtraBody = "{}",
    timeout: Timeout = 600.0,
    retries: Retries = 4,
) -> None:
    """A verifier on the rows of a parquet file: full marks or not, pass@k, and the reasons."""
    from awpo_ext.evaluate.tool import Tool

    console = Console(soft_wrap=True)
    with _errors_as_messages():
        plan = Plan(out, limit, samples, tuple(k or ()), concurrency)
        benchmark = Tool(data, verifier, _json("--verifier-options", verifier_options))
        default = 0.0 if samples == 1 else 1.0  # equal answers would make pass@k the accuracy
        sampling = _sampling(max_tokens, default if temperature is None else temperature, top_p, seed, extra_body)
        with under_evaluation(
            base_url, model, api_key_env, checkpoint, merge_to, vllm_args, start_timeout, out, console
        ) as found:
            _show(
                evaluate(benchmark, chat_with(found, sampling, api_key_env, timeout, retries), found, plan, console),
                out,
                console,
            )


@app.command()
def bfcl(
    out: Out,
    categories: Annotated[str, typer.Option(help="Comma-separated categories or groups of BFCL.")] = "single_turn",
    mode: Annotated[str, typer.Option(help="prompt: BFCL's system prompt; tools: the chat API's tools=.")] = "prompt",
    official_name: Annotated[
        str | None, typer.Option(help="A model name that bfcl-eval knows, for `bfcl evaluate` on the same answers.")
    ] = None,
    tool_parser: Annotated[
        str | None, typer.Option(help="With --checkpoint and --mode tools: vLLM's --tool-call-parser.")
    ] = None,
    limit: Limit = None,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key_env: KeyEnv = "OPENAI_API_KEY",
    checkpoint: Checkpoint = None,
    merge_to: MergeTo = None,
    vllm_args: VllmArgs = "",
    start_timeout: StartTimeout = 900.0,
    concurrency: Concurrency = 16,
    max_tokens: MaxTokens = 1024,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    extra_body: ExtraBody = "{}",
    timeout: Timeout = 600.0,
    retries: Retries = 4,
) -> None:
    """The Berkeley Function Calling Leaderboard, scored by the official bfcl-eval package."""
    from awpo_ext.evaluate.bfcl import TEMPERATURE, Bfcl
    from awpo_ext.evaluate.template import check_tools

    console = Console(soft_wrap=True)
    with _errors_as_messages():
        plan = Plan(out, limit, concurrency=concurrency)
        chosen = [name.strip() for name in categories.split(",") if name.strip()]
        sampling = _sampling(max_tokens, TEMPERATURE if temperature is None else temperature, top_p, seed, extra_body)
        if tool_parser:
            vllm_args += f" --enable-auto-tool-choice --tool-call-parser {shlex.quote(tool_parser)}"
        with contextlib.closing(Bfcl(chosen, mode)) as benchmark:
            with under_evaluation(
                base_url, model, api_key_env, checkpoint, merge_to, vllm_args, start_timeout, out, console
            ) as found:
                chat = chat_with(found, sampling, api_key_env, timeout, retries)
                if mode == "tools":
                    check_tools(chat)
                result = evaluate(benchmark, chat, found, plan, console)
            folder = benchmark.write_official(out / "bfcl", official_name or found["name"], result["answers"])
        _show(result, out, console)
        console.print(f"For the official runner: {escape(str(folder))} (docs/evaluation.md says how)")


@app.command()
def apibank(
    data: Annotated[Path, typer.Option(help="A folder with level-{1,2,3}-api_processed.json of ToolRL's repository.")],
    out: Out,
    levels: Annotated[str, typer.Option(help="Comma-separated.")] = "1,2,3",
    limit: Limit = None,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key_env: KeyEnv = "OPENAI_API_KEY",
    checkpoint: Checkpoint = None,
    merge_to: MergeTo = None,
    vllm_args: VllmArgs = "",
    start_timeout: StartTimeout = 900.0,
    concurrency: Concurrency = 16,
    max_tokens: MaxTokens = 1024,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    extra_body: ExtraBody = "{}",
    timeout: Timeout = 600.0,
    retries: Retries = 4,
) -> None:
    """API-Bank, levels 1 to 3: the call's name and parameters equal the gold ones."""
    from awpo_ext.evaluate.apibank import ApiBank

    console = Console(soft_wrap=True)
    with _errors_as_messages():
        plan = Plan(out, limit, concurrency=concurrency)
        benchmark = ApiBank(data, _levels(levels))
        sampling = _sampling(max_tokens, 0.0 if temperature is None else temperature, top_p, seed, extra_body)
        with under_evaluation(
            base_url, model, api_key_env, checkpoint, merge_to, vllm_args, start_timeout, out, console
        ) as found:
            chat = chat_with(found, sampling, api_key_env, timeout, retries)
            _show(evaluate(benchmark, chat, found, plan, console), out, console)


@app.command("mmlu_pro")
def mmlu_pro(
    out: Out,
    data: Annotated[
        Path | None, typer.Option(help="A folder with test and validation as .jsonl or .parquet; default: the hub.")
    ] = None,
    subjects: Annotated[str, typer.Option(help="Comma-separated subjects.")] = ",".join(SUBJECTS),
    limit: Limit = None,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key_env: KeyEnv = "OPENAI_API_KEY",
    checkpoint: Checkpoint = None,
    merge_to: MergeTo = None,
    vllm_args: VllmArgs = "",
    start_timeout: StartTimeout = 900.0,
    concurrency: Concurrency = 16,
    max_tokens: MaxTokens = 2048,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    extra_body: ExtraBody = "{}",
    timeout: Timeout = 600.0,
    retries: Retries = 4,
) -> None:
    """MMLU-Pro with the prompts, extraction and metric of lm-eval."""
    from awpo_ext.evaluate.mmlu_pro import MmluPro

    console = Console(soft_wrap=True)
    with _errors_as_messages():
        plan = Plan(out, limit, concurrency=concurrency)
        benchmark = MmluPro([name.strip() for name in subjects.split(",") if name.strip()], data)
        sampling = _sampling(max_tokens, 0.0 if temperature is None else temperature, top_p, seed, extra_body)
        with under_evaluation(
            base_url, model, api_key_env, checkpoint, merge_to, vllm_args, start_timeout, out, console
        ) as found:
            chat = chat_with(found, sampling, api_key_env, timeout, retries)
            _show(evaluate(benchmark, chat, found, plan, console), out, console)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="result.json of one model, for instance before training.")],
    second: Annotated[Path, typer.Argument(help="result.json of the other.")],
    out: Annotated[Path | None, typer.Option(help="A JSON file for the comparison.")] = None,
) -> None:
    """Two models on the same tasks: difference with a paired bootstrap interval, and McNemar's exact test."""
    from awpo_ext.evaluate.compare import compare as compared

    console = Console(soft_wrap=True)
    with _errors_as_messages():
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


def _sampling(max_tokens: int, temperature: float, top_p: float, seed: int, extra: str) -> Sampling:
    try:
        return Sampling(max_tokens, temperature, top_p, seed, _json("--extra-body", extra))
    except ValueError as error:
        raise EvalError(str(error)) from None


def _levels(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise EvalError(f"--levels {text!r}: must be numbers, such as 1,2,3") from None


def _json(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise EvalError(f"{option} {text!r}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise EvalError(f"{option} {text!r}: must be a JSON object")
    return value


def _show(result: dict[str, Any], out: Path, console: Console) -> None:
    """Print it; exit code 1 where requests failed and another run is needed."""
    console.print(report.table(result))
    for note in result["notes"]:
        console.print(f"[yellow]note:[/yellow] {escape(note)}")
    console.print(f"{escape(str(out))}: result.json, result.md, result.html")
    if result["unanswered"]:
        raise typer.Exit(1)


@contextlib.contextmanager
def _errors_as_messages() -> Iterator[None]:
    """An EvalError as one message on stderr and exit code 1; Ctrl-C likewise; anything else keeps its traceback."""
    try:
        yield
    except EvalError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; the answers so far are kept: run the same command again to go on")
        raise typer.Exit(130) from None
