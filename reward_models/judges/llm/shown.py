"""What a judging model is shown of a rollout: its request, and its steps with thought, action and tools' answers.

Everything is cleaned and bounded here, and made quotable where it goes into a prompt (see fencing.py), whoever wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_models.judges.llm.fencing import clean, neutralise, quotable_json
from reward_models.parsing import parse_response
from reward_models.rollout_view import RolloutView, Step
from reward_models.types import Unscored, UnscoredReason

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
EMPTY = "(none)"
_TASK_CHARS = {"question": 16_000, "tools": 16_000, "reference": 4_000}
STEP_CHARS = 8_000  # of a thought or an action that is alone
_MIN_CHARS = 200
MAX_STEPS = 64  # of a longer rollout the middle is left out


@dataclass(frozen=True)
class ShownTask:
    """What the response answers; `reference` is "" where none is shown."""

    question: str
    tools: str
    reference: str = ""

    def texts(self) -> tuple[str, ...]:
        return self.question, self.tools, self.reference

    def values(self, nonce: str) -> dict[str, str]:
        """By placeholder, without the words of the fence."""
        return {name: neutralise(getattr(self, name), nonce) or EMPTY for name in _TASK_CHARS}


@dataclass(frozen=True)
class ShownStep:
    """One step, the `number`-th; `thought`, `action` and `answered` (by tools) are "" where there is nothing."""

    number: int
    thought: str
    action: str
    answered: str = ""

    def texts(self) -> tuple[str, ...]:
        return self.thought, self.action, self.answered

    def cut(self, max_chars: int) -> ShownStep:
        return ShownStep(self.number, *(clean(text, max_chars) for text in self.texts()))


def show_task(question: str, tools: str, reference: str = "") -> ShownTask:
    """The task; `reference` is the data set's own response, of which the action alone is shown."""
    action = show_action(Step(reference, parse_response(reference))) if reference.strip() else ""
    return ShownTask(
        clean(question, _TASK_CHARS["question"]),
        clean(_show_tools(tools), _TASK_CHARS["tools"]),
        clean(action, _TASK_CHARS["reference"]),
    )


def show_steps(view: RolloutView) -> tuple[ShownStep, ...]:
    """The rollout's steps in order; the more there are, the less of each. Of more than MAX_STEPS the middle is left out."""
    numbered = list(enumerate(view.steps, 1))
    if len(numbered) > MAX_STEPS:
        numbered = numbered[: MAX_STEPS // 2] + numbered[-MAX_STEPS // 2 :]
    bound = STEP_CHARS if len(numbered) == 1 else min(STEP_CHARS, max(_MIN_CHARS, 2 * STEP_CHARS // len(numbered)))
    return tuple(
        ShownStep(
            number,
            clean(step.thought, bound),
            clean(show_action(step), bound),
            clean(quotable_json(step.tool_answers), bound) if step.tool_answers else "",
        )
        for number, step in numbered
    )


def show_action(step: Step) -> str:
    """What follows the thought, as one line of JSON: its calls and answer, or the raw text where it cannot be read."""
    if not step.action:
        return ""
    parsed, action = step.parsed, dict[str, Any]()
    if parsed.calls:
        action["calls"] = [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
    if parsed.answer is not None:
        action["answer"] = parsed.answer
    return quotable_json(action or {"unreadable": step.action})


def lay_out(steps: Sequence[ShownStep], block: str, nonce: str) -> str:
    """The steps in a prompt, each in the form of `block`, which holds {{thought}}, {{action}} and {{nonce}}.

    Several steps are numbered, and the tools' answers follow their step.
    """
    parts = []
    for step in steps:
        thought, action, answered = (neutralise(text, nonce) for text in step.texts())
        if len(steps) > 1:
            parts.append(f"STEP-{nonce} {step.number} of {steps[-1].number}")
        parts.append(fill(block, {"thought": thought or EMPTY, "action": action or EMPTY, "nonce": nonce}))
        if answered:
            parts.append(f"ANSWERED-{nonce} (by the tools, as JSON):\n{answered}")
    return "\n".join(parts)


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders replaced in one pass: a placeholder inside a text is text."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def nothing_to_compare(view: RolloutView, task: ShownTask, reference: bool) -> Unscored | None:
    """Why a thought cannot be judged: nothing to compare it with, or no reference where one should be shown."""
    if view.thought and not view.has_evidence:
        return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor an action to compare with")
    if reference and not task.reference:
        return Unscored(UnscoredReason.NO_EVIDENCE, "no ground truth to show as the reference")
    return None


def _show_tools(tools: str) -> str:
    try:
        return quotable_json(json.loads(tools))
    except (ValueError, RecursionError):
        return tools
