"""The rubric: criteria with a prompt, versioned by a hash of what it says, checked when it is read, and the prompt made of it.

The static rubric comes first, the task next and what is judged last, so that servers share the prefix among rollouts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from reward_models.judges.llm import yes_no
from reward_models.judges.llm.criteria import (
    SUFFIXES,
    Criterion,
    RubricData,
    asked_verdict,
    read_criteria,
    read_rubric_data,
    scales_of,
)
from reward_models.judges.llm.echo import Echoes
from reward_models.judges.llm.fencing import make_nonce
from reward_models.judges.llm.prompt_file import (
    PromptFile,
    places_of,
    read_prompt,
    require_before_fence,
    require_in_fence,
)
from reward_models.judges.llm.shown import ShownStep, ShownTask, fill, lay_out
from reward_models.judges.llm.verdict import Grade, Scale, read_verdict, scores_format
from reward_models.types import Unscored

SCORE, YES_NO = "score", "yes_no"
VERDICTS = (SCORE, YES_NO)
BUILT_IN = {  # by the verdict that is asked for and whether there is a reference
    (SCORE, False): "reasoning_v2",
    (SCORE, True): "reasoning_reference_v2",
    (YES_NO, False): "fits_v1",
    (YES_NO, True): "fits_reference_v1",
}
_FOLDER = Path(__file__).parent / "prompts"
_NAMED = {path.stem: path for path in _FOLDER.glob("*.json")}  # rubrics that can be chosen by name
_OF_STEP = "Grade the thought of the last step alone. The steps before it are shown for what they found."

_TRUSTED = ("question", "tools", "reference")
_UNTRUSTED = ("thought", "action")
_SCALE = re.compile(r"\b(?:from|scale(?: of| from)?:?)\s+(\d+)\s*(?:to|-|–)\s*(\d+)\b", re.IGNORECASE)
_ONE_WORD = "Answer Yes or No."


@dataclass(frozen=True)
class Prompt:
    """The text for the model; `responses` are the parts of it that a policy wrote, one for each response shown."""

    text: str
    responses: tuple[str, ...] = ()

    @cached_property
    def echoes(self) -> Echoes:
        """What the model's own verdicts are compared with."""
        return Echoes(self.text, self.responses)


@dataclass(frozen=True)
class Rubric(PromptFile):
    """The prompt for one rollout: `verdict` is what it asks for, one of VERDICTS; the scale of `yes_no` is 0 to 1.

    The text between the lines of the fence is repeated for each step of the response.

    criteria: what the verdict has a number for, each on its own scale; () where it is `score` alone, on `scale`.
    """

    verdict: str
    scale: Scale
    criteria: tuple[Criterion, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.criteria:  # weights are not in the text
            object.__setattr__(self, "hash", sha256(f"{self.hash}\n{self.criteria!r}".encode()).hexdigest()[:12])

    @property
    def format(self) -> dict[str, Any]:
        """The schema of the verdict, for `response_format`."""
        return scores_format(scales_of(self.criteria) if self.criteria else {"score": self.scale})

    def read(self, answer: str, echoes: Echoes) -> Grade | Unscored:
        """The verdict in an answer, see `read_verdict`."""
        if self.criteria:
            return read_criteria(answer, self.criteria, echoes)
        return read_verdict(answer, self.scale, echoes)

    def render(self, task: ShownTask, steps: Sequence[ShownStep]) -> Prompt:
        """The prompt for one rollout. No text leaves its place, and a blank one is shown as "(none)"."""
        return render(self.text, task, steps)

    def render_last(self, task: ShownTask, steps: Sequence[ShownStep]) -> Prompt:
        """The prompt for the last of these steps, with those before it."""
        if len(steps) == 1:
            return self.render(task, steps)
        fence = self.text.rindex("\n", 0, self.text.index("{{nonce}}")) + 1
        return render(f"{self.text[:fence]}{_OF_STEP}\n{self.text[fence:]}", task, steps)


def render(template: str, task: ShownTask, steps: Sequence[ShownStep]) -> Prompt:
    """As `Rubric.render`, of a text that has all the placeholders of a rubric in their places."""
    nonce = make_nonce(template, *task.texts(), *(text for step in steps for text in step.texts()))
    values = {**task.values(nonce), "nonce": nonce}
    start, end = _inside(template)
    shown = lay_out(steps, template[start:end], nonce)
    return Prompt(f"{fill(template[:start], values)}{shown}{fill(template[end:], values)}", (shown,))


def _inside(text: str) -> tuple[int, int]:
    """Where the lines between the first and the last line with {{nonce}} start and end, without their last line feed."""
    return text.index("\n", text.index("{{nonce}}")) + 1, text.rindex("\n", 0, text.rindex("{{nonce}}"))


def load_rubric(source: str | None, *, reference: bool, scale: int | None, verdict: str = SCORE) -> Rubric:
    """Read and check a rubric.

    Args:
        source: path of a prompt (.txt) or of a file of criteria (.json, .yaml), or a built-in one's name; None: the one for
            `verdict` and `reference`.
        reference: whether prompts show the data set's own answer.
        scale: the top of the scale that the caller expects; None: whatever the prompt states. Not for `yes_no`.
        verdict: what the prompt should ask for, one of VERDICTS.

    ValueError, with the fix, where the file cannot be read, or a placeholder is unknown, missing or misplaced. For
    `score` also where the scale is not stated once as "from A to B", or differs from `scale`; for `yes_no` where the
    prompt does not ask for the one word.
    """
    name, text, where, data = _read(source, reference, verdict)
    names = (*_TRUSTED, *_UNTRUSTED, "nonce")
    places = places_of(text, where, [name for name in names if reference or name != "reference"])
    start, end = places["nonce"][0], places["nonce"][-1]
    inside = range(*_inside(text)) if "\n" in text[start:end] else range(0)
    for untrusted in _UNTRUSTED:
        require_in_fence(places, untrusted, inside, where)
    for trusted in _TRUSTED:
        require_before_fence(places, trusted, where)
    criteria = () if data is None or data.plain else data.criteria
    if verdict == YES_NO:
        _check_question(text, where)
        stated = yes_no.SCALE
    elif criteria:
        _check_keys(text, where, [criterion.name for criterion in criteria])
        stated = Scale(*criteria[0].scale)
        if scale is not None:
            raise ValueError(
                f"scale={scale!r} has no meaning with {where}, whose criteria have their own: leave scale out"
            )
    else:
        _check_keys(text, where)
        stated = _stated_scale(text, where, scale)
    return Rubric(name, text, verdict, stated, criteria)


def _read(source: str | None, reference: bool, verdict: str) -> tuple[str, str, str, RubricData | None]:
    """As `read_prompt`, with what a file of criteria says, whose prompt the text is."""
    path = _NAMED[BUILT_IN[verdict, reference]] if source is None else _NAMED.get(source, Path(source).expanduser())
    if path.suffix not in SUFFIXES:
        return *read_prompt(source, path), None
    data = read_rubric_data(path)
    if data.verdict != verdict:
        raise ValueError(
            f"rubric {path.name!r} is for verdict={data.verdict}, and verdict={verdict} is set: set one of them"
        )
    if verdict == YES_NO and not data.plain:
        raise ValueError(
            f"rubric {path.name!r}: verdict=yes_no has one question, so its one criterion must be called 'fits'"
        )
    frame = _FOLDER / ("criteria_reference_v1.txt" if reference else "criteria_v1.txt")
    _, text, where = read_prompt(None if data.prompt is None else str(data.prompt), frame)
    text = text.replace("{{criteria}}", "\n".join(criterion.line() for criterion in data.criteria))
    text = text.replace("{{verdict}}", asked_verdict(data.criteria))
    return path.stem, text, where if data.prompt is not None else f"rubric {path.name!r}", data


def _check_keys(text: str, where: str, names: Sequence[str] = ("score",)) -> None:
    for key in ("reasons", *names):
        if f'"{key}"' not in text:
            hint = "; or set verdict=yes_no" if _ONE_WORD in text else ""
            raise ValueError(
                f'{where} does not name the verdict\'s key "{key}"; ask for {{"reasons": "...", "score": N}}{hint}'
            )


def _check_question(text: str, where: str) -> None:
    if _ONE_WORD not in text:
        raise ValueError(
            f"{where} does not ask for one word, as verdict=yes_no needs: write '{_ONE_WORD}' after the question, or set "
            "verdict=score"
        )


def _stated_scale(text: str, where: str, wanted: int | None) -> Scale:
    stated = sorted({(int(low), int(high)) for low, high in _SCALE.findall(text)})
    if len(stated) != 1:
        found = " and ".join(f"from {low} to {high}" for low, high in stated) or "none"
        raise ValueError(f"{where} must state one scale, like 'an integer from 0 to 10'; found: {found}")
    scale = Scale(*stated[0])
    if wanted is not None and wanted != scale.high:
        raise ValueError(
            f"scale={wanted!r} does not fit {where}, which asks for a score from {scale.low} to {scale.high}: set "
            f"scale={scale.high}, or write 'from {scale.low} to {wanted}' in the rubric and describe that scale"
        )
    return scale
