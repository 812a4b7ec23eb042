"""The one reading of a rollout, of one text or several: what the model thought, did and answered, step by step.

A step is one text of the model. A rollout has one, unless its agent loop keeps the texts apart, in two keys of `extra_info`:
    turns: for each user turn a text, or a list of texts, as tools' answers came in between.
    tool_answers: for each user turn a list with, for each of its texts, the list of what the tools answered to it.
`Rollout.response` is then the whole trajectory as one text, others' words included, and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from reward_models.parsing import ParsedResponse, Status, ToolCall, parse_response
from reward_models.types import Rollout

# The tag that ends a thought, in any form: `</think>`, `[/THINK]`, ...
_CLOSING = re.compile(r"\s*[<\[◁][^\s<>\[\]◁▷]*[>\]▷]")
_WELL_FORMED = (Status.VALID, Status.ABSTAINED)
# Of at most 64 KiB each. A rollout is read by its verifier, its judge and for its columns, nearly at once.
CACHED_TEXTS = 128


@dataclass(frozen=True)
class Step:
    """One text of the model, how it reads, and what the tools answered to it (empty where the loop kept nothing)."""

    text: str
    parsed: ParsedResponse
    tool_answers: tuple[str, ...] = ()

    @property
    def thought(self) -> str:
        """The stripped thought, "" where there is none or a blank one."""
        return self.parsed.thought or ""

    @property
    def action(self) -> str:
        """What follows the thought as it is written, or the whole text where there is no thought; stripped."""
        if self.parsed.body_span[1] and self.parsed.dialect != "harmony":
            return self.text[slice(*self.parsed.body_span)].strip()
        if self.parsed.thought_span is None:
            return self.text.strip()
        closing = _CLOSING.match(self.text, self.parsed.thought_span[1])
        return self.text[closing.end() if closing else self.parsed.thought_span[1] :].strip()


@dataclass(frozen=True)
class RolloutView:
    """A rollout read once. `steps` holds at least one step, which may be empty."""

    question: str
    steps: tuple[Step, ...]

    @cached_property
    def thought(self) -> str:
        """The thoughts of all steps, one below the other; "" where there is none."""
        return "\n".join(step.thought for step in self.steps if step.thought)

    @cached_property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of all steps that can be read, in order."""
        return tuple(call for step in self.steps for call in step.parsed.calls)

    @property
    def answer(self) -> str:
        """The last step's answer, "" where there is none."""
        return self.steps[-1].parsed.answer or ""

    @property
    def well_formed(self) -> bool:
        """Whether every step has calls or an answer that can be read."""
        return all(step.parsed.status in _WELL_FORMED for step in self.steps)

    @property
    def thinks_throughout(self) -> bool:
        """Whether every step has a thought that is not blank."""
        return all(step.thought for step in self.steps)

    @cached_property
    def has_evidence(self) -> bool:
        """Whether there is anything, a request or an action, that a thought can be compared with."""
        return bool(self.question.strip()) or any(step.action for step in self.steps)

    @property
    def as_one(self) -> ParsedResponse:
        """All steps as one response: every call, the last answer, and of the statuses the worst.

        The places of problems and calls are those in their own step's text.
        """
        return self.steps[0].parsed if len(self.steps) == 1 else self._joined

    @cached_property
    def _joined(self) -> ParsedResponse:
        readings = [step.parsed for step in self.steps]
        problems = tuple(problem for parsed in readings for problem in parsed.problems)
        worst = next((parsed.status for parsed in readings if parsed.status is Status.UNPARSEABLE), Status.INVALID)
        good = Status.VALID if self.calls else Status.ABSTAINED
        return ParsedResponse(
            dialect=readings[-1].dialect,
            status=good if self.well_formed else worst,
            thought=self.thought if any(parsed.thought is not None for parsed in readings) else None,
            calls=self.calls if self.well_formed else (),
            answer=readings[-1].answer,
            problems=problems,
        )


def read_rollout(rollout: Rollout, dialect: str = "auto", thinking: str = "auto") -> RolloutView:
    """Read every text of the model; any text is allowed. `dialect` and `thinking` are those of `parse_response`.

    ValueError for one that is unknown, and where `turns` or `tool_answers` have another form than the module says.
    """
    turns = turns_of(rollout)
    if turns is None:
        step = Step(rollout.response, read_text(rollout, rollout.response, dialect, thinking))
        return RolloutView(rollout.question, (step,))
    texts = [text for turn in turns for text in turn]
    answers = _tool_answers(rollout, turns)
    steps = [
        Step(text, read_text(rollout, text, dialect, thinking), given)
        for text, given in zip(texts, answers, strict=True)
    ]
    return RolloutView(rollout.question, tuple(steps) or (Step("", parse_response("", dialect)),))


def turns_of(rollout: Rollout) -> list[list[str]] | None:
    """The model's texts by user turn, None where the rollout has one text. ValueError where `turns` has another form."""
    turns = rollout.extra_info.get("turns")
    if turns is None:
        return None
    turns = [[turn] if isinstance(turn, str) else list(turn) for turn in turns]
    if not all(isinstance(step, str) for turn in turns for step in turn):
        raise ValueError("extra_info['turns'] must be a list with, for each turn, a text or a list of texts")
    return turns


def _tool_answers(rollout: Rollout, turns: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """For each text of the model what the tools answered; the last texts may have no entry."""
    given = rollout.extra_info.get("tool_answers")
    by_turn = [list(turn) for turn in given] if given is not None else []
    if len(by_turn) > len(turns) or any(len(found) > len(turn) for found, turn in zip(by_turn, turns, strict=False)):
        raise ValueError("extra_info['tool_answers'] has answers to more texts than extra_info['turns'] has")
    by_turn += [[] for _ in range(len(turns) - len(by_turn))]
    padded = [[*found, *[()] * (len(turn) - len(found))] for found, turn in zip(by_turn, turns, strict=True)]
    return [_texts(answers) for turn in padded for answers in turn]


def _texts(answers: Any) -> tuple[str, ...]:
    texts = (answers,) if isinstance(answers, str) else tuple(answers)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("extra_info['tool_answers'] must hold, for each text of the model, a list of texts")
    return texts


def read_text(rollout: Rollout, text: str, dialect: str = "auto", thinking: str = "auto") -> ParsedResponse:
    """One of the model's own texts, read with what the row knows: its tools, and `extra_info["thinking"]`.

    The latter is there where data or a loop has put it, and comes before the argument. The same text is read once, and
    the result is shared: nobody may change it.
    """
    return _read(text, dialect, rollout.tools, rollout.extra_info.get("thinking") or thinking)


def with_opened_thought(extra_info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row's own with `thinking="opened"`, unless it says otherwise: then every reader knows that the prompt opened a
    thought. An agent loop that keeps the texts apart has put the opening tag before them already.
    """
    if "turns" in extra_info or extra_info.get("thinking"):
        return extra_info
    return {**extra_info, "thinking": "opened"}


@lru_cache(maxsize=CACHED_TEXTS)
def _read(text: str, dialect: str, tools: str, thinking: str) -> ParsedResponse:
    return parse_response(text, dialect, tools=tools, thinking=thinking)
