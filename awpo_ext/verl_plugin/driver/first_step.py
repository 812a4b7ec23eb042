"""Ends a run whose first responses can hardly any be read: then the dialect or the template is at fault, not the policy.

Every reward would be the minimum, silently. Works with reward functions that give the columns `outcome_reason` or
`parsable`, such as ours; with others it does nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from awpo_ext.config import AwpoConfig
from reward_models.parsing import ParseCode, Status, parse_response, read_template
from reward_models.verifiers.reasons import REASON_CODES

MIN_ROLLOUTS = 16  # fewer say too little: a step of less goes on with the next one
_EXAMPLES = 32  # responses that are decoded to see which dialect reads them
_SHOWN = 600
_UNREAD = ("no_tool_call", *(code.value for code in ParseCode))
_NAME_OF_CODE = {REASON_CODES[name]: name for name in _UNREAD if name in REASON_CODES}
_DIALECT_KEY = "reward.custom_reward_function.reward_kwargs.verifier_kwargs.dialect"


class UnreadableResponsesError(RuntimeError):
    """More of the first responses could not be read than `unreadable_stop_share` allows."""


def unread_reason(info: Mapping[str, Any]) -> str | None:
    """Why a response could not be read, by its reward columns; "" where it was, None where no column says so."""
    if "outcome_reason" not in info and "parsable" not in info:
        return None
    by_verifier = _NAME_OF_CODE.get(info.get("outcome_reason"), "")
    return by_verifier or ("" if info.get("parsable", 1.0) else "unreadable")


def printable(text: str, limit: int = _SHOWN) -> str:
    """The text on one line, cut, with every control, direction and surrogate character written as an escape."""
    cut = text[:limit]
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)
    return f"{shown}... ({len(text)} characters)" if len(text) > limit else shown


class FirstResponses:
    """Watches a run until its first step, of at least MIN_ROLLOUTS rollouts, has been seen; then it does nothing more."""

    def __init__(self, share: float, config: DictConfig) -> None:
        self._share, self._config = share, config
        self._unread: list[str] = []
        self._examples: list[str] = []
        self._done = share >= 1.0

    @classmethod
    def of(cls, awpo: AwpoConfig, config: DictConfig) -> "FirstResponses":
        return cls(awpo.unreadable_stop_share, config)

    def check(
        self, unread: Sequence[str | None], texts: Callable[[list[int]], list[str]], tokenizer: Any = None
    ) -> None:
        """Take in a batch: `unread_reason` of each rollout, what gives the texts of the rollouts with these numbers, and the
        tokenizer whose chat template is to be named.

        Raises UnreadableResponsesError, with one response and what to set, where the share is exceeded.
        """
        if self._done:
            return
        told = {i: reason for i, reason in enumerate(unread) if reason is not None}
        failed = [i for i, reason in told.items() if reason]
        self._unread += told.values()
        if len(failed) > self._share * len(told):
            self._examples = (self._examples + texts(failed[:_EXAMPLES]))[:_EXAMPLES]
        if len(self._unread) < MIN_ROLLOUTS:
            return
        self._done = True
        if sum(map(bool, self._unread)) > self._share * len(self._unread):
            raise UnreadableResponsesError(self._message(tokenizer))

    def _message(self, tokenizer: Any) -> str:
        reasons = Counter(filter(None, self._unread))
        kwargs = self._config.reward.custom_reward_function.get("reward_kwargs") or {}
        dialect = (kwargs.get("verifier_kwargs") or {}).get("dialect")
        configured = f"{dialect} ({_DIALECT_KEY})" if dialect else f"that of verifier {kwargs.get('verifier')!r}"
        counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(4))
        lines = [
            f"{sum(reasons.values())} of the first {len(self._unread)} responses cannot be read ({counts}), so nearly every "
            "reward is the minimum and nothing can be learnt.",
            f"  configured dialect: {configured}",
            f"  the chat template suggests: {_suggestion(tokenizer)}",
            f"  what reads them: {_readers(self._examples)}",
            f"  one response: {printable(self._examples[0]) if self._examples else '(none)'}",
            f"Set +{_DIALECT_KEY} to the form in which the model writes its calls. Where the model has yet to learn the form "
            f"by training, go on with +algorithm.awpo.unreadable_stop_share=1 (now {self._share}).",
        ]
        return "\n".join(lines)


def _suggestion(tokenizer: Any) -> str:
    if tokenizer is None:
        return "not known"
    reading = read_template(tokenizer)
    return f"dialect={reading.dialect} thinking={reading.thinking}" if reading.dialect else reading.problem


def _readers(texts: Sequence[str]) -> str:
    """Which dialects find calls in the texts, with counts."""
    parsed = [parse_response(text) for text in texts]
    found = Counter(one.dialect for one in parsed if one.status is Status.VALID)
    return ", ".join(
        f"dialect={name} finds calls in {count} of {len(texts)}" for name, count in found.most_common()
    ) or (f"no dialect finds calls in any of {len(texts)}")
