"""Whether a response keeps the layout of its dialect: tags, their order and number. Not whether its calls are right.

A well-formed answer without a call has the format too, also where a call is expected: that is the correctness' to say.
The thought is left alone: its language and what it quotes do not matter, only that it is closed, and its length where
bounds are set.

    toolrl   <think>..</think>, then <tool_call>..</tool_call> and/or <response>..</response>, once each, in this order,
             and nothing but white space around them
    hermes   a thought or none, text or none, then any number of <tool_call> blocks and nothing after them
    others   a thought or none, then what the parser reads as that dialect
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

from reward_models.options import Range, require
from reward_models.parsing import ParsedResponse, Status
from reward_models.rollout_view import RolloutView, Step
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier
from reward_models.verifiers.reading import Reading, problem_codes, read_own

_OWNER = "verifier 'format'"
_LIMIT = 10**6


class FormatCode(str, Enum):
    """What is wrong with the layout, besides the parser's codes; WELL_FORMED stands alone."""

    WELL_FORMED = "well_formed"
    NO_THOUGHT = "no_thought"  # toolrl wants one, and so does a bound on its length
    STRAY_TEXT = "stray_text"  # text where the dialect has none, or blocks in the wrong order
    THOUGHT_TOO_SHORT = "thought_too_short"
    THOUGHT_TOO_LONG = "thought_too_long"


@dataclass(frozen=True)
class FormatConfig(Reading, owner=_OWNER):
    """`dialect`, `thinking`: see `parse_response`. The bounds are on the characters of the stripped thought."""

    min_thought_chars: Annotated[int, Range(0, _LIMIT)] = 0
    max_thought_chars: Annotated[int, Range(0, _LIMIT)] = _LIMIT

    def __post_init__(self) -> None:
        super().__post_init__()
        above = Annotated[int, Range(self.min_thought_chars, _LIMIT)]
        require(_OWNER, "max_thought_chars", self.max_thought_chars, above)


class FormatVerifier(Verifier):
    """Format 1 for a response in its dialect's layout, else 0; needs no ground truth. `parts` is empty."""

    outcome_range = format_range = (0.0, 1.0)

    def __init__(self, **options: Any) -> None:
        self.config = FormatConfig.read(options)

    def verify(self, rollout: Rollout) -> Outcome:
        view = read_own(rollout, self.config)
        codes = format_codes(view) + self._length_codes(view.as_one)
        wrong = tuple(dict.fromkeys(code for code in codes if code != WELL_FORMED))
        reasons = wrong or codes
        return Outcome(float(not wrong), 0.0, reasons[0], reasons=reasons, view=view)

    def _length_codes(self, parsed: ParsedResponse) -> tuple[str, ...]:
        length = len((parsed.thought or "").strip())
        if parsed.thought is None and self.config.min_thought_chars:
            return (FormatCode.NO_THOUGHT.value,)
        if length < self.config.min_thought_chars:
            return (FormatCode.THOUGHT_TOO_SHORT.value,)
        if length > self.config.max_thought_chars:
            return (FormatCode.THOUGHT_TOO_LONG.value,)
        return ()


WELL_FORMED = FormatCode.WELL_FORMED.value
_ALL_WELL, _STRAY_TEXT = (WELL_FORMED,), (FormatCode.STRAY_TEXT.value,)


def format_codes(view: RolloutView) -> tuple[str, ...]:
    """(WELL_FORMED,) or what is wrong with the layout of the model's texts."""
    if len(view.steps) == 1:
        return _step_codes(view.steps[0])
    codes = dict.fromkeys(code for step in view.steps for code in _step_codes(step))
    return tuple(code for code in codes if code != WELL_FORMED) or (WELL_FORMED,)


def _step_codes(step: Step) -> tuple[str, ...]:
    parsed = step.parsed
    if parsed.status not in (Status.VALID, Status.ABSTAINED):
        return problem_codes(parsed)
    if parsed.dialect == "toolrl" and parsed.thought is None:
        return (FormatCode.NO_THOUGHT.value,)
    keeps_layout = _LAYOUTS.get(parsed.dialect)
    if keeps_layout is not None and not keeps_layout(step.text[: parsed.body_span[1]], parsed.body_span[0], parsed):
        return _STRAY_TEXT
    return _ALL_WELL


def _toolrl_layout(text: str, start: int, parsed: ParsedResponse) -> bool:
    position: int | None = start
    if parsed.calls:
        position = _end_of_block(text, start, "tool_call", _end_of_calls(parsed))
    if position is not None and text[position:].strip():
        position = _end_of_block(text, position, "response", 0)
    return position is not None and not text[position:].strip()


def _end_of_block(text: str, start: int, name: str, content_end: int) -> int | None:
    """The end of the block that `start` and white space lead to; None where there is none.

    Its closing tag is the first one after `content_end`, so that one in a string of a call does not count.
    """
    opening, closing = f"<{name}>", f"</{name}>"
    begin = len(text) - len(text[start:].lstrip())
    if not text.startswith(opening, begin):
        return None
    end = text.find(closing, max(begin + len(opening), content_end))
    return None if end < 0 else end + len(closing)


def _end_of_calls(parsed: ParsedResponse) -> int:
    return max((call.span[1] for call in parsed.calls if call.span), default=0)


def _hermes_layout(text: str, start: int, parsed: ParsedResponse) -> bool:
    if parsed.answer is None:
        return True  # no text around the blocks
    spans = sorted([call.span for call in parsed.calls if call.span])
    ends = [begin for begin, _ in spans[1:]] + [len(text)]
    for span, end in zip(spans, ends, strict=False):
        if text[span[1] : end].replace("<tool_call>", "").replace("</tool_call>", "").strip():
            return False
    return True


_LAYOUTS: dict[str, Callable[[str, int, ParsedResponse], bool]] = {
    "toolrl": _toolrl_layout,
    "hermes": _hermes_layout,
}
