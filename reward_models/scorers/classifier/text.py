"""What a classifier reads of a rollout: one text by a template, within a number of tokens, and its token ids.

Where the text is too long, the tools are cut first, then the task, then the middle of action and thought, so that
their beginnings and ends are always kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from reward_models.parsing import ToolCall
from reward_models.rollout_view import RolloutView, Step, read_rollout
from reward_models.types import Rollout

TEMPLATE = Path(__file__).parent / "templates" / "classifier_v1.txt"
MIN_TOKENS, MAX_TOKENS = 64, 32768
_SECTIONS = ("question", "tools", "thought", "action")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MAX_CHARS = 64 * 1024  # of a section, before anything is counted in tokens
_CUT = " … "
_ATTEMPTS = 4


def read_template(path: Path = TEMPLATE) -> str:
    """The template's text, checked: each of {question}, {tools}, {thought}, {action} once, and no other placeholder."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as a template: {error}") from None
    if sorted(_PLACEHOLDER.findall(text)) != sorted(_SECTIONS):
        names = ", ".join(f"{{{name}}}" for name in _SECTIONS)
        raise ValueError(f"{path}: a template holds each of {names} once, and no other placeholder")
    return text


def template_hash(template: str) -> str:
    """The first 12 hex digits of the SHA-256 of the text."""
    return sha256(template.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Renderer:
    """Rollout -> token ids, special tokens included, at most `max_tokens` of them.

    tokenizer: a fast one of transformers (its offsets say where to cut); `check_tokenizer` refuses others.
    max_tokens: in [MIN_TOKENS, MAX_TOKENS].
    template: see `read_template`.

    Special tokens that are written in the rollout are read as plain text: a policy can neither end the text nor pad it.
    """

    tokenizer: Any
    max_tokens: int
    template: str

    def encode(self, rollout: Rollout) -> list[int] | None:
        """The ids; None where the rollout has no thought, or a blank one: there is no reasoning to read."""
        sections = _sections(rollout)
        if sections is None:
            return None
        excess = 0
        for _ in range(_ATTEMPTS):
            ids = self._ids(self._fitted(sections, excess))
            if len(ids) <= self.max_tokens:
                return ids
            # Text joined from pieces may have a few tokens more than the pieces had.
            excess += len(ids) - self.max_tokens
        head = self.max_tokens // 2
        return ids[:head] + ids[head - self.max_tokens :]

    def text(self, rollout: Rollout) -> str | None:
        """The text that `encode` turns into ids, for people and for other programs; None as there."""
        sections = _sections(rollout)
        return None if sections is None else self._fitted(sections, 0)

    def _fitted(self, sections: dict[str, str], excess: int) -> str:
        left = self.max_tokens - len(self._ids(self._fill(dict.fromkeys(_SECTIONS, "")))) - excess
        fitted = {}
        thought = len(self._offsets(sections["thought"]))
        # The thought may have what the action leaves; the action at least half.
        fitted["action"], used = self._cut_middle(sections["action"], max(left // 2, left - thought))
        left -= used
        for name in ("thought", "question"):
            fitted[name], used = self._cut_middle(sections[name], left)
            left -= used
        offsets = self._offsets(sections["tools"])
        end = len(sections["tools"]) if len(offsets) <= left else offsets[left - 1][1] if left > 0 else 0
        fitted["tools"] = sections["tools"][:end]
        return self._fill(fitted)

    def _cut_middle(self, text: str, allowed: int) -> tuple[str, int]:
        """The text in at most `allowed` tokens, and how many it takes."""
        offsets = self._offsets(text)
        if len(offsets) <= allowed:
            return text, len(offsets)
        kept = allowed - len(self._offsets(_CUT))
        if kept < 2:
            return "", 0
        head, tail = (kept + 1) // 2, kept // 2
        return text[: offsets[head - 1][1]] + _CUT + text[offsets[-tail][0] :], allowed

    def _fill(self, sections: dict[str, str]) -> str:
        return _PLACEHOLDER.sub(lambda match: sections[match[1]], self.template)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, split_special_tokens=True, truncation=False, verbose=False)["input_ids"]

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        if not text:
            return []
        return self.tokenizer(
            text,
            split_special_tokens=True,
            add_special_tokens=False,
            return_offsets_mapping=True,
            truncation=False,
            verbose=False,
        )["offset_mapping"]


def check_tokenizer(tokenizer: Any, where: str) -> None:
    """ValueError where the tokenizer is not a fast one, or has no token to pad with."""
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{where}: the tokenizer must be a fast one (tokenizer.json); convert it with transformers")
    if tokenizer.pad_token_id is None:
        raise ValueError(
            f"{where}: the tokenizer has no pad token; set one (`tokenizer.pad_token = ...`) and save it there"
        )


def _sections(rollout: Rollout) -> dict[str, str] | None:
    view = read_rollout(rollout)
    if not view.thought:
        return None
    raw = {
        "question": rollout.question.strip(),
        "tools": _tools(rollout.tools, {call.name for call in view.calls}),
        "thought": _by_step(view, [step.thought for step in view.steps]),
        "action": _by_step(view, [_action(step) for step in view.steps]),
    }
    return {name: _bounded(text) for name, text in raw.items()}


def _by_step(view: RolloutView, texts: Sequence[str]) -> str:
    """The texts as they are, or where there are several steps with the number of its step before each."""
    if len(view.steps) == 1:
        return texts[0]
    return "\n".join(f"Step {number}: {text}" for number, text in enumerate(texts, 1) if text)


def _action(step: Step) -> str:
    """The calls, one a line in JSON whatever the dialect, and the answer; what cannot be read stays as written."""
    if step.parsed.problems:
        return step.action
    lines = [_call(call) for call in step.parsed.calls]
    return "\n".join([*lines, step.parsed.answer] if step.parsed.answer else lines)


def _call(call: ToolCall) -> str:
    return json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)


def _tools(tools: str, called: set[str]) -> str:
    """One line a tool, `name(argument: type, ..): description`; the called ones first, so that a cut spares them."""
    try:
        listed = json.loads(tools)
    except (ValueError, RecursionError):
        return tools.strip()
    listed = [_function(tool) for tool in listed] if isinstance(listed, list) else []
    if not listed or not all(listed):
        return tools.strip()
    listed.sort(key=lambda tool: tool["name"] not in called)
    return "\n".join(_signature(tool) for tool in listed)


def _function(tool: Any) -> dict[str, Any] | None:
    if isinstance(tool, dict) and isinstance(tool.get("function"), dict):  # OpenAI's form
        tool = tool["function"]
    return tool if isinstance(tool, dict) and isinstance(tool.get("name"), str) else None


def _signature(tool: dict[str, Any]) -> str:
    parameters = tool.get("parameters")
    properties = parameters.get("properties", parameters) if isinstance(parameters, dict) else {}
    arguments = []
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        kind = schema.get("type") if isinstance(schema, dict) else None
        arguments.append(f"{name}: {kind}" if isinstance(kind, str) else str(name))
    description = tool.get("description")
    about = f": {' '.join(description.split())}" if isinstance(description, str) and description.strip() else ""
    return f"{tool['name']}({', '.join(arguments)}){about}"


def _bounded(text: str) -> str:
    # Tokenizers refuse lone surrogates, and one such text would fail its whole batch.
    text = text.encode("utf-8", "replace").decode("utf-8")
    half = _MAX_CHARS // 2
    return text if len(text) <= _MAX_CHARS else text[:half] + _CUT + text[-half:]


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and attention mask, both (N, longest), padded on the right."""
    longest = max(map(len, rows), default=0)
    ids = [[*row, *[pad_id] * (longest - len(row))] for row in rows]
    return ids, [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
