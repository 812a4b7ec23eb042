"""One rollout of a record as a person reads it: a JSON object with texts in pieces, calls against expected calls, terms.

Nothing here is markup; the page shows every string as text. What the run stored is shown as it is. What is worked out
anew from the texts (pieces, `read_again`, the comparison) reads them in the dialect `auto`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from awpo_ext.explorer.calls import compared
from awpo_ext.record.json_values import finite
from reward_models.parsing import ParsedResponse, Status, ToolCall
from reward_models.rollout_view import read_text
from reward_models.types import Rollout
from reward_models.verifiers.expected import ExpectedCall, expect, parse_expected
from reward_models.verifiers.schema import read_tools
from reward_models.verifiers.tools.state_truth import read_truth

MAX_SHOWN = 1_000_000  # characters of one text
STATE_NOTE = (
    "The calls of all turns. The verifier state compares what calls did and returned, so other calls may be right too."
)
TERMS = (
    "advantage", "a_outcome", "a_judge", "outcome_part", "judge_part", "gate", "difficulty", "success_rate", "closed",
    "radius", "leverage", "kl_penalty",
)  # fmt: skip
OUTCOME = ("outcome", "outcome_valid", "outcome_min", "outcome_max", "outcome_reason", "outcome_reasons")
IDENTITY = (
    "step", "batch", "phase", "group", "session", "key", "data_source", "has_text", "cut", "tokens", "response_length",
    "prompt_length", "min_version", "max_version", "unread",
)  # fmt: skip


def rollout_detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a rollout; `row` is one of `Record.rows`, its prompt's columns included.

    Every part that cannot be read is shown as its text, so that no rollout is without a page.
    """
    rollout = _rollout(row)
    steps = [(text, read_text(rollout, text)) for text in _texts(row)]
    stored = _json(row.get("calls"))
    calls = _stored_calls(stored)
    again = [call for _, parsed in steps for call in parsed.calls]
    used = again if calls is None or (row.get("unread") and not calls) else calls
    detail = {
        **{key: row.get(key) for key in IDENTITY},
        "messages": _messages(row),
        "tools": _tools(row),
        "steps": _steps(steps, _json(row.get("extra"))),
        "ground_truth": _cut(row.get("ground_truth")),
        "read_again": {
            "calls": len(again),
            "dialects": sorted({parsed.dialect for _, parsed in steps}),
            "readable": all(parsed.status in (Status.VALID, Status.ABSTAINED) for _, parsed in steps),
        },
        "comparison": _comparison(row, rollout, used, as_stored=used is calls),
        "outcome": {**{key: row.get(key) for key in OUTCOME}, "parts": _json(row.get("outcome_parts")) or {}},
        "judge": {
            "signals": row.get("signals") or [],
            "words": _cut(row.get("words")),
            **{key: row.get(key) for key in ("reasoning", "failure", "spread", "votes", "judge_tokens")},
        },
        "terms": {key: row.get(key) for key in TERMS},
        "columns": _json(row.get("columns")) or {},
        "extra_info": _pretty(row.get("extra_info")),
    }
    return finite(detail)


def search_texts(row: Mapping[str, Any]) -> list[str]:
    """The texts that a search looks into."""
    names = ("response", "words", "prompt", "ground_truth", "tools", "question")
    return [text for text in (*(row.get(name) for name in names), *(row.get("texts") or ())) if text]


def _rollout(row: Mapping[str, Any]) -> Rollout:
    info = _json(row.get("extra_info"))
    return Rollout(
        question=row.get("question") or "",
        tools=row.get("tools") or "",
        response=row.get("response") or "",
        ground_truth=row.get("ground_truth") or "",
        data_source=row.get("data_source") or "",
        extra_info=info if isinstance(info, dict) else {},
    )


def _texts(row: Mapping[str, Any]) -> list[str]:
    return list(row.get("texts") or [row.get("response") or ""])


def _steps(steps: Sequence[tuple[str, ParsedResponse]], extra: Any) -> list[dict[str, Any]]:
    answers = _tool_answers(extra)
    return [
        {
            "pieces": _pieces(text, parsed),
            "dialect": parsed.dialect,
            "status": parsed.status.value,
            "problems": [problem.code.value for problem in parsed.problems],
            "answers": answers[i] if i < len(answers) else [],
        }
        for i, (text, parsed) in enumerate(steps)
    ]


def _tool_answers(extra: Any) -> list[list[str]]:
    """The tools' answers to each text of the model; [] where the loop kept none, or kept them in another form."""
    turns = extra.get("tool_answers") if isinstance(extra, dict) else None
    if not isinstance(turns, list):
        return []
    texts = [text for turn in turns if isinstance(turn, list) for text in turn]
    return [[_cut(_shown(one)) for one in (text if isinstance(text, list) else [text])] for text in texts]


def _pieces(text: str, parsed: ParsedResponse) -> list[list[str]]:
    """The text cut into [kind, text]: thought, call, problem, or plain. Together they are the text."""
    spans = [("thought", parsed.thought_span)] + [("call", call.span) for call in parsed.calls]
    spans += [("problem", (problem.start, problem.end)) for problem in parsed.problems]
    pieces, at = [], 0
    for start, end, kind in sorted((*span, kind) for kind, span in spans if span and span[0] < span[1]):
        if start < at or start >= MAX_SHOWN:
            continue
        pieces += [["plain", text[at:start]]] if start > at else []
        pieces.append([kind, text[start : min(end, MAX_SHOWN)]])
        at = end
    rest = text[at:MAX_SHOWN] if at < MAX_SHOWN else ""
    return pieces + ([["plain", rest]] if rest else []) + _more(text)


def _more(text: str) -> list[list[str]]:
    return [["cut", f"{len(text) - MAX_SHOWN:,} more characters"]] if len(text) > MAX_SHOWN else []


def _messages(row: Mapping[str, Any]) -> list[dict[str, str]]:
    found = _json(row.get("prompt"))
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        return [{"role": _shown(one.get("role", "")), "content": _cut(_shown(one.get("content", "")))} for one in found]
    text = row.get("prompt") or row.get("question")
    return [{"role": "prompt", "content": _cut(text)}] if text else []


def _tools(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """Each tool's name, description and schema; one without a name where the text is no list of tools."""
    text = row.get("tools") or ""
    found = _json(text)
    if not isinstance(found, list):
        return [{"name": "", "description": "", "schema": _cut(text)}] if text.strip() else []
    tools = []
    for one in found:
        body = one.get("function", one) if isinstance(one, dict) else {}
        body = body if isinstance(body, dict) else {}
        name, told = body.get("name", ""), body.get("description", "")
        tools.append({"name": _shown(name), "description": _shown(told), "schema": _cut(_dumps(one, indent=2))})
    return tools


def _comparison(row: Mapping[str, Any], rollout: Rollout, calls: Sequence[ToolCall], as_stored: bool) -> dict[str, Any]:
    """Expected and given calls; `problem` says why there is none."""
    if not rollout.ground_truth.strip():
        return {"problem": "no ground truth was kept", "calls": [], "as_stored": as_stored}
    if len(rollout.ground_truth) > MAX_SHOWN:
        return {"problem": "the ground truth is too long to compare", "calls": [], "as_stored": as_stored}
    try:
        expected, note = _expected(rollout)
    except (ValueError, RecursionError, AttributeError) as error:
        return {"problem": f"the ground truth is not calls: {error}", "calls": [], "as_stored": as_stored}
    try:
        tools = read_tools(rollout.tools)
    except (ValueError, RecursionError) as error:
        tools, note = {}, f"compared without the tools: {error}"
    return {"problem": note, "calls": compared(expected, calls, tools), "as_stored": as_stored}


def _expected(rollout: Rollout) -> tuple[tuple[ExpectedCall, ...], str]:
    """The expected calls, and what to know of them. ValueError where the ground truth holds none that can be read."""
    truth = _json(rollout.ground_truth)
    if isinstance(truth, dict) and "involved_classes" in truth:
        calls = [call for turn in read_truth(rollout.ground_truth).turns for call in turn]
        named = [
            ToolCall(
                call["name"], {f"#{n}": one for n, one in enumerate(call.get("positional", ()), 1)} | call["arguments"]
            )
            for call in calls
        ]
        return expect(named), STATE_NOTE
    possible = rollout.extra_info.get("possible_answer")
    return parse_expected(possible if possible else rollout.ground_truth), ""


def _stored_calls(stored: Any) -> list[ToolCall] | None:
    """The calls of all steps as the run parsed them, None where it did not say."""
    if not isinstance(stored, list):
        return None
    calls = [call for step in stored for call in (step if isinstance(step, list) else [step])]
    read = [
        ToolCall(str(call.get("name", "")), call["arguments"] if isinstance(call.get("arguments"), dict) else {})
        for call in calls
        if isinstance(call, dict)
    ]
    return read


def _json(text: str | None) -> Any:
    """The value of a JSON text, None where there is none or it is not JSON."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _pretty(text: str | None) -> str:
    value = _json(text)
    return _cut(text if value is None else _dumps(value, indent=2))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else _dumps(value)


def _dumps(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} … {len(text) - MAX_SHOWN:,} more characters"
