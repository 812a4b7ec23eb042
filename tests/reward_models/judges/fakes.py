"""What the tests of the LLM judge share: rollouts, verdicts, and a client that answers as told without a network."""

import json

from reward_models import Rollout
from reward_models.llm_client import ChatAnswer
from tests.reward_models.strategies import tagged

WEATHER = {"name": "get_weather", "parameters": {"city": "Paris"}}


def rollout(thought="The user asks for Paris, so I look up Paris.", question="Weather in Paris?", truth="", **extra):
    return Rollout(question, '[{"name": "get_weather"}]', tagged(thought, calls=[WEATHER]), truth, "test", extra)


def verdict_text(score, reasons="The thought names the city and the tool."):
    return json.dumps({"reasons": reasons, "score": score})


class FakeClient:
    """Stands in for the ChatClient: `answer` is a text, an Unscored, or a function of the request that gives either."""

    def __init__(self, answer, finish_reason="stop"):
        self.answer, self.finish_reason = answer, finish_reason
        self.requests, self.closed = [], False

    async def ask(self, request):
        self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        if not isinstance(answer, str):
            return answer
        return ChatAnswer(answer, self.finish_reason, 100, 20, 0.1, 0.0, False, "http://127.0.0.1/v1")

    async def preflight(self):
        pass

    def note(self, **labels):
        self.labels = labels

    async def aclose(self):
        self.closed = True
