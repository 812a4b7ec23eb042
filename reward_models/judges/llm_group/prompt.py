"""The prompts that compare thoughts: versioned text files with their content hash, checked when they are read.

As with the rubric of a single thought, what is static comes first and what the policy wrote last, in one fence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reward_models.judges.llm.fencing import make_nonce
from reward_models.judges.llm.prompt_file import (
    PromptFile,
    places_of,
    read_prompt,
    require_before_fence,
    require_in_fence,
)
from reward_models.judges.llm.rubric import Prompt
from reward_models.judges.llm.shown import (
    STEP_CHARS,
    ShownStep,
    ShownTask,
    fill,
    lay_out,
    nothing_to_compare,
    show_steps,
    show_task,
)
from reward_models.rollout_view import read_rollout
from reward_models.types import Rollout, Unscored

LISTWISE, PAIRWISE = "listwise", "pairwise"
VERDICT_KEYS = {LISTWISE: ("reasons", "ranking"), PAIRWISE: ("reasons", "better")}
_FOLDER = Path(__file__).parent / "prompts"
_TASK = ("question", "tools", "reference")
_BLOCK = "THOUGHT-{{nonce}}:\n{{thought}}\nACTION-{{nonce}} (as JSON):\n{{action}}"
_ALL_ENTRIES_CHARS = 64_000  # of one prompt: the more responses, the less of each


@dataclass(frozen=True)
class Entry:
    """One response to compare; equal ones are one entry."""

    steps: tuple[ShownStep, ...]

    @property
    def thinks(self) -> bool:
        """Whether any of its steps has a thought."""
        return any(step.thought for step in self.steps)


def read_entry(rollout: Rollout, *, reference: bool) -> tuple[ShownTask, Entry] | Unscored:
    """What is shown of a rollout; Unscored(no_evidence) where nothing is known to judge its thought by."""
    view = read_rollout(rollout)
    task = show_task(rollout.question, rollout.tools, rollout.ground_truth if reference else "")
    return nothing_to_compare(view, task, reference) or (task, Entry(show_steps(view)))


def labels(count: int) -> tuple[str, ...]:
    """A, B, .., Z, AA, AB, .. by the place in the prompt, so that they say nothing of the responses."""

    def label(number: int) -> str:
        letter = chr(ord("A") + number % 26)
        return letter if number < 26 else label(number // 26 - 1) + letter

    return tuple(label(number) for number in range(count))


@dataclass(frozen=True)
class Comparison(PromptFile):
    """The prompt for several responses."""

    def render(self, task: ShownTask, entries: Sequence[Entry]) -> Prompt:
        """The prompt that shows `entries` in this order, labelled by `labels`."""
        bound = _ALL_ENTRIES_CHARS // (2 * len(entries))
        shown = [[step.cut(min(STEP_CHARS, bound // len(entry.steps))) for step in entry.steps] for entry in entries]
        texts = (text for steps in shown for step in steps for text in step.texts())
        nonce = make_nonce(self.text, *task.texts(), *texts)
        names = labels(len(entries))
        blocks = tuple(lay_out(steps, _BLOCK, nonce) for steps in shown)
        responses = "\n".join(f"RESPONSE-{nonce} {name}\n{block}" for name, block in zip(names, blocks, strict=True))
        values = {**task.values(nonce), "labels": ", ".join(names), "responses": responses, "nonce": nonce}
        return Prompt(fill(self.text, values), blocks)


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
    name, text, where = read_prompt(source, _FOLDER / built_in)
    trusted = [*_TASK[: 3 if reference else 2], *(["labels"] if mode == LISTWISE else [])]
    places = places_of(text, where, [*trusted, "responses", "nonce"], f" for mode={mode}")
    require_in_fence(places, "responses", range(places["nonce"][0] + 1, places["nonce"][-1]), where)
    for item in trusted:
        require_before_fence(places, item, where)
    for key in VERDICT_KEYS[mode]:
        if f'"{key}"' not in text:
            raise ValueError(f'{where} does not name the verdict\'s key "{key}", which mode={mode} needs')
    return Comparison(name, text)
