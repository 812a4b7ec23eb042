"""The outcome reward in ToolRL's form (arXiv 2504.13958, section 3.3), its quirks included.

outcome = format (0 or 1) + correctness (in [-3, 3], 0 where the ground truth calls no tool): in [-3, 4]. Other ranges, and
ranges that change linearly with the training step (section 4.3 there, and as the code has it), are options.
This is the mode to compare published numbers with, not a good reward: see the quirks.

Quirks of the published code (`rlla.py` in its repository) that are kept, each pinned by a test:
- Layout is literal: one newline between blocks, tool_call's tags on lines of their own, nothing before or after.
- Format counts the tags of the action blocks over the whole text, so a thought that mentions `<tool_call>` costs the
  point. It does not count think tags, and it does not see a `<response>` in the thought when none is expected.
- The calls are read after the first `<tool_call>` of the text, be it in the thought: such a response gets -3.
- Correctness does not look at the format: text around the block, a missing thought or closing tag order cost nothing.
- The name score is the only term that sees spurious calls: a right two-parameter call and nine others earn +1.65.
- Matching is greedy in the order of the ground truth, hence at times below the best assignment.
- A same-name prediction with no common parameter name and no equal value is left for a later call.
- Values are compared with Python's `==`: True == 1 == 1.0, a NaN equals nothing.
- A call's parameters must be an object only where its name is one that the ground truth calls.

Deliberate differences:
- No environment variables (scaling is an option; no length reward, no coarse modes) and no chat-template splitting by
  experiment name.
- With `thinking=opened`, a thought that ends before any `<think>` has the layout as if it opened in the text.
- A text beyond the parser's bounds on length and depth is unreadable: -3, and format 0 where it is too long.
- The ground truth is read block by block, so its own thought may mention tags, and one that cannot be read is a
  ValueError; published code takes the first `<tool_call>` anywhere and crashes or scores what it finds.
- A ground truth without any of the tags is a ValueError instead of one that wants `<think>..</think>` only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

from reward_models.options import OneOf, Options, Range
from reward_models.parsing import MAX_CHARS, THINKING, ParseCode
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome, Verifier
from reward_models.verifiers.toolrl_text import GroundTruth, TextError, parse_ground_truth, read_json_lines

CORRECTNESS_MIN, CORRECTNESS_MAX = -3.0, 3.0  # of `match_calls`, before scaling
_OWNER = "verifier 'toolrl'"
_LIMIT = 1e6
_STEP = "global_steps"  # in extra_info, from verl: the step whose weights wrote the response


class Reason(str, Enum):
    """Why the correctness is what it is, besides the codes of `ParseCode` for -3."""

    EXACT = "exact"
    PARTIAL = "partial"
    NO_CALL_EXPECTED = "no_call_expected"
    NO_TOOL_CALL = "no_tool_call"


@dataclass(frozen=True)
class ToolRLConfig(Options, owner=_OWNER):
    """The range: format is 0 or `format_max`, correctness in [-`correctness_max`, `correctness_max`].

    With `schedule_steps` > 0 the maxima run linearly from `format_start` and `correctness_start` at step 0 to those above
    at that step, and stay there. The published schedule is `format_start=2 correctness_start=2 schedule_steps=150`, in one
    of two forms. `schedule_form=paper` (section 4.3): a response without the format gets 0 for it. `schedule_form=code`
    (the published code under SCHEDULEREWARD=1): it gets -`format_start` (1 - step / `schedule_steps`), and never more than
    -`format_max`; that is -2 + 2 step / 150 and at most -1, also after the last step of the schedule.

    `thinking`: "opened" where the prompt ends in an open thought, so that its tag is not in the response.
    """

    format_max: Annotated[float, Range(0.0, _LIMIT)] = 1.0
    correctness_max: Annotated[float, Range(0.01, _LIMIT)] = CORRECTNESS_MAX
    format_start: Annotated[float, Range(0.0, _LIMIT)] = 1.0
    correctness_start: Annotated[float, Range(0.01, _LIMIT)] = CORRECTNESS_MAX
    schedule_steps: Annotated[int, Range(0, 10**9)] = 0
    schedule_form: Literal["paper", "code"] = "paper"
    thinking: Annotated[str, OneOf(THINKING)] = "auto"

    def at(self, step: float) -> tuple[float, float, float]:
        """(format's lowest, format's highest, correctness' highest) at a training step; any step without a schedule."""
        if not self.schedule_steps:
            return 0.0, float(self.format_max), float(self.correctness_max)
        done = min(step / self.schedule_steps, 1.0)
        return (
            0.0 if self.schedule_form == "paper" else -max(float(self.format_max), self.format_start * (1.0 - done)),
            self.format_start + (self.format_max - self.format_start) * done,
            self.correctness_start + (self.correctness_max - self.correctness_start) * done,
        )


class ToolRLVerifier(Verifier):
    """ToolRL's reward; outcomes in [-3, 4] by default.

    Where the ground truth calls no tool they are in [0, `format_max`], and with a schedule the step decides: the `limits`
    of an outcome say so, and AWPO takes their upper end for solved.
    """

    def __init__(self, **options: Any) -> None:
        config = self.config = ToolRLConfig.read(options)
        # Both ends of the schedule: between them the lowest and the highest outcome are not beyond.
        ends = [config.at(0), config.at(config.schedule_steps)]
        self.outcome_range = (
            float(min(low - correctness for low, _, correctness in ends)),
            float(max(high + correctness for _, high, correctness in ends)),
        )
        self.format_range = (float(min(low for low, _, _ in ends)), float(max(high for _, high, _ in ends)))

    @property
    def correctness_range(self) -> tuple[float, float]:
        highest = max(
            correctness for _, _, correctness in (self.config.at(0), self.config.at(self.config.schedule_steps))
        )
        return -float(highest), float(highest)

    def verify(self, rollout: Rollout) -> Outcome:
        """Score one response; ValueError where the ground truth, or with a schedule the step, cannot be read. An empty
        response: -3, or 0."""
        format_min, format_max, correctness_max = self.config.at(self._step(rollout))
        truth = parse_ground_truth(rollout.ground_truth)
        response = rollout.response.strip()
        if (rollout.extra_info.get("thinking") or self.config.thinking) == "opened":
            response = _with_opening(response)
        format_score = format_max if matches_format(response, truth) else format_min
        form = (format_min, format_max)
        if not truth.calls:
            return Outcome(format_score, 0.0, Reason.NO_CALL_EXPECTED.value, limits=form, format_limits=form)
        limits = (format_min - correctness_max, format_max + correctness_max)
        try:
            correctness = match_calls(truth.calls, read_predicted(response))
        except TextError as error:
            return Outcome(format_score, -correctness_max, error.code.value, limits=limits, format_limits=form)
        reason = Reason.EXACT if correctness == CORRECTNESS_MAX else Reason.PARTIAL
        scaled = correctness / CORRECTNESS_MAX * correctness_max
        return Outcome(format_score, scaled, reason.value, limits=limits, format_limits=form)

    def check_row(self, rollout: Rollout) -> None:
        parse_ground_truth(rollout.ground_truth)  # the step of a schedule is not the data's to know

    def _step(self, rollout: Rollout) -> float:
        if not self.config.schedule_steps:
            return 0.0
        step = rollout.extra_info.get(_STEP)
        if isinstance(step, bool) or not isinstance(step, int | float) or step < 0:
            raise ValueError(f"{_OWNER}: schedule_steps needs extra_info[{_STEP!r}], which verl adds; it is {step!r}")
        return step


def _with_opening(response: str) -> str:
    end = response.find("</think>")
    return response if end < 0 or response.find("<think>", 0, end) >= 0 else f"<think>{response}"


def matches_format(response: str, truth: GroundTruth) -> bool:
    """Whether the stripped `response` has the layout that the blocks of `truth` ask for (the pattern, and counts)."""
    pieces = ["<think>", "</think>"]
    once = []
    if truth.calls:
        pieces[-1] += "\n<tool_call>\n"
        pieces.append("\n</tool_call>")
        once += ["<tool_call>", "</tool_call>"]
    if truth.has_response:
        pieces[-1] += "\n<response>"
        pieces.append("</response>")
        once += ["<response>", "</response>"]
    if len(response) > MAX_CHARS or any(response.count(tag) != 1 for tag in once):
        return False
    return _in_order(response, pieces)


def _in_order(text: str, pieces: list[str]) -> bool:
    # The glob first*middle*..*last by leftmost search: linear, where a regex of lazy dots can backtrack.
    first, *middle, last = pieces
    if not text.startswith(first):
        return False
    position = len(first)
    for piece in middle:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return text.endswith(last) and len(text) - len(last) >= position


def read_predicted(response: str) -> list[Any]:
    """The JSON values after the first `<tool_call>` of the text; raises TextError.

    Their shape is `match_calls`' concern.
    """
    if len(response) > MAX_CHARS:
        raise TextError(ParseCode.TOO_LONG)
    if "<tool_call>" not in response or "</tool_call>" not in response:
        raise TextError(Reason.NO_TOOL_CALL)
    return read_json_lines(response.split("<tool_call>")[1].split("</tool_call>")[0])


def match_calls(truth: tuple[dict[str, Any], ...], predicted: list[Any]) -> float:
    """Correctness in [-3, 3] of `predicted` (JSON values) against `truth` (at least one call).

    r = 6 * score / P - 3 with P = 1 + sum over truth of (1 + number of parameters); score = multiset Jaccard of the
    names + for each call of truth, in order, the best unused same-name prediction's Jaccard of parameter names plus
    number of equal values (the first of equals wins). TextError(BAD_CALL) where a value is not a call.
    """
    wanted = {call["name"] for call in truth}
    if not all(_is_call(value, wanted) for value in predicted):
        raise TextError(ParseCode.BAD_CALL)
    score = multiset_jaccard([call["name"] for call in truth], [value["name"] for value in predicted])
    best_possible = 1.0
    unused = list(predicted)
    for call in truth:
        best_possible += 1.0 + len(call["parameters"])
        candidates = [value for value in unused if value["name"] == call["name"]]
        best = max(candidates, key=lambda value: call_score(call["parameters"], value["parameters"]), default=None)
        if best is None:
            continue
        gained = call_score(call["parameters"], best["parameters"])
        if gained > 0.0:
            score += gained
            # By identity: an equal but other prediction must stay.
            unused = [value for value in unused if value is not best]
    return (CORRECTNESS_MAX - CORRECTNESS_MIN) * score / best_possible + CORRECTNESS_MIN


def call_score(truth: dict[str, Any], predicted: dict[str, Any]) -> float:
    """Jaccard of the parameter names (1 where both have none) + number of `truth`'s parameters with an equal value."""
    common = truth.keys() & predicted.keys()
    union = len(truth) + len(predicted) - len(common)
    return (len(common) / union if union else 1.0) + sum(1.0 for key in common if predicted[key] == truth[key])


def multiset_jaccard(left: list[Any], right: list[Any]) -> float:
    """|left & right| / |left | right| as multisets of hashable items, in [0, 1]; 1 where both are empty."""
    common = sum((Counter(left) & Counter(right)).values())
    union = len(left) + len(right) - common
    return common / union if union else 1.0


def _is_call(value: Any, wanted: set[str]) -> bool:
    if not isinstance(value, dict) or "name" not in value or isinstance(value["name"], (dict, list)):
        return False
    return value["name"] not in wanted or isinstance(value.get("parameters"), dict)
