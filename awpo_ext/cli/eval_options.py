"""The options that all benchmarks share: which model, how it is asked, where the answers go."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from awpo_ext.cli.console import json_option, stdout
from reward_models.errors import UserError

if TYPE_CHECKING:
    from awpo_ext.evaluate.chat import Chat, Sampling


@dataclass(frozen=True)
class Asking:
    """A field is an option of every command that `with_asking` decorates."""

    out: Annotated[Path, typer.Option("--out", help="Folder for the answers and results; the same one again resumes.")]
    limit: Annotated[int | None, typer.Option(help="Only the first so many rows of each category: PARTIAL.")] = None
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible API, as http://127.0.0.1:8000/v1.")] = None
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None
    api_key_env: Annotated[str, typer.Option(help="The variable that holds the API key.")] = "OPENAI_API_KEY"
    checkpoint: Annotated[
        Path | None, typer.Option(help="A Hugging Face or verl folder, or a hub id, to be served by vLLM here.")
    ] = None
    merge_to: Annotated[Path | None, typer.Option(help="Where verl's merger puts a sharded checkpoint.")] = None
    vllm_args: Annotated[str, typer.Option(help="More arguments for `vllm serve`, as one text.")] = ""
    start_timeout: Annotated[float, typer.Option(help="Seconds that vLLM may take to start.")] = 900.0
    concurrency: Annotated[int, typer.Option(help="Requests at once.")] = 16
    max_tokens: Annotated[int, typer.Option(help="Tokens of an answer, at most.")] = 1024
    temperature: Annotated[float | None, typer.Option(help="Default: the benchmark's own.")] = None
    top_p: Annotated[float, typer.Option()] = 1.0
    seed: Annotated[int, typer.Option(help="Of the sampling; the n-th answer to a row has this seed + n.")] = 0
    extra_body: Annotated[
        dict,
        json_option(
            "--extra-body", 'More of each request\'s body, {"chat_template_kwargs": {"enable_thinking": false}}'
        ),
    ] = "{}"
    timeout: Annotated[float, typer.Option(help="Seconds for one request.")] = 600.0
    retries: Annotated[int, typer.Option(help="Further attempts of a request that fails in a way that may pass.")] = 4

    def sampling(self, temperature: float) -> Sampling:
        """`temperature` is the benchmark's own. ValueError for a value out of range."""
        from awpo_ext.evaluate.chat import Sampling

        chosen = temperature if self.temperature is None else self.temperature
        return Sampling(self.max_tokens, chosen, self.top_p, self.seed, self.extra_body)

    def check(self) -> None:
        """UserError for options that no model and no question is needed to refuse."""
        from awpo_ext.evaluate.target import check_target

        self.sampling(0.0)
        check_target(self.base_url, self.model, self.checkpoint)
        try:
            shlex.split(self.vllm_args)
        except ValueError as error:
            raise UserError(f"--vllm-args {self.vllm_args!r}: {error}") from None

    def served(self, more_vllm_args: str = "") -> AbstractContextManager[dict[str, Any]]:
        """The model under evaluation, as long as this context lasts."""
        from awpo_ext.evaluate.target import under_evaluation

        return under_evaluation(
            self.base_url, self.model, self.api_key_env, self.checkpoint, self.merge_to,
            self.vllm_args + more_vllm_args, self.start_timeout, self.out, lambda text: stdout().print(escape(text)),
        )  # fmt: skip

    def thinking(self) -> str:
        """How an answer without any tag of a thought is read, by the template of --checkpoint; "auto" for an endpoint."""
        from awpo_ext.data.chat_template import read_template_of
        from awpo_ext.evaluate.checkpoint import resolve

        if self.checkpoint is None:
            return "auto"
        folder = resolve(self.checkpoint, self.merge_to)
        found = read_template_of(str(folder), options=self.extra_body.get("chat_template_kwargs"))
        return found.thinking if found else "auto"

    def chat(self, model: dict[str, Any], sampling: Sampling) -> Chat:
        from awpo_ext.evaluate.target import chat_with

        return chat_with(model, sampling, self.api_key_env, self.timeout, self.retries)


def with_asking(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, whose first parameter is `asking: Asking`, a typer option for each field. `defaults` are its own."""
    shared = get_type_hints(Asking, include_extras=True)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            command(Asking(**{name: given.pop(name) for name in shared}), **given)

        hints = get_type_hints(command, include_extras=True)
        own = [each for each in inspect.signature(command).parameters.values() if each.name != "asking"]
        ours = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(field.name, _default(field))
            )
            for field in fields(Asking)
        ]
        parameters = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=(hints | shared)[each.name])
            for each in (*own, *ours)
        ]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _default(field: Any) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default
