"""The prompts that compare thoughts: versioned text files with their content hash, checked when they are read.

As with the rubric of a single thought, what is static comes first and what the policy wrote last, in one fence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reward_models.judges.llm.chat_judge import action_of
from reward_models.judges.llm.fencing import clean, encode_action, make_nonce, neutralise
from reward_models.judges.llm.rubric import Prompt
from reward_models.parsing import parse_response
from reward_models.types import Rollout, Unscored, UnscoredReason

LISTWISE, PAIRWISE = "listwise", "pairwise"
VERDICT_KEYS = {LISTWISE: ("reasons", "ranking"), PAIRWISE: ("reasons", "better")}
_FOLDER = Path(__file__).parent / "prompts"
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_TASK_CHARS = {"question": 16_000, "tools": 16_000, "reference": 4_000}
_ENTRY_CHARS = 8_000
_ALL_ENTRIES_CHARS = 64_000  # of one prompt: the more responses, the less of each
_MAX_FILE_CHARS = 100_000
_EMPTY = "(none)"


@dataclass(frozen=True)
class Task:
    """What all the responses answer, cleaned and bounded; `reference` is "" where none is shown."""

    question: str
    tools: str
    reference: str


@dataclass(frozen=True)
class Entry:
    """One response to compare, cleaned and bounded; equal ones are one entry. `thought` "" stands for no thought."""

    thought: str
    action: str


def read_rollout(rollout: Rollout, *, reference: bool) -> tuple[Task, Entry] | Unscored:
    """What is shown of a rollout; Unscored(no_evidence) where there is nothing to judge its thought by."""
    thought = clean(parse_response(rollout.response).thought or "", _ENTRY_CHARS)
    action = action_of(rollout.response)
    truth = action_of(rollout.ground_truth) if reference else ""
    if thought and not action and not rollout.question.strip():
        return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor an action to compare with")
    if reference and not truth:
        return Unscored(UnscoredReason.NO_EVIDENCE, "no ground truth to show as the reference")
    task = Task(
        clean(rollout.question, _TASK_CHARS["question"]),
        clean(rollout.tools, _TASK_CHARS["tools"]),
        clean(encode_action(truth), _TASK_CHARS["reference"]) if truth else "",
    )
    return task, Entry(thought, clean(encode_action(action), _ENTRY_CHARS) if action else "")


def labels(count: int) -> tuple[str, ...]:
    """A, B, .., Z, AA, AB, .. by the place in the prompt, so that they say nothing of the responses."""

    def label(number: int) -> str:
        letter = chr(ord("A") + number % 26)
        return letter if number < 26 else label(number // 26 - 1) + letter

    return tuple(label(number) for number in range(count))


@dataclass(frozen=True)
class Comparison:
    """A prompt file that passed its checks; `mode` is LISTWISE or PAIRWISE, `hash` of its text as in a rubric."""

    mode: str
    name: str
    text: str
    hash: str

    @property
    def version(self) -> str:
        """Name and hash, for records."""
        return f"{self.name}@{self.hash}"

    def render(self, task: Task, entries: Sequence[Entry]) -> Prompt:
        """The prompt that shows `entries` in this order, labelled by `labels`."""
        bound = min(_ENTRY_CHARS, _ALL_ENTRIES_CHARS // (2 * len(entries)))
        shown = [(clean(entry.thought, bound), clean(entry.action, bound)) for entry in entries]
        texts = {"question": task.question, "tools": task.tools, "reference": task.reference}
        nonce = make_nonce(self.text, *texts.values(), *(text for pair in shown for text in pair))
        values = {name: neutralise(text, nonce) or _EMPTY for name, text in texts.items()}
        values["labels"] = ", ".join(labels(len(entries)))
        values["responses"] = "\n".join(
            f"RESPONSE-{nonce} {label}\n"
            f"THOUGHT-{nonce}:\n{neutralise(thought, nonce) or _EMPTY}\n"
            f"ACTION-{nonce} (as JSON):\n{neutralise(action, nonce) or _EMPTY}"
            for label, (thought, action) in zip(labels(len(entries)), shown, strict=True)
        )
        values["nonce"] = nonce
        # One pass: a placeholder inside a text is text.
        return Prompt(_PLACEHOLDER.sub(lambda found: values[found[1]], self.text))


def load_comparison(mode: str, source: str | None, *, reference: bool) -> Comparison:
    """Read and check a prompt.

    Args:
        mode: LISTWISE or PAIRWISE.
        source: path of a text file; None: the built-in one.
        reference: whether prompts show the data set's own answer.

    ValueError, with the fix, where the file cannot be read, or a placeholder or a key of the verdict is unknown, missing
    or misplaced.
    """
    built_in = f"{mode}_reference_v1.txt" if reference else f"{mode}_v1.txt"
    path = _FOLDER / built_in if source is None else Path(source).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"rubric={source!r} cannot be read: {reason}; give the path of a text file") from None
    where = f"rubric {path.name!r}"
    if len(text) > _MAX_FILE_CHARS:
        raise ValueError(f"{where} has {len(text)} characters; at most {_MAX_FILE_CHARS} are read")
    _check_placeholders(text, where, mode, reference)
    for key in VERDICT_KEYS[mode]:
        if f'"{key}"' not in text:
            raise ValueError(f'{where} does not name the verdict\'s key "{key}", which mode={mode} needs')
    return Comparison(mode, path.stem, text.strip(), sha256(text.encode()).hexdigest()[:12])


def _check_placeholders(text: str, where: str, mode: str, reference: bool) -> None:
    task = {name for name in _TASK_CHARS if reference or name != "reference"}
    needed = task | {"responses", "nonce"} | ({"labels"} if mode == LISTWISE else set())
    places: dict[str, list[int]] = {}
    for found in _PLACEHOLDER.finditer(text):
        places.setdefault(found[1], []).append(found.start())
    for name in places:
        if name == "reference" and not reference:
            raise ValueError(f"{where} shows {{{{reference}}}}: set reference=true, or remove the placeholder")
        if name not in needed:
            raise ValueError(f"{where} has an unknown placeholder {_braced(name)} for mode={mode}")
    for name in sorted(needed - set(places)):
        raise ValueError(f"{where} lacks the placeholder {_braced(name)}, which mode={mode} needs")
    first, last = places["nonce"][0], places["nonce"][-1]
    if len(places["responses"]) != 1 or not first < places["responses"][0] < last:
        raise ValueError(
            f"{where} must hold {{{{responses}}}} once, between a line with {{{{nonce}}}} and another: that is the "
            "fence around what the policy wrote"
        )
    for name in needed - {"responses", "nonce"}:
        if any(place > first for place in places[name]):
            raise ValueError(
                f"{where} must hold {_braced(name)} before the first {{{{nonce}}}}: the responses come last"
            )


def _braced(name: str) -> str:
    return "{{" + name + "}}"
