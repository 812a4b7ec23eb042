"""The LLM judge inside the reward function: its preflight, verl's own server, and the column of the votes' spread."""

import asyncio

import pytest

from reward_models import Unscored, UnscoredReason
from reward_models.judges import JudgeNotReadyError
from reward_models.judges.llm import chat_judge
from reward_models.judges.llm import judge as llm
from reward_models.reward import compute_score, preflight
from tests.reward_models.judges.fakes import WEATHER, FakeClient, rollout, verdict_text
from tests.reward_models.strategies import tagged

ENDPOINT = {"base_url": "http://127.0.0.1:8000/v1", "model": "grader"}


class Preflights(llm.LlmJudge):
    """An LLM judge whose endpoint is not ready, or does not answer at all."""

    asked = 0

    def __init__(self, wait=0.0, **options):
        super().__init__(**ENDPOINT, **options)
        self._client = FakeClient("")
        self._client.preflight = self._answer
        self._wait, self.preflight_s = wait, self.preflight_s if wait == 0 else 0.05

    async def _answer(self):
        Preflights.asked += 1
        await asyncio.sleep(self._wait)
        raise JudgeNotReadyError("no model 'grader' at http://127.0.0.1:8000/v1; it serves: other")


def test_the_endpoint_is_asked_before_the_run_unless_told_not_to(monkeypatch):
    choice = {"judge": f"{__name__}:Preflights"}
    with pytest.raises(JudgeNotReadyError, match="no model 'grader'"):
        preflight(**choice)

    async def inside_a_loop():
        preflight(**choice)

    with pytest.raises(JudgeNotReadyError, match="no model 'grader'"):
        asyncio.run(inside_a_loop())
    asked = Preflights.asked
    preflight(**choice, judge_kwargs={"preflight": False})
    assert Preflights.asked == asked
    with pytest.raises(JudgeNotReadyError, match=r"did not answer.*judge_kwargs\.preflight=false"):
        preflight(**choice, judge_kwargs={"wait": 30})


def test_the_address_of_verls_own_server(monkeypatch):
    asked = []

    class Client(FakeClient):
        def __init__(self, config, route):
            super().__init__(verdict_text(6))
            self.config = config

        async def ask(self, request):
            asked.append(self.config.base_url)
            return await super().ask(request)

    monkeypatch.setattr(chat_judge, "ChatClient", Client)
    options = {"judge": "llm", "judge_kwargs": {"base_url": "verl", "model": "served"}}
    preflight(**options)

    def columns(**kwargs):
        work = compute_score(
            "test", rollout().response, tagged("t", calls=[WEATHER]), {"question": "q"}, **options, **kwargs
        )
        return asyncio.run(work)

    assert columns(reward_router_address="10.0.0.1:8000", reward_model_tokenizer=object())["reasoning"] == 0.6
    assert columns(reward_router_address="[::1]:8000")["reasoning"] == 0.6
    assert asked == [("http://10.0.0.1:8000/v1",), ("http://[::1]:8000/v1",)]
    without = columns()
    assert without["reasoning_failure"] == UnscoredReason.LOAD_FAILED.code and without["score"] == 4.0


def test_the_spread_is_a_column(monkeypatch):
    monkeypatch.setattr(
        chat_judge, "ChatClient", lambda config, route: FakeClient(lambda request: verdict_text(4 + 2 * request.vote))
    )

    def spread(answer=None, **options):
        work = compute_score(
            "test", rollout().response if answer is None else answer, tagged("t", calls=[WEATHER]), {"question": "q"},
            judge="llm", judge_kwargs={**ENDPOINT, **options},
        )  # fmt: skip
        return asyncio.run(work)["reasoning_spread"]

    assert spread(votes=2) == pytest.approx(0.1 * 2**0.5)
    assert spread() == 0.0 and spread("", votes=2) == 0.0


def test_a_trial_judgement_finds_a_server_that_refuses_the_schema(monkeypatch, caplog):
    def answers(answer, **options):
        monkeypatch.setattr(chat_judge, "ChatClient", lambda config, route: FakeClient(answer))
        preflight(judge="llm", judge_kwargs={**ENDPOINT, **options})

    refusal = Unscored(UnscoredReason.REFUSED, "HTTP 400")
    with pytest.raises(JudgeNotReadyError, match=r"refused: HTTP 400\); see the server's log; set structured=false"):
        answers(refusal)
    with pytest.raises(JudgeNotReadyError, match="see the server's log"):
        answers(refusal, structured=False)
    answers(refusal, preflight=False)
    caplog.clear()
    answers(verdict_text(9))
    assert not caplog.records
    with pytest.raises(
        JudgeNotReadyError, match=r"bad_verdict: the answer holds no verdict; it said 'no verdict'.*form"
    ):
        answers("no verdict")
