"""Several turns of calls on stateful tools: after each turn, the tools must be in the state that the ground truth gives.
The ground truth's form is in `state_truth.py`.

What is scored is what ran: `extra_info["executed"]`, the record of the agent loop `awpo_tool_agent` (`executed.py`).
Without it, the calls are read out of the turns' texts: `extra_info["turns"]`, for each user turn an assistant text, or a list
of them where the turn has several steps. Without that, the turns are the response split at `turn_separator`; a model can
write that, hence the other ways are the safe ones (it would gain nothing: there would be a turn too many).

A turn is right (BFCL's rule) where the state of every class equals that of the ground truth, and what the ground truth's
calls returned in this turn is among what the response's calls have returned so far; one without calls is right where
the response calls nothing. Other than in BFCL:
- a text that cannot be read makes its turn wrong; there it counts as no call. Of a turn in which the loop ran calls, the
  texts do not count; in one in which it ran none, a text with calls is not_executed: they are in another format than
  the loop's, or a limit ended the trajectory;
- results are compared by type, not as text; tools see JSON arguments, so tuples are lists; calls in calls are not run;
- a call in a turn without calls is wrong; there it is run and forgiven;
- `extra_call_cost` > 0 (the default) charges for calls beyond the number that the ground truth needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from reward_models.options import Range
from reward_models.parsing import Status
from reward_models.rollout_view import turns_of
from reward_models.sandbox.replies import are_turns
from reward_models.sandbox.snapshot import same
from reward_models.types import Rollout
from reward_models.verifiers.base import Outcome
from reward_models.verifiers.reading import Reading, parse_own, problem_codes
from reward_models.verifiers.tools.executed import executed_calls
from reward_models.verifiers.tools.sandboxed import SandboxedVerifier, Trial
from reward_models.verifiers.tools.state_truth import Call, Truth, read_truth

_OWNER = "verifier 'state'"
_RUN = "reward_models.sandbox.jobs:run_turns"

MAX_CALLS = 512

EXACT = "exact"
TOO_MANY_CALLS = "too_many_calls"
TOO_MANY_TURNS = "too_many_turns"
MISSING_TURN = "missing_turn"
CALLED = "called_a_tool"
NO_CALL = "no_call"
WRONG_STATE = "wrong_state"
MISSING_RESULT = "missing_result"
EXTRA_CALL = "extra_call"
NOT_EXECUTED = "not_executed"


@dataclass(frozen=True)
class StateConfig(Reading, owner=_OWNER):
    """Options of the mode.

    `classes`: name in `involved_classes` -> "package.module:Class"; no other class is ever made. Its public methods are
    the tools. `extra_call_cost`: what each call beyond the ground truth's number takes from a right turn's 1; 0 is
    BFCL's rule. `float_tolerance`: by how much numbers may differ, relative or absolute. `dialect`,
    `thinking`: see `parse_response`. `sandbox`: options of `SandboxConfig`.
    """

    classes: Annotated[Mapping[str, str], "a mapping of class names to 'package.module:Class'"] = field(
        default_factory=dict
    )
    turn_separator: str = "<|turn|>"
    extra_call_cost: Annotated[float, Range(0.0, 1.0)] = 0.05
    float_tolerance: Annotated[float, Range(0.0, 1.0)] = 1e-9
    sandbox: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.classes:
            raise ValueError(f"{_OWNER}: classes={self.classes!r} must map class names to 'package.module:Class'")
        for name, target in self.classes.items():
            if not isinstance(target, str) or len(target.split(":")) != 2:
                raise ValueError(f"{_OWNER}: classes.{name}={target!r} must be 'package.module:Class'")


@dataclass(frozen=True)
class Turn:
    """What the response does in one turn; `codes` say why its text could not be read."""

    calls: tuple[Call, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Verdict:
    """One turn judged; without `codes` it is right. `extra` are the calls beyond what the ground truth needs."""

    codes: tuple[str, ...]
    same_state: bool
    has_results: bool
    extra: int


class StateVerifier(SandboxedVerifier):
    """Correctness in [0, 1]: the mean over the turns, where a right one counts 1 less the cost of its extra calls.

    `parts`: `all_turns`, 1 where every turn is right, which is BFCL's verdict; `state` and `results`, the shares of
    turns whose state and whose results are right; `extra`, the number of calls that are charged for. A missing turn
    is wrong; with a turn too many, or more than MAX_CALLS calls, nothing is right.
    """

    def __init__(self, **options: Any) -> None:
        self.config = StateConfig.read(options)
        modules = {target.partition(":")[0] for target in self.config.classes.values()}
        super().__init__(_OWNER, self.config.sandbox, sorted(modules))

    def check(self) -> None:
        self.check_tools(classes=list(self.config.classes.values()))

    def check_row(self, rollout: Rollout) -> None:
        for name in read_truth(rollout.ground_truth).classes:
            self._target(name)

    def begin(self, rollout: Rollout) -> Outcome | Trial:
        truth = read_truth(rollout.ground_truth)
        steps = self._steps(rollout)
        if len(steps) > len(truth.turns):
            return Outcome(0.0, 0.0, TOO_MANY_TURNS, reasons=(TOO_MANY_TURNS,))
        turns = [self._read_turn(rollout, texts) for texts in steps]
        executed = executed_calls(rollout, len(steps))
        if executed is not None:
            turns = [_as_executed(turn, calls) for turn, calls in zip(turns, executed, strict=True)]
        if sum(len(turn.calls) for turn in turns) > MAX_CALLS:
            return Outcome(0.0, 0.0, TOO_MANY_CALLS, reasons=(TOO_MANY_CALLS,))
        turns += [Turn(codes=(MISSING_TURN,))] * (len(truth.turns) - len(turns))
        scene = {
            "classes": {name: self._target(name) for name in truth.classes},
            "initial_config": truth.initial_config,
            "long_context": truth.long_context,
        }
        return self.trial(
            response=(_RUN, {**scene, "turns": [turn.calls for turn in turns]}),
            expected=self.expected_task(rollout.ground_truth, _RUN, {**scene, "turns": truth.turns}),
            fits=partial(are_turns, counts=[len(turn.calls) for turn in turns], classes=truth.classes),
            judge=partial(self._compare, turns, truth),
        )

    def _target(self, name: str) -> str:
        if name not in self.config.classes:
            raise ValueError(f"involved class {name!r} is not among {_OWNER}'s classes {sorted(self.config.classes)!r}")
        return self.config.classes[name]

    def _steps(self, rollout: Rollout) -> list[list[str]]:
        """The texts of each turn of the response."""
        turns = turns_of(rollout)
        if turns is None:
            return [[text] for text in rollout.response.split(self.config.turn_separator)]
        return turns

    def _read_turn(self, rollout: Rollout, texts: Sequence[str]) -> Turn:
        calls: list[Call] = []
        codes: list[str] = []
        for text in texts:
            parsed = parse_own(rollout, self.config, text)
            calls += [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
            if parsed.status not in (Status.VALID, Status.ABSTAINED):
                codes += problem_codes(parsed)
        return Turn(tuple(calls), tuple(codes))

    def _compare(
        self, turns: Sequence[Turn], truth: Truth, done: list[dict[str, Any]], wanted: list[dict[str, Any]]
    ) -> Outcome:
        state: dict[str, Any] = {}
        wanted_state: dict[str, Any] = {}
        agree: dict[str, bool] = {}
        results: list[Any] = []
        verdicts = []
        for turn, wanted_calls, did, want in zip(turns, truth.turns, done, wanted, strict=True):
            state.update(did["state"])
            wanted_state.update(want["state"])
            for name in {*did["state"], *want["state"]}:
                agree[name] = self._same(state[name], wanted_state[name])
            results += did["results"]
            has_results = self._contains(results, want["results"])
            verdicts.append(self._verdict(turn, wanted_calls, all(agree.values()), has_results))
        return _outcome(verdicts, self.config.extra_call_cost)

    def _verdict(self, turn: Turn, wanted: Sequence[Call], same_state: bool, has_results: bool) -> _Verdict:
        if not wanted:
            codes = turn.codes or ((CALLED,) if turn.calls else ())
            return _Verdict(codes, same_state, has_results, len(turn.calls))
        wrong = {
            NO_CALL: not turn.calls and not turn.codes,
            WRONG_STATE: not same_state,
            MISSING_RESULT: not has_results,
        }
        codes = (*turn.codes, *(code for code, found in wrong.items() if found))
        return _Verdict(codes, same_state, has_results, max(0, len(turn.calls) - len(wanted)))

    def _same(self, left: Any, right: Any) -> bool:
        return same(left, right, self.config.float_tolerance)

    def _contains(self, results: Sequence[Any], wanted: Sequence[Any]) -> bool:
        """Whether each of `wanted` is among `results`, one to one."""
        left = list(results)
        for form in wanted:
            place = next((place for place, result in enumerate(left) if self._same(result, form)), None)
            if place is None:
                return False
            del left[place]
        return True


def _as_executed(turn: Turn, calls: Sequence[Call]) -> Turn:
    if calls:
        return Turn(tuple(calls))
    return Turn(codes=(*turn.codes, *((NOT_EXECUTED,) if turn.calls else ())))


def _outcome(verdicts: Sequence[_Verdict], extra_call_cost: float) -> Outcome:
    turns = len(verdicts)
    earned = sum(max(0.0, 1.0 - extra_call_cost * verdict.extra) for verdict in verdicts if not verdict.codes)
    codes = dict.fromkeys(code for verdict in verdicts for code in verdict.codes)
    if any(verdict.extra for verdict in verdicts):
        codes[EXTRA_CALL] = None
    reasons = tuple(codes) or (EXACT,)
    parts = {
        "all_turns": float(not any(verdict.codes for verdict in verdicts)),
        "state": sum(verdict.same_state for verdict in verdicts) / turns,
        "results": sum(verdict.has_results for verdict in verdicts) / turns,
        "extra": float(sum(verdict.extra for verdict in verdicts)),
    }
    return Outcome(0.0, earned / turns, reasons[0], parts=parts, reasons=reasons)
