"""A step's example rollouts for a logger's table: which ones matter, and one short row for each. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from reward_models.options import Options, Range
from reward_models.rollout_view import RolloutView, read_rollout
from reward_models.types import Rollout

KEY = "algorithm.awpo.examples"
COLUMNS = (
    "step", "why", "prompt", "thought", "calls", "expected", "outcome", "judge", "reason", "judge_words", "advantage",
    "closed", "rollout",
)  # fmt: skip
NUMBERS = ("step", "outcome", "judge", "advantage")
HIGH, LOW, SOLVED = 0.7, 0.3, 0.9  # as the filters of `awpo view` have them
ELLIPSIS = "…"
MARGIN = 4096  # characters that are read beyond a cell's, so that no secret is cut in two and then not known
# Control, bidi and other characters that hide or move text; tab and line feed stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True)
class ExampleOptions(Options, owner=KEY):
    """A table of example rollouts in the loggers of `trainer.logger` that can show one.

    every: a table each so many steps, and at step 1; 0: none.
    count: rollouts in a table.
    max_text: characters of a cell.
    """

    every: Annotated[int, Range(0, 1_000_000)] = 10
    count: Annotated[int, Range(1, 200)] = 12
    max_text: Annotated[int, Range(50, 20_000)] = 1000

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | bool | None) -> ExampleOptions:
        """Of the section `algorithm.awpo.examples`: a mapping, or true or false; a run without one has no tables.

        Raises ValueError that names key, value and what is allowed.
        """
        if section is None or section is False:
            return cls(every=0)
        if section is True:
            return cls()
        if not isinstance(section, Mapping):
            raise ValueError(f"{KEY}={section!r} must be true, false, or keys such as {KEY}.every=10")
        return cls.read(section)

    def due(self, step: int) -> bool:
        return self.every > 0 and step > 0 and (step == 1 or step % self.every == 0)


@dataclass(frozen=True)
class Numbers:
    """What rollouts are chosen by: lists of N.

    share: the outcome's place in its row's range, NaN where it was not verified; score: the first judge's, NaN where there
    is none; unread: why a response could not be read, empty or None where it was.
    """

    advantage: Sequence[float]
    share: Sequence[float]
    score: Sequence[float]
    unread: Sequence[str | None]
    group: Sequence[str]


def choose(numbers: Numbers, count: int) -> list[tuple[int, str]]:
    """At most `count` rollouts, each once, with why: by turns one of each kind, those that move the policy most first.

    Where the kinds are used up, one rollout of each prompt after the other follows.
    """
    n = len(numbers.advantage)
    a, share, score = numbers.advantage, numbers.share, numbers.score

    def those(test: Callable[[int], bool], key: Callable[[int], float] = lambda i: abs(a[i])) -> list[int]:
        return sorted(filter(test, range(n)), key=lambda i: -key(i))

    kinds = {
        "largest |A|": those(lambda i: a[i] != 0),
        "judge high, outcome low": those(lambda i: score[i] >= HIGH and share[i] <= LOW, lambda i: score[i] - share[i]),
        "outcome high, judge low": those(
            lambda i: share[i] >= SOLVED and score[i] <= LOW, lambda i: share[i] - score[i]
        ),
        "unparseable": those(lambda i: bool(numbers.unread[i])),
        "unscored": those(lambda i: score[i] != score[i]),
    }
    chosen = _by_turns(kinds, count)
    rest = [i for i in _one_by_group(numbers.group) if i not in chosen]
    return [*chosen.items(), *((i, "any") for i in rest[: count - len(chosen)])]


def _by_turns(kinds: Mapping[str, list[int]], count: int) -> dict[int, str]:
    chosen: dict[int, str] = {}
    waiting = {why: iter(rows) for why, rows in kinds.items()}
    while waiting and len(chosen) < count:
        for why in list(waiting):
            row = next((i for i in waiting[why] if i not in chosen), None)
            if row is None:
                del waiting[why]
            elif len(chosen) < count:
                chosen[row] = why
    return chosen


def _one_by_group(group: Sequence[str]) -> list[int]:
    """Every rollout: the first of each prompt, then the second of each, .."""
    seen: dict[str, int] = {}
    place = []
    for name in group:
        place.append(seen.get(name, 0))
        seen[name] = place[-1] + 1
    return sorted(range(len(group)), key=place.__getitem__)


def example_row(
    row: Mapping[str, Any], step: int, why: str, max_text: int, hide: Callable[[str], str]
) -> dict[str, Any]:
    """A row of the table from a rollout's row of a record with its prompt's columns: texts and numbers, None for none.

    hide: takes secrets out of a text. Long texts lose their end, the prompt its start.
    """
    view = _view(row)
    reasons = [row.get("unread"), *(row.get("outcome_reasons") or [row.get("outcome_reason")])]
    failure = f"unscored: {row['failure']}" if row.get("failure") else ""
    texts = {
        "prompt": _end(hide(_prompt(row)[-max_text - MARGIN :]), max_text),
        "thought": view.thought,
        "calls": _calls(row, view),
        "expected": row.get("ground_truth"),
        "reason": ", ".join(dict.fromkeys(filter(None, reasons))),
        "judge_words": ". ".join(filter(None, (failure, row.get("words")))),
    }
    cells = {
        "step": step,
        "why": why,
        **{name: _start(visible(hide((text or "")[: max_text + MARGIN])), max_text) for name, text in texts.items()},
        "outcome": row.get("outcome") if row.get("outcome_valid", True) else None,
        "judge": row.get("reasoning"),
        "advantage": row.get("advantage"),
        "closed": row.get("closed") or "",
        "rollout": row.get("key") or "",
    }
    return {name: cells[name] for name in COLUMNS}


def _view(row: Mapping[str, Any]) -> RolloutView:
    texts = row.get("texts")
    info = {"turns": [list(texts)]} if texts else {}
    return read_rollout(
        Rollout(row.get("question") or "", row.get("tools") or "", row.get("response") or "", "", "", info)
    )


def _prompt(row: Mapping[str, Any]) -> str:
    if row.get("question"):
        return row["question"]
    try:
        return str(json.loads(row["prompt"])[-1]["content"])
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return row.get("prompt") or ""


def _calls(row: Mapping[str, Any], view: RolloutView) -> str:
    """As the run parsed them, one a line; where there is none, what the model wrote after its thought."""
    try:
        calls = [call for step in json.loads(row.get("calls") or "[]") for call in step]
        lines = [f"{call['name']}({json.dumps(call['arguments'], ensure_ascii=False)})" for call in calls]
    except (KeyError, TypeError, ValueError, RecursionError):
        lines = [str(row.get("calls"))]
    return "\n".join(lines) or "\n".join(step.action for step in view.steps)


def visible(text: str) -> str:
    """The text with hidden characters written out, as in <U+202E>."""
    return _HIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def _start(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def _end(text: str, limit: int) -> str:
    return text if len(text) <= limit else ELLIPSIS + text[1 - limit :]
