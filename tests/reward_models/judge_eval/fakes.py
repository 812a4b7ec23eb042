"""What the tests of judge-eval share: small labelled sets, and judges that answer as told."""

import asyncio
import hashlib
from dataclasses import replace

from reward_models.judges import Judge, JudgeNotReadyError
from reward_models.labelled import HONEST, LabelledRollout
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason

THOUGHTS = {
    HONEST: "Lyon is asked for, so get_forecast with Lyon.",
    "empty": "",
    "swapped": "Rome, I think.",
    "praise": "!" * 90,
}


def rollout(thought, question="Weather?"):
    call = '<tool_call>\n{"name": "get_forecast", "parameters": {"city": "Lyon"}}\n</tool_call>'
    return Rollout(question, "[]", f"<think>{thought}</think>\n{call}", "", "test", {"index": 0})


def rows(sources=12, kinds=tuple(THOUGHTS)):
    """`sources` honest rows, each with its corruptions."""
    made = []
    for number in range(sources):
        for kind in kinds:
            honest = kind == HONEST
            task = rollout(THOUGHTS[kind] and f"{THOUGHTS[kind]} ({number})", f"Weather on day {number}?")
            row = LabelledRollout(f"{number} {kind}", f"s{number}", kind, float(honest), task)
            made.append(row if honest else replace(row, pair=f"{number} {HONEST}"))
    return made


def noise(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


class GoodJudge(Judge):
    """Likes whoever speaks of Lyon, and of Rome too where `blind`."""

    asked = 0

    def __init__(self, blind=False):
        self.blind = blind

    async def score(self, rollout):
        type(self).asked += 1
        await asyncio.sleep(0)
        return self._one(rollout)

    def _one(self, item):
        thought = item.response.partition("</think>")[0]
        likes = "Lyon" in thought or (self.blind and "Rome" in thought)
        return Scored((0.5 if likes else 0.0) + 0.5 * noise(item.question + item.response))

    async def compare(self, first, second):
        a, b = self._one(first).value, self._one(second).value
        return Scored(0.5 if a == b else float(a > b))


class CoinJudge(Judge):
    async def score(self, rollout):
        return Scored(noise(rollout.question + rollout.response + rollout.extra_info.get("uid", "")))

    async def compare(self, first, second):
        return Scored(1.0)


class FailingJudge(Judge):
    """Unscored, raising, or nonsense, by what the thought says."""

    async def score(self, rollout):
        if "Rome" in rollout.response:
            raise RuntimeError("secret-header")
        if "!!" in rollout.response:
            return 0.7
        if "<think></think>" in rollout.response:
            return Unscored(UnscoredReason.TIMEOUT, "no answer")
        return Scored(0.9)


class DeadJudge(Judge):
    async def score(self, rollout):
        return Unscored(UnscoredReason.TIMEOUT, "no answer")


class NotReadyJudge(Judge):
    def __init__(self, how="kind"):
        self.how = how

    def check(self):
        if self.how == "kind":
            raise JudgeNotReadyError("install something")
        if self.how == "raise":
            raise KeyError("oops")

    async def preflight(self):
        raise OSError("no route")

    async def aclose(self):
        raise RuntimeError("cannot close")

    async def score(self, rollout):
        return []


class KilledJudge(GoodJudge):
    """Is interrupted after so many rows."""

    left = 20

    async def score(self, rollout):
        if type(self).left <= 0:
            raise KeyboardInterrupt
        type(self).left -= 1
        return await super().score(rollout)
