"""What the judges that ask a language model share: the client, the preflight, and failures that stay values.

What is asked, and what is made of the answer, is each judge's own.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from reward_models.judges.base import Judge, JudgeNotReadyError
from reward_models.llm_client import ChatAnswer, ChatClient, ChatRequest, ClientConfig
from reward_models.llm_client.transport import CHAT, Route
from reward_models.options import refuse_unknown
from reward_models.types import Unscored, UnscoredReason, Verdict

logger = logging.getLogger(__name__)

FROM_VERL = "verl"  # base_url: the server that verl runs for its reward model
NOT_SERVED = Unscored(
    UnscoredReason.LOAD_FAILED,
    f"base_url={FROM_VERL}, but verl serves no reward model: set reward.reward_model.enable=True",
)
_SLOW_S = 30.0
_NOT_FAILED = (UnscoredReason.NO_EVIDENCE, UnscoredReason.JUDGE_DISABLED)


class ChatJudge(Judge):
    """A judge with a client for a chat API.

    `ask` raises nothing but cancellation: aiohttp missing, or a key that cannot be one, is Unscored(load_failed), an
    answer that is cut Unscored(bad_verdict), and no answer the client's Unscored. Usable from several event loops;
    `aclose` closes the running loop's connections.
    """

    name = ""  # as in judge=<name>, for messages
    asks_before_the_run = True

    def __init__(self, client_options: Mapping[str, Any], route: Route = CHAT) -> None:
        # Where the address is verl's it is not known yet; the other options are checked all the same.
        waiting = client_options.get("base_url") == FROM_VERL
        options = {**client_options, "base_url": "http://localhost/v1"} if waiting else client_options
        self.client_config = ClientConfig(**options)
        self._client = None if waiting else ChatClient(self.client_config, route)
        self.fixes: dict[str, str] = {}  # by the parameter that a server may refuse, or the reason
        # The endpoints' lists, and two judgements with the client's deadline.
        self.preflight_s = 2 * (_SLOW_S + self.client_config.deadline_s)
        self._closed = False
        self._logged: set[UnscoredReason] = set()

    async def _trial(self) -> Verdict:
        """The verdict on a rollout of `controls`, for the preflight."""
        raise NotImplementedError(f"{type(self).__name__} has a preflight and no _trial")

    def check(self) -> None:
        if find_spec("aiohttp") is None:
            raise JudgeNotReadyError(f"the {self.name} judge needs the package aiohttp: pip install aiohttp")

    async def preflight(self) -> None:
        """Ask whether the endpoint can judge; JudgeNotReadyError with the fix. Nothing where `preflight` is false.

        Rollouts are judged on trial, a good one and, where the answer to it holds no verdict, a bad one: a judge that gives
        no verdict on either gives none in the run. With base_url=verl nothing is asked: verl starts that server later.
        """
        if not self.asks_before_the_run or self._client is None:
            return
        await self._client.preflight()
        started = time.monotonic()
        verdict = await self._trial()
        if isinstance(verdict, Unscored) and verdict.reason not in _NOT_FAILED:
            raise JudgeNotReadyError(
                f"the {self.name} judge gave no verdict on a trial rollout ({verdict.reason.value}: {verdict.detail})"
                f"{self._fix(verdict)}"
            )
        if time.monotonic() - started > _SLOW_S:
            logger.warning(
                "The %s judge's trial took more than %.0f s: a slow judge slows training", self.name, _SLOW_S
            )

    def _fix(self, verdict: Unscored) -> str:
        """What the detail does not say already, as the end of a sentence."""
        if verdict.reason is UnscoredReason.REFUSED:
            named = [fix for name, fix in self.fixes.items() if re.search(rf"\b{name}\b", verdict.detail)]
            unknown = [] if re.search(r"HTTP \d+: ", verdict.detail) else ["see the server's log", *self.fixes.values()]
            return "".join(f"; {fix}" for fix in dict.fromkeys(named or unknown))
        if verdict.reason is UnscoredReason.TIMEOUT:
            return "; raise timeout_s and deadline_s, or take a faster judge"
        if verdict.reason is UnscoredReason.BUDGET:
            return "; raise deadline_s"
        if verdict.reason is UnscoredReason.BAD_VERDICT and not re.search(r"\b(?:raise|set) \w", verdict.detail):
            return "; the model does not keep to the form that is asked for: take one that does"
        return ""

    async def ask(self, request: ChatRequest) -> ChatAnswer | Unscored:
        """The model's answer, or why none can be read; an answer may be empty or cut."""
        if self._closed:
            return Unscored(UnscoredReason.ERROR, "the judge is closed")
        if self._client is None:
            return NOT_SERVED
        try:
            return await self._client.ask(request)
        except (JudgeNotReadyError, ImportError) as error:
            return Unscored(UnscoredReason.LOAD_FAILED, str(error))
        except Exception as error:
            # The type alone: messages of HTTP errors may hold headers, and so the key.
            return Unscored(UnscoredReason.ERROR, type(error).__name__)

    def summary(self) -> dict[str, float]:
        """Calls, tokens and cost of this process so far, as the client counts them; {} before it has an address."""
        return {} if self._client is None else self._client.summary()

    async def aclose(self) -> None:
        """Close the running loop's connections; requests under way become Unscored."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()

    def _log_first(self, verdict: Verdict) -> None:
        if isinstance(verdict, Unscored) and verdict.reason not in self._logged:
            self._logged.add(verdict.reason)
            logger.warning(
                "The %s judge's first Unscored(%s): %s; later ones are only counted",
                self.name,
                verdict.reason.value,
                verdict.detail,
            )


def not_finished(answer: ChatAnswer) -> Unscored | None:
    """Why an answer is not a verdict, whatever it says: it did not end by itself, so what it says may be a draft."""
    if answer.finished:
        return None
    if answer.finish_reason == "length":
        return Unscored(UnscoredReason.BAD_VERDICT, "the answer was cut at max_tokens: raise max_tokens")
    detail = f"the answer did not end by itself (finish_reason={str(answer.finish_reason)[:40]!r})"
    return Unscored(UnscoredReason.BAD_VERDICT, detail)


def split_options(options: Mapping[str, Any], own_class: type, owner: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The judge's own options and the client's; ValueError for one that is neither."""
    own = {field.name for field in fields(own_class)}
    client = {field.name for field in fields(ClientConfig)}
    refuse_unknown(options, sorted(own | client), owner)
    return (
        {key: value for key, value in options.items() if key in own},
        {key: value for key, value in options.items() if key in client},
    )
