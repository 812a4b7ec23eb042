"""The dialects `vllm:<parser>` and `verl:<parser>`: an engine's or an agent loop's own tool parser, in a sandbox.

It gets the response without its thought, and is bounded by time, memory and the limits of all dialects. What it
cannot tell is left out: calls have no places in the text, and a call that it passes over has no reason. An answer is
checked as in every dialect, so a broken call that the parser takes for text is no abstention. A response takes about a
tenth of a second: each has a forked process of its own.
"""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from reward_models.parsing.answers import check_answer
from reward_models.parsing.body import Body, CallList
from reward_models.parsing.json_values import read_whole
from reward_models.parsing.tool_types import tool_types
from reward_models.parsing.types import ParseCode, Problem, Unreadable
from reward_models.sandbox import Sandbox, SandboxConfig, TaskStatus

ENGINES = ("vllm", "verl")
TIMEOUT_SECONDS = 2.0
STARTUP_SECONDS = 300.0  # an engine's import, on a busy machine

_JOBS = "reward_models.parsing.engine_jobs"
_PRELOAD = {
    "vllm": [_JOBS, "vllm.tool_parsers", "vllm.entrypoints.openai.chat_completion.protocol"],
    "verl": [_JOBS, "verl.experimental.agent_loop.tool_parser"],
}
_CACHED = 256
_sandboxes: dict[str, Sandbox] = {}
_lock = threading.Lock()


def is_engine(dialect: str) -> bool:
    """Whether the dialect is `vllm:` or `verl:` with a parser's name."""
    engine, colon, parser = dialect.partition(":")
    return bool(colon and parser) and engine in ENGINES


def read_with_engine(text: str, start: int, dialect: str, tools: str | Sequence[Mapping[str, Any]] | None) -> Body:
    """What the parser finds in text[start:]. Raises Unreadable, PARSER_FAILED where the parser raises or does not end.

    ValueError for a name that the engine does not know, a parser that needs the model's own tokenizer, and tools that the
    engine refuses; SandboxUnavailable where nothing can be run.
    """
    given = tools if isinstance(tools, str) else json.dumps(list(tools or ()))
    span = (start, len(text))
    found = _run(dialect, text[start:], given or "[]")
    if found is None:
        raise Unreadable(ParseCode.PARSER_FAILED, *span)
    if "refused" in found:
        raise ValueError(f"dialect={dialect!r} cannot be used: {found['refused']}")
    calls = CallList()
    for name, arguments in found["calls"]:
        try:
            value, codes = read_whole(arguments or "{}")
        except Unreadable as error:
            raise Unreadable(error.problem.code, *span) from None
        calls.problems += [Problem(code, *span) for code in codes]
        calls.add_named(str(name or ""), value, span)
    answer = (found["content"] or "").strip() or None
    if not (calls.calls or calls.problems):
        check_answer(answer or "", span, tool_types(given).names)
    return Body([replace(call, span=None) for call in calls.calls], answer, None, calls.problems)


@lru_cache(maxsize=_CACHED)
def _run(dialect: str, text: str, tools: str) -> dict[str, Any] | None:
    """The job's result, None where it has none. The text is read again by each of a reward's parts: hence the cache."""
    engine, _, parser = dialect.partition(":")
    try:
        definitions = json.loads(tools)
    except (ValueError, RecursionError):
        definitions = []
    payload = {"parser": parser, "text": text, "tools": definitions if isinstance(definitions, list) else []}
    result = _sandbox(engine).submit(f"{_JOBS}:run_{engine}", payload).result()
    return result.value if result.status is TaskStatus.OK else None


def _sandbox(engine: str) -> Sandbox:
    with _lock:
        if engine not in _sandboxes:
            # Parsers write no files, so Landlock is not needed to keep them from it.
            config = SandboxConfig(
                workers=1, timeout_seconds=TIMEOUT_SECONDS, startup_seconds=STARTUP_SECONDS, require_landlock=False
            )
            _sandboxes[engine] = Sandbox(config, preload=_PRELOAD[engine])
            atexit.register(_sandboxes[engine].close)
        return _sandboxes[engine]
