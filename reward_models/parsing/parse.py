"""`parse_response`: any text, in a named dialect or in the one that fits.

The text is a policy's and so hostile: every outcome is a value, every step is linear in the text, nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reward_models.parsing.body import Body
from reward_models.parsing.engines import is_engine, read_with_engine
from reward_models.parsing.families import candidates
from reward_models.parsing.gemma import read_gemma
from reward_models.parsing.harmony import looks_like_harmony, read_harmony
from reward_models.parsing.json_calls import read_json, read_openai
from reward_models.parsing.limits import MAX_CHARS
from reward_models.parsing.markup_calls import read_glm, read_minimax, read_qwen3_coder
from reward_models.parsing.nested_calls import read_minimax_m3
from reward_models.parsing.python_calls import read_python
from reward_models.parsing.source import Source
from reward_models.parsing.tagged import read_hermes, read_toolrl
from reward_models.parsing.thoughts import THINKING, split_thought
from reward_models.parsing.token_calls import read_deepseek, read_kimi, read_llama3, read_mistral
from reward_models.parsing.types import INVALID_CODES, ParseCode, ParsedResponse, Problem, Span, Status, Unreadable

_READERS: dict[str, Callable[[Source, int], Body]] = {
    "toolrl": read_toolrl,
    "hermes": read_hermes,
    "openai": read_openai,
    "json": read_json,
    "python": read_python,
    "qwen3_coder": read_qwen3_coder,
    "glm": read_glm,
    "minimax": read_minimax,
    "minimax_m3": read_minimax_m3,
    "mistral": read_mistral,
    "kimi": read_kimi,
    "deepseek": read_deepseek,
    "llama3": read_llama3,
    "gemma": read_gemma,
    "harmony": read_harmony,
}
DIALECTS = tuple(_READERS)
_NAMED = frozenset(("auto", *DIALECTS))

_BEST_FIRST = (Status.VALID, Status.ABSTAINED, Status.INVALID, Status.UNPARSEABLE)
# What a turn ends with where a decoder keeps special tokens. Each begins with the only "<" in it.
_END_TOKENS = (
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<|return|>", "<|call|>",
    "<|user|>", "<|observation|>", "<end_of_turn>", "<turn|>", "<eos>", "</s>", "<｜end▁of▁sentence｜>", "<seed:eos>",
    "<start_function_response>", "<|tool_response>", "<|END_OF_TURN_TOKEN|>",
)  # fmt: skip


def parse_response(
    text: str,
    dialect: str = "auto",
    *,
    tools: str | Sequence[Mapping[str, Any]] | None = None,
    thinking: str = "auto",
) -> ParsedResponse:
    """Parse any text; never raises for one. ValueError for an unknown dialect or `thinking`.

    `tools` are the row's, as JSON text or as a list: they type the values of formats that have text only, and tell a call
    that misses the dialect from prose. `thinking` is for a text without any tag of a thought: with "auto" it is an answer
    or calls, with "opened" a thought that was cut off, because the prompt ends in an open one. A thought that starts with
    its tag, or has only the closing one, is found either way; calls in it do not count.

    The dialects (docs/formats.md has an example of each):
        toolrl: a `<tool_call>` block with one `{"name", "parameters"}` a line, and/or a `<response>` block.
        hermes: any number of `<tool_call>` blocks with one `{"name", "arguments"}` each; text around is the answer.
        openai: a message in JSON, with `content` and/or `tool_calls`, or the list of tool calls; fence allowed.
        json: an object `{"name", "arguments" | "parameters"}` or a list of them, fence allowed; or an answer.
        python: calls `[f(a=1), g.h(b="x")]`, brackets optional, fence allowed; or an answer.
        qwen3_coder, glm, minimax, minimax_m3: calls in tags, values as text; mistral, kimi, deepseek, llama3: JSON
        between special tokens; gemma; harmony. Text around is the answer.
        vllm:<parser>, verl:<parser>: vLLM's or verl's own parser (`reward_models.parsing.engines`).
    Where the thought can be read and the rest cannot, the thought is still given.

    "auto" tries the dialects whose signs the text after the thought has (`reward_models.parsing.families`) and takes the
    better reading (VALID, ABSTAINED, INVALID, UNPARSEABLE, in this order), of equals the first.
    """
    with_engine = dialect not in _NAMED
    if with_engine:
        check_dialect(dialect)
    if thinking not in THINKING:
        raise ValueError(f"thinking={thinking!r} is not known; known: {', '.join(THINKING)}")
    named = "hermes" if dialect == "auto" else dialect
    if len(text) > MAX_CHARS:
        return _failed(named, Problem(ParseCode.TOO_LONG, MAX_CHARS, len(text)), None, text)
    if text.endswith((">", " ", "\n")):
        text = _without_end_tokens(text)
    if named == "harmony" or dialect == "auto":
        start = len(text) - len(text.lstrip())
        if named == "harmony" or looks_like_harmony(text, start):
            return _parse(Source(text, tools), "harmony", None, start)
    try:
        thought, start = split_thought(text, thinking)
    except Unreadable as error:
        return _failed(named, error.problem, None, text)
    if with_engine:
        return _with_engine(text, dialect, tools, thought, start)
    reader = Source(text, tools)
    if dialect != "auto":
        return _parse(reader, dialect, thought, start)
    best = None
    for candidate in candidates(text, start):
        parsed = _parse(reader, candidate, thought, start)
        if best is None or _BEST_FIRST.index(parsed.status) < _BEST_FIRST.index(best.status):
            best = parsed
        if best.status is Status.VALID:
            break
    return best


def check_dialect(dialect: str, owner: str = "") -> None:
    """Raise ValueError unless `dialect` is "auto", a name of DIALECTS, or `vllm:` or `verl:` with a parser's name."""
    if dialect not in _NAMED and not is_engine(dialect):
        known = ", ".join(("auto", *DIALECTS, "vllm:<parser>", "verl:<parser>"))
        raise ValueError(f"{owner}dialect={dialect!r} is not known; known: {known}")


def _without_end_tokens(text: str) -> str:
    end = len(text)
    while end:
        if text[end - 1].isspace():
            end -= 1
        elif text.endswith(_END_TOKENS, 0, end):
            end = text.rfind("<", 0, end)
        else:
            break
    # White space alone is left: spans and answers are stripped anyway.
    return text if end == len(text) or end == len(text.rstrip()) else text[:end]


def _parse(reader: Source, dialect: str, thought: Span | None, start: int) -> ParsedResponse:
    text = reader.text
    try:
        body = _READERS[dialect](reader, start)
    except Unreadable as error:
        return _failed(dialect, error.problem, thought, text)
    except RecursionError:
        # Limits keep nesting shallow, so this is a caller whose own stack is nearly used up.
        return _failed(dialect, Problem(ParseCode.TOO_DEEP, start, len(text)), thought, text)
    return _parsed(text, dialect, body, thought, start)


def _with_engine(
    text: str, dialect: str, tools: str | Sequence[Mapping[str, Any]] | None, thought: Span | None, start: int
) -> ParsedResponse:
    try:
        body = read_with_engine(text, start, dialect, tools)
    except Unreadable as error:
        return _failed(dialect, error.problem, thought, text)
    return _parsed(text, dialect, body, thought, start)


def _parsed(text: str, dialect: str, body: Body, thought: Span | None, start: int) -> ParsedResponse:
    thought = body.thought or thought
    calls, problems = () if body.problems else tuple(body.calls), tuple(body.problems)
    # Names would take as long as half of the rest: the fields in their order.
    return ParsedResponse(
        *(dialect, _status(body), _at(text, thought), calls, body.answer, problems),
        *(thought, body.answer_span, (start, len(text))),
    )


def _status(body: Body) -> Status:
    if body.problems:
        return Status.INVALID
    return Status.VALID if body.calls else Status.ABSTAINED


def _failed(dialect: str, problem: Problem, thought: Span | None, text: str) -> ParsedResponse:
    status = Status.INVALID if problem.code in INVALID_CODES else Status.UNPARSEABLE
    return ParsedResponse(dialect, status, _at(text, thought), problems=(problem,), thought_span=thought)


def _at(text: str, span: Span | None) -> str | None:
    return None if span is None else text[slice(*span)]
